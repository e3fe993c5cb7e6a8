//! Files that are right: when one counts as verified, and how it comes to stand under `blobs/`.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use dataflow_core::models::{ContentHash, FilePlan};
use rustix::fs::{FileType, OFlags, Stat};

use super::folder::{Folder, refused};
use super::locks::BlobGuard;
use super::quarantine::Which;
use super::repo::{OURS, RepoCache};
use super::steps::step;
use crate::models::error::ModelError;

/// A mark is three numbers.
const MARK_BYTES_MAX: u64 = 128;

/// Whether a file stands under `blobs/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobState {
    /// It does not, or what stands there cannot be it: another length, a folder, a symlink out of the cache.
    Missing,
    /// It does, and this very file was hashed.
    Verified,
    /// A file of that length does, and nobody has said that its content is right: another program has fetched it, or
    /// it was changed since. It is hashed before it is used.
    Unverified {
        /// Where to read it.
        path: PathBuf,
    },
}

/// An open blob: what is read from it, and what is said about it, is about one and the same file.
#[derive(Debug)]
pub struct OpenBlob {
    pub(super) file: File,
    pub(super) facts: Stat,
}

impl OpenBlob {
    /// To read, from its start on.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.facts.st_size).unwrap_or(0)
    }

    /// What the mark of this very file says.
    fn mark(&self) -> String {
        let Stat {
            st_size,
            st_mtime,
            st_mtime_nsec,
            st_ino,
            ..
        } = self.facts;
        format!("{st_size} {st_mtime}.{st_mtime_nsec:09} {st_ino}\n")
    }
}

impl RepoCache {
    /// How a file stands.
    ///
    /// # Errors
    /// [`ModelError::Disk`] when the cache cannot be read.
    pub fn blob(&self, plan: &FilePlan) -> Result<BlobState, ModelError> {
        Ok(match self.open_blob(plan.hash)? {
            Some(blob) if blob.size() == plan.size => match self.is_marked(plan.hash, &blob)? {
                true => BlobState::Verified,
                false => BlobState::Unverified {
                    path: self.blob_path(plan.hash),
                },
            },
            _ => BlobState::Missing,
        })
    }

    /// Opens the file that stands under `blobs/`, to hash it; `None` when [`BlobState::Missing`].
    ///
    /// # Errors
    /// [`ModelError::Disk`] when it cannot be opened.
    pub fn open(&self, plan: &FilePlan) -> Result<Option<OpenBlob>, ModelError> {
        let blob = self.open_blob(plan.hash)?;
        Ok(blob.filter(|blob| blob.size() == plan.size))
    }

    /// Whether what stands under `blobs/` is still the file that was opened, as it was then.
    ///
    /// # Errors
    /// [`ModelError::Disk`] when the cache cannot be read.
    pub fn is_still(&self, hash: ContentHash, blob: &OpenBlob) -> Result<bool, ModelError> {
        let now = self.open_blob(hash)?;
        Ok(now.is_some_and(|now| now.mark() == blob.mark()))
    }

    /// Opens what stands under a hash's name, if it is a file of this cache.
    pub(super) fn open_blob(&self, hash: ContentHash) -> Result<Option<OpenBlob>, ModelError> {
        let Some(blobs) = self.enter(&["blobs"])? else {
            return Ok(None);
        };
        let name = hash.to_string();
        let Some(facts) = blobs.facts(&name)? else {
            return Ok(None);
        };
        match FileType::from_raw_mode(facts.st_mode) {
            FileType::RegularFile => open_file(&blobs, &name),
            FileType::Symlink => {
                let Some([prefix, shared]) = shared_name(&blobs.read_link(&name)?) else {
                    return Ok(None);
                };
                let Some(root) = Folder::root(self.cache.root())? else {
                    return Ok(None);
                };
                match root.enter_all(["blobs", prefix.as_str()])? {
                    Some(folder) => open_file(&folder, &shared),
                    None => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    pub(super) fn is_marked(&self, hash: ContentHash, blob: &OpenBlob) -> Result<bool, ModelError> {
        let Some(verified) = self.enter(&[OURS, "verified"])? else {
            return Ok(false);
        };
        let mark = verified.read(&hash.to_string(), MARK_BYTES_MAX)?;
        Ok(mark.is_some_and(|mark| mark == blob.mark().as_bytes()))
    }

    /// Makes the partial file the right one. It is complete, and its content was hashed and compared: this cannot see
    /// whether it was. Only its length is compared once more.
    ///
    /// # Errors
    /// [`ModelError::Disk`] when there is no such partial file, or something cannot be written; [`ModelError::NoSpace`].
    pub fn admit(&self, guard: &BlobGuard, plan: &FilePlan) -> Result<(), ModelError> {
        let path = self.partial(plan.hash);
        let wrong = |why: &str| ModelError::Disk {
            doing: "admit",
            path: path.clone(),
            why: why.to_owned(),
            kind: io::ErrorKind::InvalidInput,
        };
        if !guard.is_of(self, plan.hash) {
            return Err(wrong("the lock that is held is another file's"));
        }
        let name = plan.hash.to_string();
        let partial = self.make(&[OURS, "partial"])?;
        let open = open_file(&partial, &name)?.ok_or_else(|| wrong("it is not there"))?;
        if open.size() != plan.size {
            return Err(wrong("it has another length than the Hub lists"));
        }
        step();
        open.file.sync_all().map_err(refused("sync", &path))?;
        let blobs = self.make(&["blobs"])?;
        if let Some(facts) = blobs.facts(&name)?
            && FileType::from_raw_mode(facts.st_mode) == FileType::Directory
        {
            // No file can be moved over a folder.
            self.quarantine(guard, Which::Blob, plan.hash)?;
        }
        partial.rename(&name, &blobs, &name)?;
        self.write_mark(plan.hash, &open)?;
        blobs.sync()
    }

    /// Says of the file that stands under `blobs/` that its content was hashed and compared.
    ///
    /// # Errors
    /// [`ModelError::Disk`] when there is no such file of that length, or the mark cannot be written. In a cache that
    /// may only be read there is no mark and no error: the file is hashed again another time.
    pub fn mark_verified(&self, plan: &FilePlan) -> Result<(), ModelError> {
        match self.open_blob(plan.hash)? {
            Some(blob) if blob.size() == plan.size => {
                self.mark_as_hashed(plan.hash, &blob).map(|_| ())
            }
            _ => {
                let path = self.blob_path(plan.hash);
                let error = io::Error::from(io::ErrorKind::NotFound);
                Err(refused("mark as verified", &path)(error))
            }
        }
    }

    /// Says that what was opened was hashed, and compared. The mark speaks of the file as it was when it was opened:
    /// who writes to it meanwhile, or puts another one in its place, makes the mark void. Gives whether there is a mark
    /// now: not in a cache that may only be read.
    ///
    /// # Errors
    /// [`ModelError::Disk`], [`ModelError::NoSpace`] when the mark cannot be written.
    pub fn mark_as_hashed(&self, hash: ContentHash, blob: &OpenBlob) -> Result<bool, ModelError> {
        // Another program may have left it to the system when it comes onto the disk. After a loss of power the mark
        // would then speak of what is not there.
        step();
        let path = self.blob_path(hash);
        blob.file.sync_all().map_err(refused("sync", &path))?;
        match self.write_mark(hash, blob) {
            Ok(()) => Ok(true),
            Err(error) if error.is_read_only() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn write_mark(&self, hash: ContentHash, blob: &OpenBlob) -> Result<(), ModelError> {
        let verified = self.make(&[OURS, "verified"])?;
        let mark = blob.mark();
        self.temporary()?
            .write_into(&verified, &hash.to_string(), mark.as_bytes())
    }

    /// Forgets that a file was hashed.
    pub(super) fn remove_mark(&self, hash: ContentHash) -> Result<(), ModelError> {
        match self.enter(&[OURS, "verified"])? {
            Some(verified) => verified.remove(&hash.to_string()),
            None => Ok(()),
        }
    }
}

/// Opens a regular file and looks at what was opened.
pub(super) fn open_file(folder: &Folder, name: &str) -> Result<Option<OpenBlob>, ModelError> {
    let Some(file) = folder.open(name, OFlags::RDONLY)? else {
        return Ok(None);
    };
    let facts = rustix::fs::fstat(&file)
        .map_err(|errno| refused("look at", &folder.path().join(name))(errno.into()))?;
    let is_file = FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile;
    Ok(is_file.then_some(OpenBlob { file, facts }))
}

/// `huggingface_hub` keeps some files once for all repositories, as `blobs/XX/HASH` in the cache's own folder, and
/// puts symlinks to them under the repositories' `blobs/`. Those are the only ones that are followed.
fn shared_name(target: &[u8]) -> Option<[String; 2]> {
    let target = std::str::from_utf8(target).ok()?;
    let (prefix, name) = target.strip_prefix("../../blobs/")?.split_once('/')?;
    let is_hash = name.len() == 64 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_hash && prefix.len() == 2 && name.starts_with(prefix))
        .then(|| [prefix.to_owned(), name.to_owned()])
}
