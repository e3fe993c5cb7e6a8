//! Where things stand: the cache's folder, and a repository's folder in it.

use std::path::{Path, PathBuf};

use dataflow_core::models::{ContentHash, check_repo};
use dataflow_ids::RepoKind;

use super::folder::Folder;
use crate::models::error::ModelError;

/// What is ours in a repository's folder. `huggingface_hub` does not look there.
pub(super) const OURS: &str = ".dataflow";
/// Where locks are, beside the repositories' folders.
pub(super) const LOCKS: &str = ".locks";

/// The cache of everything that comes from the Hub.
#[derive(Debug, Clone)]
pub struct Cache {
    hub: hf_hub::Cache,
}

impl Cache {
    /// The cache in this folder, which need not be there yet.
    #[must_use]
    pub fn new(root: PathBuf) -> Cache {
        Cache {
            hub: hf_hub::Cache::new(root),
        }
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.hub.path()
    }

    /// The part of it that belongs to one repository. Nothing is made by this.
    ///
    /// # Errors
    /// [`ModelError::BadName`] when `repo` is no name of a repository.
    pub fn repo(&self, kind: RepoKind, repo: &str) -> Result<RepoCache, ModelError> {
        check_repo(repo)?;
        let kind_of_repo = match kind {
            RepoKind::Model => hf_hub::RepoType::Model,
            RepoKind::Dataset => hf_hub::RepoType::Dataset,
            RepoKind::Space => hf_hub::RepoType::Space,
        };
        Ok(RepoCache {
            cache: self.clone(),
            kind,
            hub: hf_hub::Repo::new(repo.to_owned(), kind_of_repo),
            name: repo.to_owned(),
        })
    }
}

/// One repository's part of the cache.
#[derive(Debug, Clone)]
pub struct RepoCache {
    pub(super) cache: Cache,
    pub(super) kind: RepoKind,
    hub: hf_hub::Repo,
    name: String,
}

impl RepoCache {
    /// What kind of repository it is of.
    #[must_use]
    pub fn kind(&self) -> RepoKind {
        self.kind
    }

    /// The repository's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `models--acme--tiny-detector`.
    pub(super) fn folder_name(&self) -> String {
        self.hub.folder_name()
    }

    /// Its folder, there or not.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.cache.root().join(self.folder_name())
    }

    /// The folder of a commit's files, there or not. With a text that is no commit, it is not below `snapshots/`.
    #[must_use]
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.hub_paths().pointer_path(commit)
    }

    /// Where a file stands when it is right.
    #[must_use]
    pub fn blob_path(&self, hash: ContentHash) -> PathBuf {
        self.hub_paths().blob_path(&hash.to_string())
    }

    /// Where a file is while it comes in.
    #[must_use]
    pub fn partial(&self, hash: ContentHash) -> PathBuf {
        let ours = self.folder().join(OURS);
        ours.join("partial").join(hash.to_string())
    }

    fn hub_paths(&self) -> hf_hub::CacheRepo {
        self.cache.hub.repo(self.hub.clone())
    }

    /// A folder of the repository, if it is there.
    pub(super) fn enter(&self, parts: &[&str]) -> Result<Option<Folder>, ModelError> {
        let Some(root) = Folder::root(self.cache.root())? else {
            return Ok(None);
        };
        let name = self.folder_name();
        root.enter_all(std::iter::once(name.as_str()).chain(parts.iter().copied()))
    }

    /// A folder of the repository, made if it is not there.
    pub(super) fn make(&self, parts: &[&str]) -> Result<Folder, ModelError> {
        let root = Folder::make_root(self.cache.root())?;
        let folder = root.make(&self.folder_name())?;
        // `huggingface_hub` says of a repository without it that it is corrupted.
        folder.make("snapshots")?;
        folder.make_all(parts.iter().copied())
    }

    /// Where small files are made before they are moved to their place.
    pub(super) fn temporary(&self) -> Result<Folder, ModelError> {
        self.make(&[OURS, "temporary"])
    }
}
