//! Files on their way: how much of one is there, and room for the rest before the first byte.

use std::fs::File;
use std::path::Path;

use dataflow_core::models::FilePlan;
use rustix::fs::{FallocateFlags, FileType, OFlags, Stat};
use rustix::io::Errno;

use super::folder::refused;
use super::locks::BlobGuard;
use super::quarantine::Which;
use super::repo::{OURS, RepoCache};
use super::reserve::free_bytes;
use super::steps::step;
use crate::models::error::ModelError;

/// An open partial file. Room that it has and did not need is given back when this is dropped.
#[derive(Debug)]
pub struct Partial {
    file: File,
    have_bytes: u64,
    size: u64,
}

impl Partial {
    /// To read and to write; where it stands is not defined.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// How many bytes were there when it was opened: at most as many as the file has.
    #[must_use]
    pub fn have_bytes(&self) -> u64 {
        self.have_bytes
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Not when it is complete: it may be admitted by now, and cutting changes its time.
        if let Ok(facts) = self.file.metadata()
            && facts.len() < self.size
        {
            give_back(&self.file, facts.len());
        }
    }
}

impl RepoCache {
    /// Opens the partial file of a file, made if it is not there, with room on the disk for all of it as far as the
    /// file system can promise that. What lies there and can be no part of the file is gone afterwards.
    ///
    /// # Errors
    /// [`ModelError::NoSpace`] before anything is written; [`ModelError::Disk`].
    pub fn open_partial(&self, guard: &BlobGuard, plan: &FilePlan) -> Result<Partial, ModelError> {
        let name = plan.hash.to_string();
        let path = self.partial(plan.hash);
        if !guard.is_of(self, plan.hash) {
            return Err(ModelError::Disk {
                doing: "write",
                path,
                why: "the lock that is held is another file's".to_owned(),
                kind: std::io::ErrorKind::InvalidInput,
            });
        }
        let folder = self.make(&[OURS, "partial"])?;
        match folder.facts(&name)? {
            Some(facts) if is_folder(&facts) => {
                self.quarantine(guard, Which::Partial, plan.hash)?;
            }
            Some(facts) if !is_ours_alone(&facts, plan.size) => folder.remove(&name)?,
            _ => {}
        }
        step();
        let flags = OFlags::RDWR | OFlags::CREATE;
        let file = folder
            .open(&name, flags)?
            .ok_or_else(|| refused("open", &path)(std::io::ErrorKind::NotFound.into()))?;
        let facts = file.metadata().map_err(refused("look at", &path))?;
        let partial = Partial {
            file,
            have_bytes: facts.len(),
            size: plan.size,
        };
        partial.take_room(folder.path())?;
        Ok(partial)
    }
}

impl Partial {
    fn take_room(&self, folder: &Path) -> Result<(), ModelError> {
        if self.have_bytes >= self.size {
            return Ok(());
        }
        loop {
            let all = rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, self.size);
            match all {
                Err(Errno::INTR) => {}
                Err(Errno::NOSPC | Errno::DQUOT) => {
                    // What it could get, others may need.
                    give_back(&self.file, self.have_bytes);
                    return Err(ModelError::NoSpace {
                        needed_bytes: self.size - self.have_bytes,
                        free_bytes: free_bytes(folder),
                        place: folder.to_path_buf(),
                    });
                }
                Err(Errno::FBIG) => {
                    return Err(refused("make room for a file in", folder)(
                        Errno::FBIG.into(),
                    ));
                }
                // Done, or a file system that cannot promise room: the reservation has counted.
                Ok(()) | Err(_) => return Ok(()),
            }
        }
    }
}

fn give_back(file: &File, length: u64) {
    // It is a favour: when it fails, the room is used by the next attempt.
    let _ = file.set_len(length);
}

/// Gives back the room behind the end of a file that nobody writes to and that has no other name.
pub(super) fn give_back_unused(file: &File) {
    if let Ok(facts) = rustix::fs::fstat(file)
        && let Ok(length) = u64::try_from(facts.st_size)
        && is_ours_alone(&facts, length)
    {
        give_back(file, length);
    }
}

fn is_folder(facts: &Stat) -> bool {
    FileType::from_raw_mode(facts.st_mode) == FileType::Directory
}

/// A file that may be written to and may be the beginning of one of `size` bytes. One that has another name too may
/// be anybody's file.
fn is_ours_alone(facts: &Stat, size: u64) -> bool {
    FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile
        && facts.st_nlink == 1
        && facts.st_uid == rustix::process::geteuid().as_raw()
        && u64::try_from(facts.st_size).is_ok_and(|length| length <= size)
}
