//! What the Hub has listed of a commit, kept: a pinned model needs no network.

use std::collections::BTreeMap;

use dataflow_core::models::{ContentHash, FilePlan, Listing, check_commit, check_files};
use serde::{Deserialize, Serialize};

use super::repo::{OURS, RepoCache};
use crate::models::error::ModelError;

/// Some hundred thousand files.
const LISTING_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The form of these files, and of `huggingface_hub`'s.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    files: Vec<WrittenFile>,
}

#[derive(Serialize, Deserialize)]
struct WrittenFile {
    path: String,
    size: u64,
    hash: String,
}

/// `huggingface_hub` keeps listings too, since its version 2.
#[derive(Deserialize)]
struct Tree {
    format_version: u32,
    files: BTreeMap<String, TreeFile>,
}

#[derive(Deserialize)]
struct TreeFile {
    size: u64,
    blob_id: String,
    lfs_sha256: Option<String>,
    lfs_size: Option<u64>,
}

impl RepoCache {
    /// What the Hub lists of a commit, if it was asked once by us or by `huggingface_hub`. A file that holds something
    /// else is as good as none.
    ///
    /// # Errors
    /// [`ModelError::BadName`]; [`ModelError::Disk`] when it cannot be read.
    pub fn listing(&self, commit: &str) -> Result<Option<Listing>, ModelError> {
        check_commit(commit)?;
        let name = format!("{commit}.json");
        let ours = self.read_listing(&[OURS, "listings"], &name)?;
        if let Some(files) = ours.and_then(|json| read_ours(&json)) {
            return Ok(checked(commit, files));
        }
        let tree = self.read_listing(&["trees"], &name)?;
        let files = tree.and_then(|json| read_tree(&json));
        Ok(files.and_then(|files| checked(commit, files)))
    }

    /// Keeps what the Hub lists of a commit no more: the next who wants it asks. What `huggingface_hub` keeps stays.
    ///
    /// # Errors
    /// [`ModelError::BadName`] for a commit that is none; [`ModelError::Disk`] when it cannot be removed.
    pub fn forget_listing(&self, commit: &str) -> Result<(), ModelError> {
        check_commit(commit)?;
        match self.enter(&[OURS, "listings"])? {
            Some(folder) => folder.remove(&format!("{commit}.json")),
            None => Ok(()),
        }
    }

    fn read_listing(&self, folder: &[&str], name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        match self.enter(folder)? {
            Some(folder) => folder.read(name, LISTING_BYTES_MAX),
            None => Ok(None),
        }
    }

    /// Keeps what the Hub lists of a commit.
    ///
    /// # Errors
    /// [`ModelError::BadName`] for a commit or paths that may lead elsewhere; [`ModelError::Disk`],
    /// [`ModelError::NoSpace`] when it cannot be written.
    pub fn write_listing(&self, listing: &Listing) -> Result<(), ModelError> {
        check_commit(&listing.commit)?;
        check_files(listing.files.iter().map(|file| file.path.as_str()))?;
        if self.listing(&listing.commit)?.as_ref() == Some(listing) {
            return Ok(());
        }
        let files = listing.files.iter().map(|file| WrittenFile {
            path: file.path.clone(),
            size: file.size,
            hash: file.hash.to_string(),
        });
        let written = Written {
            version: VERSION,
            files: files.collect(),
        };
        let folder = self.make(&[OURS, "listings"])?;
        let name = format!("{}.json", listing.commit);
        let unwritable = |why: String| ModelError::Disk {
            doing: "write",
            path: folder.path().join(&name),
            why,
            kind: std::io::ErrorKind::InvalidData,
        };
        let json =
            serde_json::to_vec_pretty(&written).map_err(|error| unwritable(error.to_string()))?;
        if json.len() as u64 > LISTING_BYTES_MAX {
            return Err(unwritable(format!(
                "a listing has at most {LISTING_BYTES_MAX} bytes, and this one of {} files has {}",
                listing.files.len(),
                json.len()
            )));
        }
        self.temporary()?.write_into(&folder, &name, &json)
    }
}

fn read_ours(json: &[u8]) -> Option<Vec<FilePlan>> {
    let written: Written = serde_json::from_slice(json).ok()?;
    let files = written.files.into_iter().map(|file| {
        Some(FilePlan {
            path: file.path,
            size: file.size,
            hash: file.hash.parse().ok()?,
        })
    });
    (written.version == VERSION).then(|| files.collect())?
}

fn read_tree(json: &[u8]) -> Option<Vec<FilePlan>> {
    let tree: Tree = serde_json::from_slice(json).ok()?;
    let files = tree.files.into_iter().map(|(path, file)| {
        let hash: ContentHash = file
            .lfs_sha256
            .as_ref()
            .unwrap_or(&file.blob_id)
            .parse()
            .ok()?;
        let is_as_named = matches!(hash, ContentHash::Sha256(_)) == file.lfs_sha256.is_some();
        is_as_named.then(|| FilePlan {
            path,
            size: file.lfs_size.unwrap_or(file.size),
            hash,
        })
    });
    (tree.format_version == VERSION).then(|| files.collect())?
}

pub(super) fn checked(commit: &str, mut files: Vec<FilePlan>) -> Option<Listing> {
    check_files(files.iter().map(|file| file.path.as_str())).ok()?;
    files.sort_unstable();
    Some(Listing {
        commit: commit.to_owned(),
        files,
    })
}
