//! What the Hub calls its repositories.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of a repository of the Hub. Models are what is meant when nothing is said.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum RepoKind {
    /// Weights, configuration, tokenizers.
    #[default]
    Model,
    /// Data.
    Dataset,
    /// A demonstration.
    Space,
}

impl RepoKind {
    /// The kind's word, as descriptions write it.
    pub fn as_str(self) -> &'static str {
        match self {
            RepoKind::Model => "model",
            RepoKind::Dataset => "dataset",
            RepoKind::Space => "space",
        }
    }
}

impl fmt::Display for RepoKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
