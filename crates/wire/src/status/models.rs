//! How a model stands.

use std::path::PathBuf;
use std::time::Duration;

use dataflow_ids::{ModelName, RepoKind};
use serde::{Deserialize, Serialize};

/// A model that a dataflow wants, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelStatus {
    /// Its name in the description.
    pub model: ModelName,
    /// The repository: `acme/tiny-detector`.
    pub repo: String,
    /// What kind of repository it is.
    pub kind: RepoKind,
    /// The revision that the description names.
    pub revision: String,
    /// How it stands.
    pub view: ModelView,
}

/// How many files of a model are shown one by one. A repository may have hundreds of thousands, and how it stands is said
/// several times a second.
pub const MODEL_FILES_SHOWN_MAX: usize = 32;

/// How a model stands, whoever wants it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ModelView {
    /// Where it stands.
    pub state: ModelState,
    /// The commit that its revision was resolved to, once that is known.
    pub commit: Option<String>,
    /// Some of its files, once they are known, sorted by path: at most [`MODEL_FILES_SHOWN_MAX`]. Those of which a part
    /// is there come before those of which nothing is, and these before those that are done.
    pub files: Vec<ModelFile>,
    /// How many files it has, also those that are not shown; 0 until they are known.
    pub files_total: u64,
    /// How many of them are there and have the right hash.
    pub files_done: u64,
    /// Bytes that are there, of all its files.
    pub bytes_done: u64,
    /// Bytes of all its files; 0 until they are known.
    pub bytes_total: u64,
    /// Bytes a second that come in at this moment; `None` while nothing is transferred or it is too early to say.
    pub bytes_per_second: Option<u64>,
    /// The time that is left at this rate.
    pub time_left: Option<Duration>,
    /// What it waits for, in one line: another process that fetches it, a server that asked to be left alone.
    pub because: Option<String>,
    /// The folder of its files: there when it is [`ModelState::Ready`].
    pub path: Option<PathBuf>,
    /// Why it cannot be had: there when it is [`ModelState::Failed`].
    pub failure: Option<ModelFailure>,
}

/// Where a model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelState {
    /// Nobody has begun.
    #[default]
    Waiting,
    /// Its revision is being resolved to a commit, and its files are listed.
    Resolving,
    /// Its files are fetched and verified.
    Fetching,
    /// All its files are there, and their hashes are right.
    Ready,
    /// It cannot be had.
    Failed,
    /// Nobody wants it any more.
    Cancelled,
}

impl ModelState {
    /// Whether nothing follows by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            ModelState::Ready | ModelState::Failed | ModelState::Cancelled
        )
    }
}

/// One file of a model at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Its path in the repository.
    pub path: String,
    /// Bytes that are there.
    pub bytes_done: u64,
    /// Its length.
    pub bytes_total: u64,
    /// Whether its hash was compared and is right.
    pub is_verified: bool,
}

/// Why a model cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFailure {
    /// Which kind of failure, for scripts: `not-found`, `gated`, `no-space`, …
    pub code: String,
    /// What is wrong, in one line; it names the thing.
    pub what: String,
    /// What to do about it, in one line.
    pub remedy: String,
}
