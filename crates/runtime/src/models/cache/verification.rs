//! Reading every file of the cache again, and comparing what it hashes to with its name.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::PathBuf;

use dataflow_core::models::ContentHash;

use super::blobs::OpenBlob;
use super::folder::refused;
use super::hasher::Hasher;
use super::locks::BlobLock;
use super::quarantine::Which;
use super::repo::RepoCache;
use super::snapshots::walk;
use crate::models::error::ModelError;

/// So much is read at a time.
const PIECE_BYTES: usize = 1024 * 1024;

/// One file of one commit, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedFile {
    /// The commit; `None` for a file that no commit in the cache uses.
    pub commit: Option<String>,
    /// Its path in the repository; without a commit, the name under `blobs/`.
    pub path: String,
    /// Its length.
    pub size_bytes: u64,
    /// What is the matter with it.
    pub verdict: Verdict,
}

/// What is the matter with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It hashes to what it should.
    Right,
    /// It does not.
    Wrong {
        /// What it should hash to.
        expected: ContentHash,
        /// What it hashes to.
        found: ContentHash,
        /// Where it was put; `None` when somebody holds its lock or has replaced it meanwhile.
        kept_aside: Option<PathBuf>,
    },
    /// The commit has it, and its content is not there.
    Missing,
    /// Its name says nothing about what it should hash to: another program has put it there.
    Unknown,
}

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyProgress<'a> {
    /// Which file is read: its path in the repository, or its name under `blobs/`.
    pub path: &'a str,
    /// Bytes that were read, of all files.
    pub done_bytes: u64,
    /// Bytes that there are to be read.
    pub total_bytes: u64,
}

struct Blob {
    name: String,
    /// Commit and path, of all that lead to it.
    links: Vec<(String, String)>,
    size: u64,
}

impl RepoCache {
    /// Reads and hashes every file that is there. Right ones are marked as verified. Wrong ones are moved out of the
    /// way, so that they are fetched again and used by nobody. `progress` is called at least once a MiB and says
    /// whether to go on.
    ///
    /// # Errors
    /// [`ModelError::Cancelled`] when `progress` says so; what was looked at until then is marked.
    /// [`ModelError::Disk`] when something cannot be read.
    pub fn verify(
        &self,
        progress: &mut dyn FnMut(VerifyProgress<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<CheckedFile>, ModelError> {
        let (blobs, mut checked) = self.what_to_verify()?;
        let total_bytes = blobs.iter().map(|blob| blob.size).sum();
        let mut done_bytes = 0;
        for blob in blobs {
            let path = blob.links.first().map_or(&blob.name, |(_, path)| path);
            let mut read = |bytes: u64| {
                done_bytes += bytes;
                progress(VerifyProgress {
                    path,
                    done_bytes,
                    total_bytes,
                })
            };
            let verdict = match blob.name.parse::<ContentHash>() {
                Ok(hash) => self.verify_blob(hash, &mut read)?,
                Err(_) => Verdict::Unknown,
            };
            let name = blob.name;
            let of = |commit, path| CheckedFile {
                commit,
                path,
                size_bytes: blob.size,
                verdict: verdict.clone(),
            };
            match blob.links.is_empty() {
                true => checked.push(of(None, name)),
                false => {
                    let links = blob.links.into_iter();
                    checked.extend(links.map(|(commit, path)| of(Some(commit), path)));
                }
            }
        }
        checked.sort_by(|one, other| (&one.commit, &one.path).cmp(&(&other.commit, &other.path)));
        Ok(checked)
    }

    /// The blobs, and what is in snapshots and leads to none.
    fn what_to_verify(&self) -> Result<(Vec<Blob>, Vec<CheckedFile>), ModelError> {
        let mut links: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let mut others = Vec::new();
        for commit in self.commits()? {
            let Some(folder) = self.enter(&["snapshots", &commit])? else {
                continue;
            };
            walk(&folder, &mut |found| {
                match found.blob_from(2) {
                    Some(blob) => {
                        let links = links.entry(blob.to_owned()).or_default();
                        links.push((commit.clone(), found.path()));
                    }
                    None => others.push(CheckedFile {
                        commit: Some(commit.clone()),
                        path: found.path(),
                        size_bytes: u64::try_from(found.facts.st_size).unwrap_or(0),
                        verdict: Verdict::Unknown,
                    }),
                }
                Ok(())
            })?;
        }
        let mut blobs = Vec::new();
        for name in self.blob_names()? {
            let size = match name.parse() {
                Ok(hash) => match self.open_blob(hash)? {
                    Some(blob) => blob.size(),
                    // A symlink to nowhere, or no file: whoever uses it misses it.
                    None => continue,
                },
                // What `huggingface_hub` is fetching.
                Err(_) if name.ends_with(".incomplete") => continue,
                Err(_) => 0,
            };
            let links = links.remove(&name).unwrap_or_default();
            blobs.push(Blob { name, links, size });
        }
        for (commit, path) in links.into_values().flatten() {
            others.push(CheckedFile {
                commit: Some(commit),
                path,
                size_bytes: 0,
                verdict: Verdict::Missing,
            });
        }
        Ok((blobs, others))
    }

    /// Hashes one blob, and marks it or moves it out of the way.
    fn verify_blob(
        &self,
        expected: ContentHash,
        read: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Verdict, ModelError> {
        let Some(mut blob) = self.open_blob(expected)? else {
            return Ok(Verdict::Missing);
        };
        let found = self.hash(&mut blob, expected, read)?;
        if found == expected {
            self.mark_as_hashed(expected, &blob)?;
            return Ok(Verdict::Right);
        }
        let kept_aside = match self.try_lock(expected)? {
            // Only what was hashed: somebody may have put a right one there meanwhile.
            BlobLock::Held(guard) => match self.open_blob(expected)? {
                Some(now) if is_same(&now, &blob) => {
                    Some(self.quarantine(&guard, Which::Blob, expected)?)
                }
                _ => None,
            },
            BlobLock::Busy => {
                // It stays where it is. Its mark may still fit to it: a disk spoils a file without a new time, and who
                // writes within one tick of the clock leaves the time as it was.
                if self.is_still(expected, &blob)? {
                    self.remove_mark(expected)?;
                }
                None
            }
        };
        Ok(Verdict::Wrong {
            expected,
            found,
            kept_aside,
        })
    }

    fn hash(
        &self,
        blob: &mut OpenBlob,
        expected: ContentHash,
        read: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<ContentHash, ModelError> {
        let path = self.blob_path(expected);
        let mut hasher = Hasher::new(&expected, blob.size());
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let length = match blob.file.read(&mut piece) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(refused("read", &path)(error)),
            };
            hasher.update(&piece[..length]);
            if read(length as u64).is_break() {
                return Err(ModelError::Cancelled);
            }
            if length == 0 {
                return Ok(hasher.finish());
            }
        }
    }
}

fn is_same(one: &OpenBlob, other: &OpenBlob) -> bool {
    (one.facts.st_dev, one.facts.st_ino) == (other.facts.st_dev, other.facts.st_ino)
}
