//! The checked file of peers: what the rest of the house works with once a `peers.yaml` has no errors.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use dataflow_ids::{ClusterName, Fingerprint, HealthCheck, PeerId};

/// A file of peers that has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Peers {
    /// The YAML file, absolute.
    pub file: PathBuf,
    /// The `cluster` key; `default` without it.
    pub cluster: ClusterName,
    /// How peers are watched.
    pub health_check: HealthCheck,
    /// In the order of the file. No two have one id, one address or one fingerprint.
    pub peers: Vec<Peer>,
}

impl Peers {
    /// The peer of that id.
    pub fn peer(&self, id: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.id.as_str() == id)
    }
}

/// A machine that runs the runtime.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Its name.
    pub id: PeerId,
    /// Where it listens.
    pub address: SocketAddr,
    /// The keys that it may show: none, one, or two while one takes the other's place.
    pub fingerprints: Vec<Fingerprint>,
    /// What it has, as its owner says.
    pub capabilities: PeerCapabilities,
}

/// `capabilities`: what a machine has, as its owner says. `None` stands for what is not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerCapabilities {
    /// Memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Logical processors.
    pub cpus: Option<u32>,
    /// Whether it has a GPU.
    pub gpu: Option<bool>,
    /// What its owner says about it.
    pub labels: BTreeMap<String, String>,
}

/// The machine that a file of peers is checked on: what it is in the file, and what it has. `None` stands for what could
/// not be found out, about which nothing is said then.
pub struct ThisMachine<'a> {
    /// Its id in the file.
    pub id: PeerId,
    /// Its memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Its logical processors.
    pub cpus: Option<u32>,
    /// Whether it has a GPU.
    pub gpu: Option<bool>,
    /// Whether an address is one of its own.
    pub has_address: &'a dyn Fn(IpAddr) -> bool,
}

impl fmt::Debug for ThisMachine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThisMachine")
            .field("id", &self.id)
            .field("memory_bytes", &self.memory_bytes)
            .field("cpus", &self.cpus)
            .field("gpu", &self.gpu)
            .finish_non_exhaustive()
    }
}
