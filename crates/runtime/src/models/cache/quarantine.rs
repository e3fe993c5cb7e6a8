//! What came with another content is kept aside, to be looked at.

use std::path::PathBuf;

use dataflow_core::models::ContentHash;

use super::locks::BlobGuard;
use super::repo::{OURS, RepoCache};
use crate::models::error::ModelError;

/// So many wrong files of one name are kept; older ones go.
const KEPT_MAX: u64 = 2;

/// Which file is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The partial one.
    Partial,
    /// The one that stands under `blobs/`.
    Blob,
}

impl RepoCache {
    /// Moves a file whose content is wrong out of the way, and says where to. With it goes its mark. The symlinks in
    /// snapshots stay, and lead to nothing until it is fetched again: so it is known that it is missing.
    ///
    /// # Errors
    /// [`ModelError::Disk`].
    pub fn quarantine(
        &self,
        guard: &BlobGuard,
        from: Which,
        hash: ContentHash,
    ) -> Result<PathBuf, ModelError> {
        let name = hash.to_string();
        let folder = match from {
            Which::Partial => self.make(&[OURS, "partial"])?,
            Which::Blob => self.make(&["blobs"])?,
        };
        if !guard.is_of(self, hash) {
            return Err(ModelError::Disk {
                doing: "move away",
                path: folder.path().join(name),
                why: "the lock that is held is another file's".to_owned(),
                kind: std::io::ErrorKind::InvalidInput,
            });
        }
        if from == Which::Blob {
            self.remove_mark(hash)?;
        }
        let quarantine = self.make(&[OURS, "quarantine"])?;
        let mut numbers = Vec::new();
        for entry in quarantine.entries()? {
            let number = entry.name.strip_prefix(&format!("{name}."));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        let number = numbers.last().map_or(1, |last| last.saturating_add(1));
        let kept = format!("{name}.{number}");
        folder.rename(&name, &quarantine, &kept)?;
        for old in numbers.iter().rev().skip(KEPT_MAX as usize - 1) {
            quarantine.remove_all(&format!("{name}.{old}"))?;
        }
        Ok(quarantine.path().join(kept))
    }
}
