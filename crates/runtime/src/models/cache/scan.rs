//! What the cache holds, whoever has fetched it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use dataflow_core::models::{ContentHash, is_commit};
use dataflow_ids::RepoKind;
use rustix::fs::{FileType, Stat};

use super::folder::Folder;
use super::repo::{Cache, OURS, RepoCache};
use super::snapshots::walk;
use crate::models::error::ModelError;

/// References are small, and few lead deeper.
const REF_BYTES_MAX: u64 = 64;

/// What a cache holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheScan {
    /// The repositories, by kind and name.
    pub repos: Vec<CachedRepo>,
    /// What could not be looked at, or is no part of a cache.
    pub troubles: Vec<ModelError>,
}

/// What a cache holds of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedRepo {
    /// What kind of repository.
    pub kind: RepoKind,
    /// Its name.
    pub repo: String,
    /// The length of its files together, each content once.
    pub size_bytes: u64,
    /// How many different contents that is.
    pub files: u64,
    /// How many of them were hashed and not changed since; the others were fetched by another program.
    pub verified_files: u64,
    /// Its commits, sorted.
    pub commits: Vec<CachedCommit>,
    /// Bytes that unfinished downloads have.
    pub partial_bytes: u64,
    /// Bytes of wrong files, which are kept aside.
    pub quarantine_bytes: u64,
    /// When a file of it was read last, as far as the file system writes that down.
    pub last_used: Option<SystemTime>,
}

/// One commit in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedCommit {
    /// The commit.
    pub commit: String,
    /// The branches and tags that mean it, sorted.
    pub refs: Vec<String>,
    /// How many of its files are there.
    pub files: u64,
    /// Their length together.
    pub size_bytes: u64,
}

impl Cache {
    /// Looks at all that is in the cache. Nothing is hashed and nothing is changed.
    ///
    /// # Errors
    /// [`ModelError::Disk`] when the cache's folder is there and cannot be read.
    pub fn scan(&self) -> Result<CacheScan, ModelError> {
        let mut scan = CacheScan::default();
        let Some(root) = Folder::root(self.root())? else {
            return Ok(scan);
        };
        for entry in root.entries()? {
            let Some((kind, repo)) = repo_of(&entry.name) else {
                continue;
            };
            match self.repo(kind, &repo).and_then(|repo| repo.scan()) {
                Ok(Some(repo)) => scan.repos.push(repo),
                Ok(None) => {}
                Err(trouble) => scan.troubles.push(trouble),
            }
        }
        scan.repos
            .sort_by(|one, other| (one.kind, &one.repo).cmp(&(other.kind, &other.repo)));
        Ok(scan)
    }
}

/// The reverse of `Repo::folder_name`.
pub(super) fn repo_of(folder: &str) -> Option<(RepoKind, String)> {
    let kinds = [RepoKind::Model, RepoKind::Dataset, RepoKind::Space];
    kinds.into_iter().find_map(|kind| {
        let rest = folder.strip_prefix(kind.as_str())?.strip_prefix("s--")?;
        Some((kind, rest.replace("--", "/")))
    })
}

impl RepoCache {
    /// Looks at what is there of this repository; `None` when nothing is.
    ///
    /// # Errors
    /// [`ModelError::Disk`].
    pub fn scan(&self) -> Result<Option<CachedRepo>, ModelError> {
        if self.enter(&[])?.is_none() {
            return Ok(None);
        }
        let mut scan = CachedRepo {
            kind: self.kind(),
            repo: self.name().to_owned(),
            size_bytes: 0,
            files: 0,
            verified_files: 0,
            commits: Vec::new(),
            partial_bytes: self.bytes_in("partial")?,
            quarantine_bytes: self.bytes_in("quarantine")?,
            last_used: None,
        };
        let mut sizes = BTreeMap::new();
        for name in self.blob_names()? {
            let Ok(hash) = name.parse::<ContentHash>() else {
                continue;
            };
            let Some(blob) = self.open_blob(hash)? else {
                continue;
            };
            scan.files += 1;
            scan.size_bytes += blob.size();
            scan.verified_files += u64::from(self.is_marked(hash, &blob)?);
            scan.last_used = scan.last_used.max(read_at(&blob.facts));
            sizes.insert(name, blob.size());
        }
        let refs = self.refs()?;
        for commit in self.commits()? {
            scan.commits.push(self.scan_commit(commit, &refs, &sizes)?);
        }
        Ok(Some(scan))
    }

    fn scan_commit(
        &self,
        commit: String,
        refs: &[(String, String)],
        sizes: &BTreeMap<String, u64>,
    ) -> Result<CachedCommit, ModelError> {
        let (mut files, mut size_bytes) = (0, 0_u64);
        let mut seen = BTreeSet::new();
        if let Some(folder) = self.enter(&["snapshots", &commit])? {
            walk(&folder, &mut |found| {
                // As seen from `snapshots/COMMIT`, where the walk begins.
                match found.blob_from(2) {
                    Some(blob) => {
                        if let Some(size) = sizes.get(blob) {
                            files += 1;
                            let is_new = seen.insert(blob.to_owned());
                            size_bytes += if is_new { *size } else { 0 };
                        }
                    }
                    // Where there are no symlinks, `huggingface_hub` puts the file itself here.
                    None if is_file(found.facts) => {
                        files += 1;
                        size_bytes += u64::try_from(found.facts.st_size).unwrap_or(0);
                    }
                    None => {}
                }
                Ok(())
            })?;
        }
        let refs = refs.iter().filter(|(_, meant)| *meant == commit);
        Ok(CachedCommit {
            refs: refs.map(|(name, _)| name.clone()).collect(),
            commit,
            files,
            size_bytes,
        })
    }

    /// The names under `blobs/`, of whatever is there.
    pub(super) fn blob_names(&self) -> Result<Vec<String>, ModelError> {
        let entries = match self.enter(&["blobs"])? {
            Some(blobs) => blobs.entries()?,
            None => Vec::new(),
        };
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    /// The commits that have a snapshot.
    pub(super) fn commits(&self) -> Result<Vec<String>, ModelError> {
        let entries = match self.enter(&["snapshots"])? {
            Some(snapshots) => snapshots.entries()?,
            None => Vec::new(),
        };
        let commits = entries
            .into_iter()
            .filter(|entry| entry.file_type() == FileType::Directory && is_commit(&entry.name));
        Ok(commits.map(|entry| entry.name).collect())
    }

    /// All references that mean a commit: name and commit, sorted.
    pub(super) fn refs(&self) -> Result<Vec<(String, String)>, ModelError> {
        let mut refs = Vec::new();
        if let Some(folder) = self.enter(&["refs"])? {
            walk(&folder, &mut |found| {
                let content = found.folder.read(found.name, REF_BYTES_MAX)?;
                let commit = String::from_utf8(content.unwrap_or_default()).unwrap_or_default();
                if is_commit(commit.trim()) {
                    refs.push((found.path(), commit.trim().to_owned()));
                }
                Ok(())
            })?;
        }
        refs.sort_unstable();
        Ok(refs)
    }

    /// The bytes of the files in a folder of ours. Room that is kept for what is still to come is not among them.
    fn bytes_in(&self, folder: &str) -> Result<u64, ModelError> {
        let mut bytes: u64 = 0;
        if let Some(folder) = self.enter(&[OURS, folder])? {
            walk(&folder, &mut |found| {
                let length = u64::try_from(found.facts.st_size).unwrap_or(0);
                bytes = bytes.saturating_add(if is_file(found.facts) { length } else { 0 });
                Ok(())
            })?;
        }
        Ok(bytes)
    }
}

pub(super) fn is_file(facts: &Stat) -> bool {
    FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile
}

fn read_at(facts: &Stat) -> Option<SystemTime> {
    let seconds = u64::try_from(facts.st_atime).ok()?;
    let nanoseconds = u32::try_from(facts.st_atime_nsec).unwrap_or(0);
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}
