//! One process at a time fetches a file: locks in the files that `huggingface_hub` locks too.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use dataflow_core::models::ContentHash;
use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::folder::{Folder, refused};
use super::repo::{LOCKS, RepoCache};
use crate::models::error::ModelError;

/// How often a lock file is opened again that somebody removed meanwhile.
const ATTEMPTS_MAX: u32 = 32;

/// Whether a file's lock was free.
#[derive(Debug)]
pub enum BlobLock {
    /// It is held now.
    Held(BlobGuard),
    /// Somebody else holds it, in this process or another one.
    Busy,
}

/// A file's lock, held until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct BlobGuard {
    folder: String,
    hash: ContentHash,
    /// Closing it releases the lock.
    _file: File,
}

impl BlobGuard {
    /// Which file is locked.
    #[must_use]
    pub fn hash(&self) -> ContentHash {
        self.hash
    }

    pub(super) fn is_of(&self, repo: &RepoCache, hash: ContentHash) -> bool {
        self.hash == hash && self.folder == repo.folder_name()
    }
}

impl RepoCache {
    /// Takes the lock of a file, without waiting.
    ///
    /// # Errors
    /// [`ModelError::Disk`] when the lock file cannot be made or opened.
    pub fn try_lock(&self, hash: ContentHash) -> Result<BlobLock, ModelError> {
        let folder = self.folder_name();
        let root = Folder::make_root(self.cache.root())?;
        let locks = root.make_all([LOCKS, &folder])?;
        let name = format!("{hash}.lock");
        let path = locks.path().join(&name);
        for _ in 0..ATTEMPTS_MAX {
            let flags = OFlags::RDWR | OFlags::CREATE;
            let Some(file) = locks.open(&name, flags)? else {
                continue;
            };
            let facts = rustix::fs::fstat(&file)
                .map_err(|errno| refused("look at", &path)(errno.into()))?;
            if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
                return Err(ModelError::Disk {
                    doing: "lock",
                    path,
                    why: "it is no file".to_owned(),
                    kind: io::ErrorKind::InvalidInput,
                });
            }
            // Whoever shares the cache by its group may wait for the lock too: as `huggingface_hub` makes it. If it is
            // another's file, or has another name too, it is as he made it.
            if facts.st_nlink == 1 && facts.st_uid == rustix::process::geteuid().as_raw() {
                let _ = rustix::fs::fchmod(&file, Mode::from_raw_mode(0o664));
            }
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if is_still_there(&file, &locks, &name)? => {
                    return Ok(BlobLock::Held(BlobGuard {
                        folder,
                        hash,
                        _file: file,
                    }));
                }
                // Newer versions of Python's `filelock` remove the file when they let go of it. Somebody else may hold
                // another one of that name.
                Ok(()) | Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return Ok(BlobLock::Busy),
                Err(errno) => return Err(refused("lock", &path)(errno.into())),
            }
        }
        Ok(BlobLock::Busy)
    }
}

fn is_still_there(file: &File, locks: &Folder, name: &str) -> Result<bool, ModelError> {
    let path = locks.path().join(name);
    let open = file.metadata().map_err(refused("look at", &path))?;
    Ok(locks.facts(name)?.is_some_and(|named| {
        FileType::from_raw_mode(named.st_mode) == FileType::RegularFile
            && (named.st_dev, named.st_ino) == (open.dev(), open.ino())
    }))
}
