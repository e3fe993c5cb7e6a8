//! What the network of an agent is started with, its limits, and why it cannot start.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use dataflow_core::peers::{IDLE, KEEP_ALIVE};
use dataflow_ids::BootId;

use super::identity::Identity;

/// What the network of an agent is started with.
#[derive(Debug, Clone)]
pub struct NetworkSettings {
    /// Where it listens. It dials from there too. Port 0 stands for any.
    pub listen: SocketAddr,
    /// The agent's key.
    pub identity: Identity,
    /// This start of the agent.
    pub boot: BootId,
    /// The version of its `dataflow`, as others are told.
    pub version: String,
    /// How much of it others may use.
    pub limits: NetworkLimits,
}

/// How much of an agent others may use, and for how long. Each holds for strangers and for peers that misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkLimits {
    /// Handshakes with callers in progress, of all addresses.
    pub handshakes_max: usize,
    /// Handshakes with callers in progress, of one address. Whoever comes from exactly where a peer listens is
    /// counted apart, so that others on its machine do not keep it out.
    pub handshakes_per_address_max: usize,
    /// How long a caller has for the handshake and its hello.
    pub hello_within: Duration,
    /// Connections of one peer at the same time. More than one come up when both dial at once.
    pub links_per_peer_max: usize,
    /// Connections that one peer may begin at once, before `link_every` counts.
    pub links_at_once: u32,
    /// How often one peer may begin a connection in the long run.
    pub link_every: Duration,
    /// Probes that one peer may send at once, before `probe_every` counts.
    pub probes_at_once: u32,
    /// How often one peer may probe in the long run.
    pub probe_every: Duration,
    /// How often strangers that come as the same peer, or as none, are told of.
    pub stranger_every: Duration,
    /// How often something is sent on a connection on which nothing else is.
    pub keep_alive: Duration,
    /// After how long without any packet a connection has ended.
    pub idle: Duration,
}

impl Default for NetworkLimits {
    fn default() -> NetworkLimits {
        NetworkLimits {
            handshakes_max: 256,
            handshakes_per_address_max: 16,
            hello_within: Duration::from_secs(5),
            links_per_peer_max: 8,
            links_at_once: 32,
            link_every: Duration::from_millis(500),
            probes_at_once: 64,
            probe_every: Duration::from_millis(20),
            stranger_every: Duration::from_secs(1),
            keep_alive: KEEP_ALIVE,
            idle: IDLE,
        }
    }
}

/// Why the network does not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Another program has the port.
    #[error(
        "the port {} (UDP) of {} is taken{}. Stop that program, or listen elsewhere (--listen, and `address` in the \
         file of peers)",
        address.port(), address.ip(),
        match holder {
            Some(holder) => format!(" by {holder}"),
            None => format!(": `ss -ulpn 'sport = :{}'` says by whom", address.port()),
        }
    )]
    PortTaken {
        /// Where it should listen.
        address: SocketAddr,
        /// Which process has it, when that can be seen.
        holder: Option<String>,
    },
    /// The address is not this machine's.
    #[error(
        "{} is no address of this machine: `ip address` lists them. Mend `address` in the file of peers, or say with \
         --listen where this agent listens",
        address.ip()
    )]
    NotOurAddress {
        /// Where it should listen.
        address: SocketAddr,
    },
    /// The system does not let it listen there.
    #[error("cannot listen at {address} (UDP): {source}")]
    Listen {
        /// Where it should listen.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no thread, or no event loop.
    #[error("cannot start the network's thread: {0}")]
    Thread(io::Error),
    /// The key cannot be used.
    #[error("cannot use the agent's key: {0}")]
    Key(String),
}
