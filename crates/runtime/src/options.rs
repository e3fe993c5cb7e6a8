//! What a caller may choose for one run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dataflow_core::placement::Capabilities;
use dataflow_ids::PeerId;

use crate::interruption::Interruption;

/// Choices for one run that are not part of the description.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Kill what still lives this long after a stop began. `None`: never.
    pub force_after: Option<Duration>,
    /// The terminal of the caller, for nodes that draw: they find it as `DATAFLOW_TERMINAL`.
    pub terminal: Option<PathBuf>,
    /// What the log of one node may take on the disk, in bytes. `None`: [`LOG_BYTES_MAX`](crate::logs::LOG_BYTES_MAX).
    pub log_bytes_max: Option<u64>,
    /// How many bytes of models may come in a second, over all that are fetched. `None`: as many as come.
    pub fetch_bytes_per_second_max: Option<u64>,
    /// The environment that nodes get before what the description adds, and that says where models come from. `None`:
    /// that of this process.
    pub environment: Option<Arc<GivenEnvironment>>,
    /// The machine as a peer, when an agent runs the dataflow. `None`: it has no name that others know.
    pub agent: Option<AgentMachine>,
    /// Where programs read metrics over HTTP. `None`: nowhere.
    pub metrics: Option<SocketAddr>,
    /// The seed of every random choice. `None`: taken from the clock.
    pub seed: Option<u64>,
    /// Breaks off [`prepare`](crate::prepare) from another thread.
    pub interruption: Interruption,
}

/// The environment of another process, on whose word a dataflow runs here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenEnvironment {
    /// Its variables, whole.
    pub variables: Arc<BTreeMap<OsString, OsString>>,
    /// Its working folder, where relative paths of theirs begin.
    pub folder: PathBuf,
}

impl RunOptions {
    /// What the ledger calls this machine.
    pub(crate) fn this_machine(&self) -> PeerId {
        self.agent.as_ref().map_or_else(
            || PeerId::new("this-machine").expect("this is a name"),
            |agent| agent.peer.clone(),
        )
    }
}

/// The machine of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentMachine {
    /// Its id in the file of peers: what a node's `peer` names.
    pub peer: PeerId,
    /// What it offers to nodes.
    pub capabilities: Capabilities,
}
