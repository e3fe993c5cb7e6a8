//! Why a model cannot be had, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use dataflow_core::models::BadName;
use dataflow_ids::RepoKind;
use dataflow_wire::status::ModelFailure;

/// Why a model cannot be had. One failure is told to everybody who wants the model, so it can be cloned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A text is no name of a repository, no revision, or no path of a file in one.
    #[error("`{text}` is no {what}: {why}")]
    BadName {
        /// `repository`, `revision`, `file`.
        what: &'static str,
        /// The text, shortened.
        text: String,
        /// Why not.
        why: String,
    },
    /// The Hub has no such repository, or does not show it to this token.
    #[error("the {kind} `{repo}` is not there, or not for you, at {endpoint}")]
    NotFound {
        /// What kind of repository.
        kind: RepoKind,
        /// Which.
        repo: String,
        /// Where it was looked for.
        endpoint: String,
    },
    /// The repository has no such revision.
    #[error("`{repo}` has no revision `{revision}`")]
    RevisionNotFound {
        /// Which repository.
        repo: String,
        /// The branch, tag or commit that it does not have.
        revision: String,
    },
    /// No file of the repository is meant by a pattern, or a listed file is not there.
    #[error("`{repo}` has no file `{file}` at {commit}")]
    FileNotFound {
        /// Which repository.
        repo: String,
        /// The path or the pattern.
        file: String,
        /// At which commit.
        commit: String,
    },
    /// Its terms must be accepted first.
    #[error("`{repo}` is gated: its terms must be accepted first")]
    Gated {
        /// Which repository.
        repo: String,
        /// Where to accept them.
        url: String,
    },
    /// The Hub does not accept the token.
    #[error("{endpoint} refuses the token")]
    TokenRefused {
        /// Who refuses it.
        endpoint: String,
        /// Where the token came from: `HF_TOKEN`, or the file.
        from: String,
    },
    /// `HF_HUB_OFFLINE` is set, and something is not in the cache.
    #[error("offline, and not in the cache: {}", missing.join(", "))]
    OfflineAndMissing {
        /// What is missing: files, or the revision as a whole.
        missing: Vec<String>,
        /// Where it was looked for.
        cache: PathBuf,
    },
    /// The disk has too little room.
    #[error("no space in {}: {needed_bytes} bytes needed, {free_bytes} free", place.display())]
    NoSpace {
        /// Bytes that are still to be written.
        needed_bytes: u64,
        /// Bytes that are free.
        free_bytes: u64,
        /// The folder.
        place: PathBuf,
    },
    /// A file came with another content than the Hub lists, twice.
    #[error(
        "`{file}` of `{repo}` came with another content than the Hub lists: {found} and not {expected}"
    )]
    Mismatch {
        /// Which repository.
        repo: String,
        /// Which file.
        file: String,
        /// The hash, or the length, that the Hub lists.
        expected: String,
        /// What came.
        found: String,
        /// Where the wrong file was put.
        kept_aside: PathBuf,
    },
    /// The Hub wants to be left alone for longer than we wait by ourselves.
    #[error("{endpoint} limits how often it is asked")]
    RateLimited {
        /// Who.
        endpoint: String,
        /// When to come back.
        until: SystemTime,
    },
    /// A server does not answer, breaks off or fails, again and again.
    #[error("{host} cannot be reached or does not answer: {why} (tried {attempts} times)")]
    ServerGone {
        /// Which host and port.
        host: String,
        /// What happened last.
        why: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// A server answers what no Hub answers: a loop of redirects, one to plain http, no JSON.
    #[error("{host} answers what no Hub does: {why}")]
    BadAnswer {
        /// Which host and port.
        host: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file or folder of the cache is in the hands of another process.
    #[error("`{repo}` is being fetched by another process: {} is locked", lock.display())]
    InUse {
        /// Which repository.
        repo: String,
        /// The lock file.
        lock: PathBuf,
    },
    /// The file that pins revisions to commits holds something else.
    #[error("{}:{line}: {why}", path.display())]
    BadPins {
        /// Which file.
        path: PathBuf,
        /// Its line, from 1 on.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot {doing} {}: {why}", path.display())]
    Disk {
        /// `read`, `write`, `make the folder`, …
        doing: &'static str,
        /// Which one.
        path: PathBuf,
        /// What the system says.
        why: String,
        /// What kind of error that is.
        kind: io::ErrorKind,
    },
    /// A part of this program has panicked, or has ended without a word.
    #[error("dataflow itself has failed: {why}")]
    Internal {
        /// What it panicked with, or what it was.
        why: String,
    },
    /// Nobody wants it any more.
    #[error("cancelled")]
    Cancelled,
}

impl ModelError {
    /// Whether something may not be written, though perhaps read: by its mode, or on a file system that is read only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(
            self,
            ModelError::Disk {
                kind: PermissionDenied | ReadOnlyFilesystem,
                ..
            }
        )
    }

    /// The word for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ModelError::BadName { .. } => "bad-name",
            ModelError::NotFound { .. } => "not-found",
            ModelError::RevisionNotFound { .. } => "revision-not-found",
            ModelError::FileNotFound { .. } => "file-not-found",
            ModelError::Gated { .. } => "gated",
            ModelError::TokenRefused { .. } => "token-refused",
            ModelError::OfflineAndMissing { .. } => "offline",
            ModelError::NoSpace { .. } => "no-space",
            ModelError::Mismatch { .. } => "mismatch",
            ModelError::RateLimited { .. } => "rate-limited",
            ModelError::ServerGone { .. } => "server-gone",
            ModelError::BadAnswer { .. } => "bad-answer",
            ModelError::InUse { .. } => "in-use",
            ModelError::BadPins { .. } => "bad-lock-file",
            ModelError::Disk { .. } => "disk",
            ModelError::Internal { .. } => "internal",
            ModelError::Cancelled => "cancelled",
        }
    }

    /// What to do about it, in one line.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            ModelError::BadName { what, .. } => match *what {
                "repository" => "write a repository as `owner/name`".to_owned(),
                "revision" => "name a branch, a tag or a commit that it has".to_owned(),
                "token" => "set HF_TOKEN to the token alone, as the Hub shows it".to_owned(),
                _ => "ask whoever has made the repository, or check HF_ENDPOINT".to_owned(),
            },
            ModelError::NotFound { .. } => {
                "check the name; if it is private, set HF_TOKEN to a token that may read it".to_owned()
            }
            ModelError::RevisionNotFound { .. } => {
                "name a branch, a tag or a commit that it has".to_owned()
            }
            ModelError::FileNotFound { .. } => "check `files`".to_owned(),
            ModelError::Gated { url, .. } => {
                format!("accept them at {url}, and set HF_TOKEN to a token of that account")
            }
            ModelError::TokenRefused { from, .. } => {
                format!("the token comes from {from}: replace it, or remove it for what is public")
            }
            ModelError::OfflineAndMissing { .. } => {
                "unset HF_HUB_OFFLINE, or fetch it while there is a network: dataflow models pull"
                    .to_owned()
            }
            ModelError::NoSpace { .. } => {
                "remove models that are not needed (dataflow models ls, dataflow models rm), or set HF_HOME to \
                 a larger disk"
                    .to_owned()
            }
            ModelError::Mismatch { kept_aside, .. } => format!(
                "something between here and the Hub changes files; what came is kept in {}",
                kept_aside.display()
            ),
            ModelError::RateLimited { .. } => {
                "try again then; with HF_TOKEN the limits are higher".to_owned()
            }
            ModelError::ServerGone { .. } => {
                "check the network and HF_ENDPOINT; what was fetched is kept, and the next attempt goes on from \
                 there"
                    .to_owned()
            }
            ModelError::BadAnswer { .. } => {
                "check HF_ENDPOINT, and whether a proxy answers in its place".to_owned()
            }
            ModelError::InUse { .. } => "try again when that is done, or end it".to_owned(),
            ModelError::BadPins { .. } => {
                "mend it, or remove it and pin anew: dataflow models pull".to_owned()
            }
            ModelError::Disk { .. } => {
                "make it readable and writable, or set HF_HOME to another folder".to_owned()
            }
            ModelError::Internal { .. } => "this is a bug of dataflow: please report it".to_owned(),
            ModelError::Cancelled => "ask for it again".to_owned(),
        }
    }

    /// The same, for whoever is in another process.
    #[must_use]
    pub fn failure(&self) -> ModelFailure {
        ModelFailure {
            code: self.code().to_owned(),
            what: self.to_string(),
            remedy: self.remedy(),
        }
    }
}

impl From<BadName> for ModelError {
    fn from(bad: BadName) -> ModelError {
        ModelError::BadName {
            what: bad.what,
            text: bad.text,
            why: bad.why,
        }
    }
}
