//! Where what is known of peers comes from: the agent of this machine, or a file.

use std::path::{Path, PathBuf};

use dataflow_descriptor::{Peers, check_peers_file, check_peers_file_on};
use dataflow_ids::PeerId;
use dataflow_runtime::client::Client;
use dataflow_runtime::machine;
use dataflow_runtime::registry::{self, FoundAgent};
use dataflow_wire::client::{ClientReply, ClientRequest};
use dataflow_wire::peers::PeersStatus;

use crate::error::{CliError, Exit};
use crate::{diagnostics, say, silence};

/// The file of peers when nothing is said and no agent runs.
const FILE: &str = "peers.yaml";

/// How the peers of this machine's agent stand; `None` when no agent runs.
///
/// # Errors
///
/// [`CliError`] when it does not answer.
pub(crate) fn status() -> Result<Option<PeersStatus>, CliError> {
    match registry::agent()? {
        Some(agent) => status_of(&agent).map(Some),
        None => Ok(None),
    }
}

fn status_of(agent: &FoundAgent) -> Result<PeersStatus, CliError> {
    let (this, pid) = (agent.this.clone(), agent.pid);
    let mut said = None;
    let on_silence = Box::new(move |silence: &dataflow_runtime::client::Silence| {
        if said.replace(silence.state) != Some(silence.state) {
            let what = format!("waiting for the agent `{this}` (pid {pid}): it does not answer");
            say(&what, silence::remedy(silence).as_deref());
        }
    });
    let mut client = Client::connect_to_agent(agent, on_silence)?;
    match client.request(&ClientRequest::Peers)? {
        ClientReply::Peers(status) => Ok(*status),
        _ => Err(dataflow_runtime::client::ClientError::Unexpected.into()),
    }
}

/// The id of a peer that was typed.
///
/// # Errors
///
/// [`CliError::BadPeerId`] when it cannot be one.
pub(crate) fn peer_id(text: &str) -> Result<PeerId, CliError> {
    PeerId::new(text).map_err(|error| CliError::BadPeerId {
        text: text.to_owned(),
        why: error.to_string(),
    })
}

/// Reads and checks a file of peers on the machine that is `this` in it. Every diagnostic, warnings too, goes to
/// standard error.
///
/// # Errors
///
/// [`CliError::Said`] when it has errors: they have been said.
pub(crate) fn load_on(file: &Path, this: &PeerId) -> Result<Peers, CliError> {
    let checked = check_peers_file_on(file, &machine::as_peer(this.clone()));
    diagnostics::say_all(&checked.diagnostics, checked.omitted);
    checked.peers.ok_or(CliError::Said(Exit::WrongInput))
}

/// Reads and checks a file of peers. Every diagnostic, warnings too, goes to standard error.
///
/// # Errors
///
/// [`CliError::Said`] when it has errors: they have been said.
pub(crate) fn load(file: &Path) -> Result<Peers, CliError> {
    let checked = check_peers_file(file);
    diagnostics::say_all(&checked.diagnostics, checked.omitted);
    checked.peers.ok_or(CliError::Said(Exit::WrongInput))
}

/// The file that a command means: the one that was named, else that of the agent that runs here, else `peers.yaml` in
/// this folder.
///
/// # Errors
///
/// [`CliError::NoPeersFile`] when there is none of these.
pub(crate) fn file(named: Option<&Path>) -> Result<PathBuf, CliError> {
    if let Some(file) = named {
        return Ok(file.to_owned());
    }
    if let Some(agent) = registry::agent()? {
        return Ok(agent.file);
    }
    match Path::new(FILE).is_file() {
        true => Ok(FILE.into()),
        false => Err(CliError::NoPeersFile),
    }
}
