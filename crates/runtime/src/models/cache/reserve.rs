//! Room on the disk, counted before the first byte comes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use dataflow_core::models::{ContentHash, FilePlan};
use rustix::fs::{FileType, OFlags, Stat};

use super::folder::{Folder, refused};
use super::locks::BlobLock;
use super::partial::give_back_unused;
use super::repo::{Cache, OURS, RepoCache};
use super::scan::repo_of;
use crate::models::error::ModelError;

/// What the system counts a file's room in.
const SECTOR_BYTES: u64 = 512;

/// What this process has promised room for, and has not written yet.
static LEDGER: Mutex<Ledger> = Mutex::new(Ledger {
    next: 0,
    reserved: BTreeMap::new(),
});

struct Ledger {
    next: u64,
    reserved: BTreeMap<u64, Reserved>,
}

struct Reserved {
    device: u64,
    repo: RepoCache,
    files: Vec<FilePlan>,
}

/// Room on the disk for files that are fetched, until this is dropped.
#[derive(Debug)]
#[must_use = "the room is promised to others when this is dropped"]
pub struct Reservation {
    number: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut ledger = LEDGER.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.reserved.remove(&self.number);
    }
}

impl RepoCache {
    /// Sees to it that there is room for what of these files is still to come, beside what this process has reserved
    /// already.
    ///
    /// # Errors
    /// [`ModelError::NoSpace`] when there is not; [`ModelError::Disk`] when the cache's folder cannot be made or read.
    pub fn reserve(&self, files: &[FilePlan]) -> Result<Reservation, ModelError> {
        let folder = self.make(&[OURS, "partial"])?;
        self.cache.take_back_room();
        let facts = rustix::fs::fstat(&folder)
            .map_err(|errno| refused("look at", folder.path())(errno.into()))?;
        let device = facts.st_dev;
        let mut wanted: Vec<FilePlan> = files.to_vec();
        // The same content under two paths comes once.
        wanted.sort_unstable_by_key(|file| file.hash);
        wanted.dedup_by_key(|file| file.hash);

        let mut ledger = LEDGER.lock().unwrap_or_else(PoisonError::into_inner);
        let needed_bytes = self.missing_bytes(&wanted)?;
        let mut promised_bytes: u64 = 0;
        for reserved in ledger.reserved.values() {
            if reserved.device == device {
                // If theirs cannot be read, it is theirs to say so.
                let missing = reserved.repo.missing_bytes(&reserved.files);
                promised_bytes = promised_bytes.saturating_add(missing.unwrap_or(0));
            }
        }
        let free_bytes = free_bytes(folder.path()).saturating_sub(promised_bytes);
        if needed_bytes > free_bytes {
            return Err(ModelError::NoSpace {
                needed_bytes,
                free_bytes,
                place: self.cache.root().to_path_buf(),
            });
        }
        let number = ledger.next;
        ledger.next += 1;
        let reserved = Reserved {
            device,
            repo: self.clone(),
            files: wanted,
        };
        ledger.reserved.insert(number, reserved);
        Ok(Reservation { number })
    }

    /// What is still to be taken from the disk for these files. Room that a partial file has already counts as taken.
    fn missing_bytes(&self, files: &[FilePlan]) -> Result<u64, ModelError> {
        let blobs = self.enter(&["blobs"])?;
        let partial = self.enter(&[OURS, "partial"])?;
        let mut missing: u64 = 0;
        for file in files {
            let name = file.hash.to_string();
            if facts(blobs.as_ref(), &name)?.is_some() {
                continue;
            }
            let taken = match facts(partial.as_ref(), &name)? {
                Some(facts) => u64::try_from(facts.st_blocks).unwrap_or(0) * SECTOR_BYTES,
                None => 0,
            };
            missing = missing.saturating_add(file.size.saturating_sub(taken));
        }
        Ok(missing)
    }
}

impl Cache {
    /// Takes back the room of files on their way that whoever fetched them had no time to give back: the process was
    /// killed. It is a favour to whoever needs the room, so what cannot be looked at is left as it is.
    fn take_back_room(&self) {
        let Ok(Some(root)) = Folder::root(self.root()) else {
            return;
        };
        for entry in root.entries().unwrap_or_default() {
            if let Some((kind, repo)) = repo_of(&entry.name)
                && let Ok(repo) = self.repo(kind, &repo)
            {
                let _ = repo.take_back_room();
            }
        }
    }
}

impl RepoCache {
    fn take_back_room(&self) -> Result<(), ModelError> {
        let Some(partial) = self.enter(&[OURS, "partial"])? else {
            return Ok(());
        };
        for entry in partial.entries()? {
            let taken_bytes = u64::try_from(entry.facts.st_blocks).unwrap_or(0) * SECTOR_BYTES;
            let length = u64::try_from(entry.facts.st_size).unwrap_or(0);
            let block_bytes = u64::try_from(entry.facts.st_blksize).unwrap_or(0);
            if taken_bytes <= length.saturating_add(block_bytes) {
                continue;
            }
            if let Ok(hash) = entry.name.parse::<ContentHash>()
                && let BlobLock::Held(_guard) = self.try_lock(hash)?
                && let Some(file) = partial.open(&entry.name, OFlags::RDWR)?
            {
                give_back_unused(&file);
            }
        }
        Ok(())
    }
}

fn facts(folder: Option<&Folder>, name: &str) -> Result<Option<Stat>, ModelError> {
    let facts = match folder {
        Some(folder) => folder.facts(name)?,
        None => None,
    };
    Ok(facts.filter(|facts| FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile))
}

/// What is free for this user where a path is, or where it would be. 0 when that cannot be said.
pub(super) fn free_bytes(path: &Path) -> u64 {
    path.ancestors()
        .find_map(|place| rustix::fs::statvfs(place).ok())
        .map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}
