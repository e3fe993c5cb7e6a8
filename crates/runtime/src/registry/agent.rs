//! The entry of the agent: one a user and machine, found by every command of that user.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use dataflow_ids::PeerId;
use serde::{Deserialize, Serialize};

use super::claim::{Claimed, busy, claim_in};
use super::{
    Claim, Registry, RegistryError, canonical, connect, living, private_folder, read_private_folder,
};

/// The folder of its entry, which no hash of a project's path is like.
const FOLDER: &str = "agent";
/// The entry's name.
const NAME: &str = "agent";

/// What stands in the entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    this: PeerId,
    file: PathBuf,
    pid: u32,
}

/// An agent that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAgent {
    /// Its own id.
    pub this: PeerId,
    /// The file that says who its peers are, absolute.
    pub file: PathBuf,
    /// Its process.
    pub pid: u32,
    /// Its socket.
    pub socket: PathBuf,
}

impl FoundAgent {
    fn read(text: &[u8], socket: &Path) -> Option<FoundAgent> {
        let entry: Entry = serde_json::from_slice(text).ok()?;
        Some(FoundAgent {
            this: entry.this,
            file: entry.file,
            pid: entry.pid,
            socket: socket.to_path_buf(),
        })
    }

    /// Connects to its socket.
    pub(crate) fn connect(&self) -> io::Result<UnixStream> {
        connect(&self.socket)
    }
}

impl Registry {
    /// Claims to be this user's agent on this machine, and makes its socket. `file` is the file of its peers.
    ///
    /// # Errors
    ///
    /// [`RegistryError::AgentRunsAlready`] when another process, or this one, holds the claim.
    pub(crate) fn claim_agent(&self, this: &PeerId, file: &Path) -> Result<Claim, RegistryError> {
        private_folder(&self.root)?;
        let place = self.root.join(FOLDER);
        private_folder(&place)?;
        let entry = Entry {
            this: this.clone(),
            file: canonical(file),
            pid: std::process::id(),
        };
        match claim_in(&place, NAME, &entry)? {
            Claimed::Ours(claim) => Ok(claim),
            Claimed::Held { by, entry, socket } => match FoundAgent::read(&by, &socket) {
                Some(agent) => Err(RegistryError::AgentRunsAlready(Box::new(agent))),
                None => Err(busy(&entry)),
            },
        }
    }

    /// The agent of this user on this machine, if one runs. What is left of one that is gone is removed.
    ///
    /// # Errors
    ///
    /// As [`Registry::find`].
    pub fn agent(&self) -> Result<Option<FoundAgent>, RegistryError> {
        // Others must not be able to put one there.
        read_private_folder(&self.root)?;
        let place = self.root.join(FOLDER);
        read_private_folder(&place)?;
        let socket = place.join(format!("{NAME}.sock"));
        let text = living(&socket.with_extension("json"), &socket)?;
        Ok(text.and_then(|text| FoundAgent::read(&text, &socket)))
    }
}

/// The agent of this user on this machine; see [`Registry::agent`].
///
/// # Errors
///
/// As [`Registry::agent`].
pub fn agent() -> Result<Option<FoundAgent>, RegistryError> {
    Registry::of_this_process().agent()
}
