//! How the peers of an agent stand: what `peers`, `graph --peers` and `--json` show.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use dataflow_ids::{BootId, ClusterName, Fingerprint, PeerId, PeerState};
use serde::{Deserialize, Serialize};

/// An agent and all peers of its file, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeersStatus {
    /// The agent's own id.
    pub this: PeerId,
    /// Where it listens.
    pub address: SocketAddr,
    /// The fingerprint of its key.
    pub fingerprint: Fingerprint,
    /// This start of it.
    pub boot: BootId,
    /// The version of its `dataflow`.
    pub version: String,
    /// For how long it has run.
    pub up_for: Duration,
    /// The cluster it belongs to.
    pub cluster: ClusterName,
    /// What its machine has.
    pub found: Offer,
    /// What the file says that its machine has.
    pub declared: Offer,
    /// The file that says who the peers are.
    pub file: PathBuf,
    /// What is wrong with the file as it stands now, as `peers check` says it; what was read before still counts.
    pub file_problem: Option<String>,
    /// What is doubtful about the file beside what the machine has, a line each.
    pub warnings: Vec<String>,
    /// Every other peer of the file, in its order.
    pub peers: Vec<PeerStatus>,
}

/// A peer at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its name.
    pub peer: PeerId,
    /// Where it should listen.
    pub address: SocketAddr,
    /// The keys that it may show.
    pub fingerprints: Vec<Fingerprint>,
    /// How it stands.
    pub state: PeerState,
    /// For how long it has been in this state.
    pub state_for: Duration,
    /// Why, in one line.
    pub because: String,
    /// What to do about it, in one line, when there is something to do.
    pub remedy: Option<String>,
    /// How often its state has changed since the agent began to watch it.
    pub transitions: u64,
    /// How long its last answer took on the network; `None` while it is not connected.
    pub round_trip: Option<Duration>,
    /// The part of the packets to it that were lost, of a million; `None` while it is not connected.
    pub loss_ppm: Option<u32>,
    /// The address that its connection comes from or goes to; `None` while it is not connected.
    pub connected: Option<SocketAddr>,
    /// What the file says that it has.
    pub declared: Offer,
    /// What it says that it has; `None` until it was connected once.
    pub found: Option<Offer>,
    /// The version of its `dataflow`; `None` until it was connected once.
    pub version: Option<String>,
    /// The start of it that was connected last.
    pub boot: Option<BootId>,
}

/// What a machine offers to nodes. `None` stands for what nobody has said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Offer {
    /// Memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Logical processors.
    pub cpus: Option<u32>,
    /// Whether it has a GPU.
    pub gpu: Option<bool>,
    /// What its owner says about it.
    pub labels: BTreeMap<String, String>,
}
