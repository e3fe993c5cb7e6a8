//! What a snapshot holds by its symlinks: for commits whose listing nobody has kept.

use dataflow_core::models::{ContentHash, FilePlan, Listing, check_commit, check_files};

use super::repo::RepoCache;
use super::snapshots::walk;
use crate::models::error::ModelError;

impl RepoCache {
    /// The files of a snapshot that are there, as far as their symlinks lead to blobs of this repository. The versions
    /// of `huggingface_hub` before its second keep no listing, so without a network this is all that can be known; as
    /// they do, it is taken for the whole. `None` when there is no such snapshot, or nothing in it.
    ///
    /// # Errors
    /// [`ModelError::BadName`]; [`ModelError::Disk`] when it cannot be read.
    pub fn linked(&self, commit: &str) -> Result<Option<Listing>, ModelError> {
        check_commit(commit)?;
        let Some(snapshot) = self.enter(&["snapshots", commit])? else {
            return Ok(None);
        };
        let mut files = Vec::new();
        walk(&snapshot, &mut |found| {
            if let Some(hash) = found.target.as_deref().and_then(blob_of)
                && let Some(blob) = self.open_blob(hash)?
            {
                let mut path = found.parts.join("/");
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(found.name);
                let size = blob.size();
                files.push(FilePlan { path, size, hash });
            }
            Ok(())
        })?;
        files.sort_unstable();
        let are_good = check_files(files.iter().map(|file| file.path.as_str())).is_ok();
        Ok((are_good && !files.is_empty()).then(|| Listing {
            commit: commit.to_owned(),
            files,
        }))
    }
}

/// The hash that a symlink to `…/blobs/HASH` names.
fn blob_of(target: &[u8]) -> Option<ContentHash> {
    let target = std::str::from_utf8(target).ok()?;
    let (folder, name) = target.rsplit_once('/')?;
    folder.ends_with("/blobs").then(|| name.parse().ok())?
}
