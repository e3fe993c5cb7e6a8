//! Commits: which one a revision means, and their files as symlinks to blobs.

use std::collections::BTreeSet;

use dataflow_core::models::{FilePlan, check_commit, check_file, check_revision, is_commit};
use rustix::fs::{FileType, Stat};

use super::blobs::BlobState;
use super::folder::Folder;
use super::repo::{OURS, RepoCache};
use crate::models::error::ModelError;

/// A reference is a commit, and perhaps a line's end.
const REF_BYTES_MAX: u64 = 64;
/// What the Hub has answered stands here.
const ANSWERS: [&str; 2] = [OURS, "answers"];
/// No path that is checked has more parts.
const DEPTH_MAX: usize = 64;

impl RepoCache {
    /// Which commit a revision meant when somebody asked the Hub last; a commit means itself. `None` when the cache
    /// does not know, or holds something there that is no commit.
    ///
    /// # Errors
    /// [`ModelError::BadName`] for what is no revision; [`ModelError::Disk`].
    pub fn resolve_ref(&self, revision: &str) -> Result<Option<String>, ModelError> {
        if is_commit(revision) {
            return Ok(Some(revision.to_owned()));
        }
        self.read_commit(&["refs"], revision)
    }

    /// What the Hub has answered when it was asked last which commit a revision means, whether or not that commit's
    /// files have come since.
    ///
    /// # Errors
    /// As [`RepoCache::resolve_ref`].
    pub fn answered(&self, revision: &str) -> Result<Option<String>, ModelError> {
        self.read_commit(&ANSWERS, revision)
    }

    fn read_commit(&self, place: &[&str], revision: &str) -> Result<Option<String>, ModelError> {
        check_revision(revision)?;
        let (folders, name) = split(revision);
        let Some(refs) = self.enter(place)? else {
            return Ok(None);
        };
        // What was a branch may be a folder of branches now, and the other way round.
        let Ok(Some(folder)) = refs.enter_all(folders) else {
            return Ok(None);
        };
        let content = folder.read(name, REF_BYTES_MAX)?.unwrap_or_default();
        let commit = String::from_utf8(content).unwrap_or_default();
        let commit = commit.trim();
        Ok(is_commit(commit).then(|| commit.to_owned()))
    }

    /// Remembers which commit a revision means. A commit needs no remembering. It is for the end, when the commit's
    /// files are linked: `huggingface_hub` takes the folder of a commit that a reference names for complete.
    ///
    /// # Errors
    /// [`ModelError::BadName`]; [`ModelError::Disk`], [`ModelError::NoSpace`] when it cannot be written.
    pub fn write_ref(&self, revision: &str, commit: &str) -> Result<(), ModelError> {
        check_commit(commit)?;
        if is_commit(revision) || self.resolve_ref(revision)?.as_deref() == Some(commit) {
            return Ok(());
        }
        // `huggingface_hub` says of a reference to nothing that the cache is corrupted.
        self.make(&["snapshots", commit])?;
        self.write_commit(&["refs"], revision, commit)
    }

    /// Remembers what the Hub has answered, before the commit's files come: whoever goes on with them later, with the
    /// commit pinned, does not ask again.
    ///
    /// # Errors
    /// As [`RepoCache::write_ref`].
    pub fn write_answer(&self, revision: &str, commit: &str) -> Result<(), ModelError> {
        check_commit(commit)?;
        check_revision(revision)?;
        if self.answered(revision)?.as_deref() == Some(commit) {
            return Ok(());
        }
        self.write_commit(&ANSWERS, revision, commit)
    }

    fn write_commit(&self, place: &[&str], revision: &str, commit: &str) -> Result<(), ModelError> {
        let (folders, name) = split(revision);
        let folder = self.make(place)?.make_all(folders)?;
        self.temporary()?
            .write_into(&folder, name, commit.as_bytes())
    }

    /// Puts a file of a commit where its path says, as a symlink to the blob, which is verified.
    ///
    /// # Errors
    /// [`ModelError::BadName`]; [`ModelError::Disk`] when the blob is not there and verified, or the symlink cannot be
    /// made.
    pub fn link(&self, commit: &str, plan: &FilePlan) -> Result<(), ModelError> {
        check_commit(commit)?;
        check_file(&plan.path)?;
        let (folders, name) = split(&plan.path);
        let folders: Vec<&str> = ["snapshots", commit].into_iter().chain(folders).collect();
        let target = format!("{}blobs/{}", "../".repeat(folders.len()), plan.hash);
        if let Some(folder) = self.enter(&folders)?
            && let Some(facts) = folder.facts(name)?
            && FileType::from_raw_mode(facts.st_mode) == FileType::Symlink
            && folder.read_link(name)? == target.as_bytes()
            && self.blob(plan)? != BlobState::Missing
        {
            return Ok(());
        }
        if self.blob(plan)? != BlobState::Verified {
            return Err(ModelError::Disk {
                doing: "link to",
                path: self.blob_path(plan.hash),
                why: "it is not there, or not verified".to_owned(),
                kind: std::io::ErrorKind::NotFound,
            });
        }
        let folder = self.make(&folders)?;
        self.temporary()?.link_into(&folder, name, &target)
    }

    /// Removes all symlinks in snapshots that lead to one of these blobs.
    pub(super) fn unlink_everywhere(&self, blobs: &BTreeSet<String>) -> Result<(), ModelError> {
        let Some(snapshots) = self.enter(&["snapshots"])? else {
            return Ok(());
        };
        walk(&snapshots, &mut |found| match found.blob_from(1) {
            Some(blob) if blobs.contains(blob) => found.folder.remove(found.name),
            _ => Ok(()),
        })
    }
}

/// Something in a snapshot that is no folder.
pub(super) struct Found<'a> {
    /// The folder that it is in.
    pub(super) folder: &'a Folder,
    /// Its name there.
    pub(super) name: &'a str,
    /// The folders on the way there, from where the walk began.
    pub(super) parts: &'a [String],
    /// Where it leads, if it is a symlink.
    pub(super) target: Option<Vec<u8>>,
    pub(super) facts: &'a Stat,
}

impl Found<'_> {
    /// Its path, from where the walk began.
    pub(super) fn path(&self) -> String {
        let parts = self.parts.iter().map(String::as_str);
        let path: Vec<&str> = parts.chain([self.name]).collect();
        path.join("/")
    }

    /// The name of the blob that it leads to, when the walk has begun so many folders below the repository's.
    pub(super) fn blob_from(&self, depth: usize) -> Option<&str> {
        let target = std::str::from_utf8(self.target.as_deref()?).ok()?;
        let up = "../".repeat(self.parts.len() + depth);
        let name = target.strip_prefix(&up)?.strip_prefix("blobs/")?;
        (!name.contains('/') && !name.is_empty()).then_some(name)
    }
}

/// Goes through everything below a folder that is no folder.
pub(super) fn walk(
    folder: &Folder,
    each: &mut impl FnMut(&Found<'_>) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    walk_on(folder, &mut Vec::new(), each)
}

fn walk_on(
    folder: &Folder,
    parts: &mut Vec<String>,
    each: &mut impl FnMut(&Found<'_>) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    for entry in folder.entries()? {
        if entry.file_type() == FileType::Directory {
            // Deeper than any path that is checked: nobody's.
            if parts.len() < DEPTH_MAX
                && let Some(inner) = folder.enter(&entry.name)?
            {
                parts.push(entry.name);
                walk_on(&inner, parts, each)?;
                parts.pop();
            }
            continue;
        }
        let target = match entry.file_type() {
            FileType::Symlink => Some(folder.read_link(&entry.name)?),
            _ => None,
        };
        each(&Found {
            folder,
            name: &entry.name,
            parts,
            target,
            facts: &entry.facts,
        })?;
    }
    Ok(())
}

/// The folders of a path, and its last part.
fn split(path: &str) -> (impl Iterator<Item = &str>, &str) {
    let (folders, name) = match path.rsplit_once('/') {
        Some((folders, name)) => (Some(folders), name),
        None => (None, path),
    };
    (
        folders.into_iter().flat_map(|folders| folders.split('/')),
        name,
    )
}
