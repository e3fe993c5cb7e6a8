//! What a snapshot holds by its symlinks: for commits whose listing nobody has kept.

use dataflow_core::models::{FilePlan, Listing, check_commit};

use super::listings::checked;
use super::repo::RepoCache;
use super::snapshots::walk;
use crate::models::error::ModelError;

impl RepoCache {
    /// The files of a snapshot, as far as its symlinks name blobs of this repository; a symlink to a blob that is not
    /// there is a file of length 0 that is missing. Older versions of `huggingface_hub` keep no listing, so without a
    /// network this is all that can be known; as they do, it is taken for the whole. `None` when there is no such
    /// snapshot, or nothing in it.
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
            if let Some(Ok(hash)) = found.blob_from(2).map(str::parse) {
                let blob = self.open_blob(hash)?;
                files.push(FilePlan {
                    path: found.path(),
                    size: blob.map_or(0, |blob| blob.size()),
                    hash,
                });
            }
            Ok(())
        })?;
        Ok(match files.is_empty() {
            true => None,
            false => checked(commit, files),
        })
    }
}
