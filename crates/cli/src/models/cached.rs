//! What of the cache a command means.

use dataflow_ids::RepoKind;
use dataflow_runtime::models::cache::{Cache, RepoCache};
use dataflow_runtime::models::{HubSettings, ModelError};

use super::arguments::Kind;
use super::repository::Repository;
use crate::error::CliError;

/// The cache that the environment names.
///
/// # Errors
///
/// [`CliError::Models`] when the environment cannot be read.
pub(super) fn cache() -> Result<Cache, CliError> {
    Ok(Cache::new(HubSettings::from_environment()?.cache))
}

/// A part of the cache.
#[derive(Debug)]
pub(super) struct Meant {
    pub(super) repo: RepoCache,
    pub(super) revision: Option<String>,
}

impl Meant {
    /// Reads `acme/tiny-detector@v1.0`.
    ///
    /// # Errors
    ///
    /// [`CliError::BadModel`] when it is none.
    pub(super) fn new(cache: &Cache, kind: Option<Kind>, text: &str) -> Result<Meant, CliError> {
        let Repository { repo, revision } = Repository::from_text(text)?;
        let kind = kind.map(RepoKind::from).unwrap_or_default();
        Ok(Meant {
            repo: cache.repo(kind, &repo)?,
            revision,
        })
    }

    /// What people call it: `acme/tiny-detector`, `dataset acme/faces@v1.0`.
    pub(super) fn name(&self) -> String {
        let repo = named(self.repo.kind(), self.repo.name());
        match &self.revision {
            Some(revision) => format!("{repo}@{revision}"),
            None => repo,
        }
    }

    /// The error that says that it is not there.
    pub(super) fn missing(&self, cache: &Cache) -> CliError {
        let scan = cache.scan().unwrap_or_default();
        let kind = self.repo.kind();
        let names = scan.repos.iter().filter(|repo| repo.kind == kind);
        let near =
            dataflow_descriptor::nearest(self.repo.name(), names.map(|repo| repo.repo.as_str()));
        CliError::NotInCache {
            what: format!("`{}`", self.name()),
            cache: cache.root().to_owned(),
            near: near.map(str::to_owned),
        }
    }
}

/// A repository as people call it: models have no kind.
pub(super) fn named(kind: RepoKind, repo: &str) -> String {
    match kind {
        RepoKind::Model => repo.to_owned(),
        kind => format!("{kind} {repo}"),
    }
}

/// An error for programs.
pub(super) fn trouble(error: &ModelError) -> serde_json::Value {
    crate::json::plain(&error.failure())
}
