//! Taking models out of the cache. Nothing outside of it is ever touched, and nothing that another commit still uses.

use std::collections::BTreeSet;

use dataflow_core::models::ContentHash;

use super::folder::Folder;
use super::locks::{BlobGuard, BlobLock};
use super::repo::{LOCKS, OURS, RepoCache};
use super::snapshots::walk;
use crate::models::error::ModelError;

/// What was taken out of the cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// The commits whose files are gone, sorted.
    pub commits: Vec<String>,
    /// How many files with different contents are gone.
    pub files: u64,
    /// Their length together.
    pub freed_bytes: u64,
}

impl RepoCache {
    /// Removes all that is there of this repository, with what is half fetched or was kept aside; `None` when nothing
    /// is there.
    ///
    /// # Errors
    /// [`ModelError::InUse`] when somebody fetches a file of it: then nothing is removed; or when somebody has begun to
    /// while it was removed: then the rest stays. [`ModelError::Disk`].
    pub fn remove(&self) -> Result<Option<Removed>, ModelError> {
        let Some(root) = Folder::root(self.cache.root())? else {
            return Ok(None);
        };
        let Some(folder) = root.enter(&self.folder_name())? else {
            return Ok(None);
        };
        let mut names: BTreeSet<String> = self.blob_names()?.into_iter().collect();
        let mut busy = names.clone();
        if let Some(partial) = self.enter(&[OURS, "partial"])? {
            busy.extend(partial.entries()?.into_iter().map(|entry| entry.name));
        }
        self.check_free(&busy)?;
        let commits = self.commits()?;
        for (reference, _) in self.refs()? {
            self.remove_ref(&reference)?;
        }
        for commit in &commits {
            self.remove_snapshot(commit)?;
        }
        let blobs = names.clone();
        let mut removed = self.remove_blobs(&mut names)?;
        if let Some(busy) = blobs.difference(&names).find_map(|name| hash_of(name)) {
            return Err(self.in_use(busy));
        }
        self.remove_partials()?;
        removed.commits = commits;
        // `huggingface_hub` says of a repository without snapshots that it is corrupted: they go last.
        for entry in folder.entries()? {
            if entry.name != "snapshots" {
                folder.remove_all(&entry.name)?;
            }
        }
        root.remove_all(&self.folder_name())?;
        Ok(Some(removed))
    }

    /// Removes the commit that a revision means, with all names that mean it; `None` when it is not there. Files that
    /// another commit has too stay.
    ///
    /// # Errors
    /// As [`RepoCache::remove`]; [`ModelError::BadName`] when it is no revision.
    pub fn remove_revision(&self, revision: &str) -> Result<Option<Removed>, ModelError> {
        let Some(commit) = self.resolve_ref(revision)? else {
            return Ok(None);
        };
        if !self.commits()?.contains(&commit) {
            return Ok(None);
        }
        let mut names = self.blobs_of(|of| *of == commit)?;
        let kept = self.blobs_of(|of| *of != commit)?;
        names.retain(|name| !kept.contains(name));
        self.check_free(&names)?;
        for (reference, meant) in self.refs()? {
            if meant == commit {
                self.remove_ref(&reference)?;
            }
        }
        self.remove_snapshot(&commit)?;
        let listing = format!("{commit}.json");
        for folder in [&[OURS, "listings"][..], &["trees"]] {
            if let Some(folder) = self.enter(folder)? {
                folder.remove(&listing)?;
            }
        }
        // Somebody may have linked to one of them meanwhile.
        let kept = self.blobs_of(|_| true)?;
        names.retain(|name| !kept.contains(name));
        let mut removed = self.remove_blobs(&mut names)?;
        self.unlink_everywhere(&names)?;
        removed.commits.push(commit);
        Ok(Some(removed))
    }

    /// The names of the blobs that the snapshots of some commits lead to.
    fn blobs_of(&self, is_meant: impl Fn(&String) -> bool) -> Result<BTreeSet<String>, ModelError> {
        let mut names = BTreeSet::new();
        for commit in self.commits()?.iter().filter(|commit| is_meant(commit)) {
            if let Some(folder) = self.enter(&["snapshots", commit])? {
                walk(&folder, &mut |found| {
                    names.extend(found.blob_from(2).map(str::to_owned));
                    Ok(())
                })?;
            }
        }
        Ok(names)
    }

    /// Looks whether somebody fetches one of these. One lock at a time is held: a repository may have more files than
    /// a process may open.
    fn check_free(&self, names: &BTreeSet<String>) -> Result<(), ModelError> {
        let mut last = None;
        for hash in names.iter().filter_map(|name| hash_of(name)) {
            if last.replace(hash) != Some(hash) {
                self.lock_to_remove(hash)?;
            }
        }
        Ok(())
    }

    fn lock_to_remove(&self, hash: ContentHash) -> Result<BlobGuard, ModelError> {
        match self.try_lock(hash)? {
            BlobLock::Held(guard) => Ok(guard),
            BlobLock::Busy => Err(self.in_use(hash)),
        }
    }

    fn in_use(&self, hash: ContentHash) -> ModelError {
        let folder = self.cache.root().join(LOCKS).join(self.folder_name());
        ModelError::InUse {
            repo: self.name().to_owned(),
            lock: folder.join(format!("{hash}.lock")),
        }
    }

    fn remove_partials(&self) -> Result<(), ModelError> {
        let Some(partial) = self.enter(&[OURS, "partial"])? else {
            return Ok(());
        };
        for entry in partial.entries()? {
            let _guard = hash_of(&entry.name)
                .map(|hash| self.lock_to_remove(hash))
                .transpose()?;
            partial.remove_all(&entry.name)?;
        }
        Ok(())
    }

    fn remove_ref(&self, reference: &str) -> Result<(), ModelError> {
        let (folders, name) = reference.rsplit_once('/').unwrap_or(("", reference));
        let folders = folders.split('/').filter(|part| !part.is_empty());
        let folders: Vec<&str> = ["refs"].into_iter().chain(folders).collect();
        match self.enter(&folders)? {
            Some(folder) => folder.remove(name),
            None => Ok(()),
        }
    }

    /// At once for whoever looks: it is moved away first.
    fn remove_snapshot(&self, commit: &str) -> Result<(), ModelError> {
        let Some(snapshots) = self.enter(&["snapshots"])? else {
            return Ok(());
        };
        let temporary = self.temporary()?;
        temporary.remove_all(commit)?;
        if snapshots.facts(commit)?.is_some() {
            snapshots.rename(commit, &temporary, commit)?;
        }
        temporary.remove_all(commit)
    }

    /// Removes blobs, but none that somebody has begun to fetch. Those that are gone stay in `names`.
    fn remove_blobs(&self, names: &mut BTreeSet<String>) -> Result<Removed, ModelError> {
        let mut removed = Removed::default();
        let Some(blobs) = self.enter(&["blobs"])? else {
            return Ok(removed);
        };
        let mut busy = BTreeSet::new();
        for name in names.iter() {
            let Some(facts) = blobs.facts(name)? else {
                continue;
            };
            let lock = hash_of(name).map(|hash| self.try_lock(hash)).transpose()?;
            if let Some(BlobLock::Busy) = lock {
                busy.insert(name.clone());
                continue;
            }
            if let Ok(hash) = name.parse() {
                self.remove_mark(hash)?;
            }
            blobs.remove_all(name)?;
            removed.files += 1;
            removed.freed_bytes += u64::try_from(facts.st_size).unwrap_or(0);
        }
        names.retain(|name| !busy.contains(name));
        Ok(removed)
    }
}

/// Whose lock a file has: `huggingface_hub` calls its own partial files `HASH.XXXXXXXX.incomplete`.
fn hash_of(name: &str) -> Option<ContentHash> {
    name.split('.').next()?.parse().ok()
}
