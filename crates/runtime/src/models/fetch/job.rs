//! One fetch as a whole: which commit, which files, what is there, what must come.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use dataflow_core::models::{ContentHash, FilePlan, Listing, Pattern};
use tokio::task::JoinSet;

use super::locked::File;
use super::progress::Board;
use super::resolve::{Resolved, resolve};
use super::shared::Shared;
use super::transfer::Transfer;
use super::work;
use crate::models::cache::{BlobState, RepoCache, Reservation};
use crate::models::error::ModelError;
use crate::models::seam::{FetchEvent, FetchSink, ModelOrder};

/// Files that wait for their turn, for each that may be transferred: whoever waits for another process is no hindrance.
const WAITING_PER_PLACE: usize = 4;

/// How often it is looked whether all is there: before a transfer, and after it.
const LOOKS_MAX: u32 = 4;

/// Fetches what is ordered. Gives the snapshot's folder.
///
/// # Errors
///
/// It cannot be had.
pub(super) async fn run(
    shared: &Arc<Shared>,
    order: &ModelOrder,
    sink: &FetchSink,
    board: &Board,
) -> Result<PathBuf, ModelError> {
    let spec = &order.spec;
    let repo = shared.cache.repo(spec.kind, &spec.repo)?;
    let resolved = resolve(shared, order, &repo, board).await?;
    let wanted = wanted(&resolved.listing, &spec.files, &spec.repo)?;
    board.set_files(&wanted.files);
    let event = FetchEvent::Resolved(wanted.clone());
    // Nobody listens any more: then this is dropped soon.
    let _ = sink.events.send((sink.epoch, event));

    let job = Job {
        shared: Arc::clone(shared),
        board: board.clone(),
        repo,
        order: order.clone(),
        wanted,
    };
    if let Err(error) = job.have_all().await {
        job.doubt(&error).await?;
        return Err(error);
    }
    job.finish(resolved).await
}

struct Job {
    shared: Arc<Shared>,
    board: Board,
    repo: RepoCache,
    order: ModelOrder,
    wanted: Listing,
}

/// A content, and where it stands in the listing.
type Contents = BTreeMap<Content, Vec<usize>>;
type Content = (ContentHash, u64);

impl Job {
    /// Sees to it that all files are there, verified and linked. What somebody removes meanwhile is fetched again.
    async fn have_all(&self) -> Result<(), ModelError> {
        // Right, though the cache may only be read and does not say so.
        let mut unmarked = BTreeSet::new();
        for _ in 0..LOOKS_MAX {
            let mut missing = self.look().await?;
            missing.retain(|content, _| !unmarked.contains(content));
            if missing.is_empty() {
                return Ok(());
            }
            if self.shared.settings.is_offline {
                self.refuse_offline(&missing).await?;
            }
            let _room = self.reserve(&missing).await?;
            unmarked.extend(self.transfer(missing).await?);
        }
        Err(ModelError::Disk {
            doing: "keep files in",
            path: self.repo.folder(),
            why: "they are removed again and again while they are fetched".to_owned(),
            kind: io::ErrorKind::NotFound,
        })
    }

    /// Room for what is missing. A cache that may only be read needs none if it only has to be hashed.
    async fn reserve(&self, missing: &Contents) -> Result<Option<Reservation>, ModelError> {
        let plans = missing.values().filter_map(|places| self.plan(places));
        let plans: Vec<FilePlan> = plans.collect();
        let repo = self.repo.clone();
        work::done(&self.shared.pool, "reserve", move || {
            let refused = match repo.reserve(&plans) {
                Err(error) if error.is_read_only() => error,
                reserved => return reserved.map(Some),
            };
            for plan in &plans {
                if repo.blob(plan)? == BlobState::Missing {
                    return Err(refused);
                }
            }
            Ok(None)
        })
        .await
    }

    /// What comes otherwise than it is listed may be listed wrongly. A listing is kept, and with a pin nobody would ask
    /// for it again: so it is forgotten, and the next attempt asks.
    async fn doubt(&self, error: &ModelError) -> Result<(), ModelError> {
        let is_otherwise = matches!(
            error,
            ModelError::Mismatch { .. }
                | ModelError::FileNotFound { .. }
                | ModelError::BadAnswer { .. }
        );
        if !is_otherwise {
            return Ok(());
        }
        let (repo, commit) = (self.repo.clone(), self.wanted.commit.clone());
        let forget = move || repo.forget_listing(&commit);
        work::done(&self.shared.pool, "forget listing", forget).await
    }

    /// Links what is there and verified; gives what is not, by content.
    async fn look(&self) -> Result<Contents, ModelError> {
        let (repo, wanted) = (self.repo.clone(), self.wanted.clone());
        let (there, missing) = work::done(&self.shared.pool, "look into cache", move || {
            let (mut there, mut missing) = (Vec::new(), Contents::new());
            for (place, plan) in wanted.files.iter().enumerate() {
                if repo.blob(plan)? == BlobState::Verified {
                    repo.link(&wanted.commit, plan)?;
                    there.push((place, plan.size));
                } else {
                    let places = missing.entry((plan.hash, plan.size)).or_default();
                    places.push(place);
                }
            }
            Ok((there, missing))
        })
        .await?;
        for (place, size) in there {
            self.board.verified(&[place], size);
        }
        Ok(missing)
    }

    /// Nothing may be asked of the network: what is not there at all is missing. What is there unverified is not.
    async fn refuse_offline(&self, missing: &Contents) -> Result<(), ModelError> {
        let (repo, wanted) = (self.repo.clone(), self.wanted.clone());
        let mut places: Vec<usize> = missing.values().flatten().copied().collect();
        places.sort_unstable();
        let missing = work::done(&self.shared.pool, "look into cache", move || {
            let mut missing = Vec::new();
            for plan in places.iter().filter_map(|place| wanted.files.get(*place)) {
                if repo.blob(plan)? == BlobState::Missing {
                    missing.push(plan.path.clone());
                }
            }
            Ok(missing)
        })
        .await?;
        match missing.is_empty() {
            true => Ok(()),
            false => Err(ModelError::OfflineAndMissing {
                missing,
                cache: self.shared.settings.cache.clone(),
            }),
        }
    }

    fn plan(&self, places: &[usize]) -> Option<FilePlan> {
        let place = places.first()?;
        self.wanted.files.get(*place).cloned()
    }

    /// Has what is missing transferred, the largest files first, so that none of them is begun last.
    /// Gives those that are right though the cache does not say so.
    async fn transfer(&self, missing: Contents) -> Result<Vec<Content>, ModelError> {
        let mut contents: Vec<_> = missing.into_iter().collect();
        contents
            .sort_by_key(|((_, size), places)| (*size, std::cmp::Reverse(places.first().copied())));
        let at_once = self.shared.limits.files.max(1) * WAITING_PER_PLACE;
        let mut going = JoinSet::new();
        let mut unmarked = Vec::new();
        loop {
            while going.len() < at_once
                && let Some((content, places)) = contents.pop()
            {
                if let Some(file) = self.file(places) {
                    going.spawn(async move { file.have().await.map(|marked| (content, marked)) });
                }
            }
            match going.join_next().await {
                None => return Ok(unmarked),
                Some(Ok(done)) => {
                    let (content, is_marked) = done?;
                    unmarked.extend((!is_marked).then_some(content));
                }
                Some(Err(error)) if error.is_cancelled() => return Err(ModelError::Cancelled),
                Some(Err(error)) => return Err(super::fetcher::panicked(error)),
            }
        }
    }

    fn file(&self, places: Vec<usize>) -> Option<File> {
        let plan = self.plan(&places)?;
        let paths = places
            .iter()
            .filter_map(|place| self.wanted.files.get(*place).cloned())
            .collect();
        let transfer = Transfer {
            shared: Arc::clone(&self.shared),
            board: self.board.clone(),
            repo: self.repo.clone(),
            spec: self.order.spec.clone(),
            commit: self.wanted.commit.clone(),
            plan,
            places,
        };
        Some(File { transfer, paths })
    }

    /// All is there: the revision is remembered, for those who ask without a network.
    async fn finish(&self, resolved: Resolved) -> Result<PathBuf, ModelError> {
        let snapshot = self.repo.snapshot(&self.wanted.commit);
        let (repo, commit) = (self.repo.clone(), self.wanted.commit.clone());
        let revision = self.order.spec.revision.clone();
        work::done(&self.shared.pool, "write ref", move || {
            // An earlier attempt may have asked the Hub, and have ended before it came here. A commit that is only
            // pinned is not what the revision means for those who pin nothing.
            let is_answer = || -> Result<bool, ModelError> {
                Ok(repo.resolve_ref(&revision)?.is_none()
                    && repo.answered(&revision)?.as_deref() == Some(commit.as_str()))
            };
            match resolved.is_from_hub || is_answer()? {
                true => unless_read_only(repo.write_ref(&revision, &commit)),
                false => Ok(()),
            }
        })
        .await?;
        Ok(snapshot)
    }
}

/// A cache that may only be read cannot keep what has become known. When all files are there, that is no failure; when
/// one is not, it will be.
pub(super) fn unless_read_only(kept: Result<(), ModelError>) -> Result<(), ModelError> {
    match kept {
        Err(error) if error.is_read_only() => Ok(()),
        kept => kept,
    }
}

/// The files that patterns mean; without any, all.
fn wanted(listing: &Listing, patterns: &[String], repo: &str) -> Result<Listing, ModelError> {
    let not_there = |file: &str| ModelError::FileNotFound {
        repo: repo.to_owned(),
        file: file.to_owned(),
        commit: listing.commit.clone(),
    };
    let read: Vec<Pattern> = patterns.iter().map(|text| Pattern::new(text)).collect();
    for (text, pattern) in patterns.iter().zip(&read) {
        if !listing
            .files
            .iter()
            .any(|file| pattern.is_match(&file.path))
        {
            return Err(not_there(text));
        }
    }
    let is_wanted = |file: &&FilePlan| {
        read.is_empty() || read.iter().any(|pattern| pattern.is_match(&file.path))
    };
    let files: Vec<FilePlan> = listing.files.iter().filter(is_wanted).cloned().collect();
    match files.is_empty() {
        true => Err(not_there("*")),
        false => Ok(Listing {
            commit: listing.commit.clone(),
            files,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_choose_files_and_one_that_means_none_is_named() {
        let file = |path: &str| FilePlan {
            path: path.to_owned(),
            size: 1,
            hash: ContentHash::GitSha1([0; 20]),
        };
        let listing = Listing {
            commit: "c".repeat(40),
            files: vec![file("a.json"), file("onnx/a.onnx"), file("onnx/b.json")],
        };
        let paths = |patterns: &[&str]| -> Result<Vec<String>, ModelError> {
            let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
            let wanted = wanted(&listing, &patterns, "acme/x")?;
            Ok(wanted.files.into_iter().map(|file| file.path).collect())
        };
        assert_eq!(paths(&[]).unwrap().len(), 3);
        assert_eq!(paths(&["*.json"]).unwrap(), ["a.json", "onnx/b.json"]);
        assert_eq!(
            paths(&["onnx/", "a.json"]).unwrap(),
            ["a.json", "onnx/a.onnx", "onnx/b.json"]
        );
        let Err(ModelError::FileNotFound { file, .. }) = paths(&["a.json", "*.bin"]) else {
            panic!("no file is called so");
        };
        assert_eq!(file, "*.bin");
    }
}
