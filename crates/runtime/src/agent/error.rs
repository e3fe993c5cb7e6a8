//! Why an agent cannot begin, or cannot go on.

use std::io;
use std::path::PathBuf;

use dataflow_descriptor::nearest;
use dataflow_ids::PeerId;

use super::peers::PeerServiceError;
use super::reload::OpenToOthers;
use crate::error::ErrorClass;
use crate::network::{IdentityError, NetworkError};
use crate::registry::{FoundAgent, RegistryError};
use crate::statistics::MetricsError;

/// Why an agent could not begin. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Another agent of this user runs on this machine.
    #[error(
        "an agent runs already on this machine: `{}` (pid {}, {}). `dataflow peers` shows it, `kill {}` stops it \
         with everything that runs on it", .0.this, .0.pid, .0.file.display(), .0.pid
    )]
    RunsAlready(Box<FoundAgent>),
    /// This machine is not in the file of peers.
    #[error(
        "{} has no peer `{this}`{}", file.display(),
        match nearest(this.as_str(), known.iter().map(PeerId::as_str)) {
            Some(near) => format!(": did you mean `--node {near}`?"),
            None => format!(
                ": say with --node which of them this machine is ({}), or add it",
                known.iter().map(PeerId::as_str).collect::<Vec<_>>().join(", ")
            ),
        }
    )]
    NotListed {
        /// Who this machine is said to be.
        this: PeerId,
        /// The file.
        file: PathBuf,
        /// The peers it has.
        known: Vec<PeerId>,
    },
    /// Somebody else may write the file of peers.
    #[error(transparent)]
    OpenToOthers(#[from] OpenToOthers),
    /// There is no key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The network does not start.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Nobody could read metrics there.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The place of its socket cannot be used.
    #[error(transparent)]
    Registry(RegistryError),
    /// The system gives no randomness.
    #[error("the system gives no random numbers")]
    Random,
}

impl AgentError {
    /// Whose turn it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            AgentError::RunsAlready(_)
            | AgentError::NotListed { .. }
            | AgentError::OpenToOthers(_)
            | AgentError::Identity(_) => ErrorClass::Input,
            // At a start of the machine, an address or a port may still come.
            AgentError::Network(_)
            | AgentError::Metrics(_)
            | AgentError::Registry(_)
            | AgentError::Random => ErrorClass::Failure,
        }
    }
}

impl From<RegistryError> for AgentError {
    fn from(error: RegistryError) -> AgentError {
        match error {
            RegistryError::AgentRunsAlready(found) => AgentError::RunsAlready(found),
            error => AgentError::Registry(error),
        }
    }
}

/// Why an agent broke off. Its dataflows were stopped before, as `down` does it.
#[derive(Debug, thiserror::Error)]
pub enum AgentRunError {
    /// Peers cannot be watched any more.
    #[error(transparent)]
    Peers(#[from] PeerServiceError),
    /// Commands cannot reach it any more.
    #[error("commands cannot reach this agent any more: {0}")]
    Socket(io::Error),
    /// The system gives no thread for the statistics.
    #[error("the agent cannot start the thread of statistics: {0}")]
    Statistics(io::Error),
    /// The system gives no thread for metrics.
    #[error("the agent cannot start the thread that answers over HTTP: {0}")]
    Metrics(io::Error),
    /// A part of it has panicked.
    #[error(
        "the agent's {part} cannot go on ({what}). This is a fault of ours: please report it with what the agent logged"
    )]
    Panicked {
        /// Which.
        part: &'static str,
        /// What it said.
        what: String,
    },
}
