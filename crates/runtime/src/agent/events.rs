//! What an agent tells its caller while it runs.

use std::net::SocketAddr;
use std::time::Duration;

use dataflow_core::peers::Rejection;
use dataflow_ids::{PeerId, PeerState};

/// Something that happened in an agent, in the order in which it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentEvent {
    /// The agent listens, and commands find it.
    Ready {
        /// Who it is.
        this: PeerId,
        /// Where it listens.
        address: SocketAddr,
        /// Where programs read metrics over HTTP, if they are to.
        metrics: Option<SocketAddr>,
        /// How many other peers its file has.
        peers: usize,
    },
    /// A peer stands otherwise than before.
    Peer {
        /// Which.
        peer: PeerId,
        /// Where it stood.
        from: PeerState,
        /// Where it stands.
        to: PeerState,
        /// Why, in one line.
        because: String,
        /// What to do about it, in one line, when there is something to do.
        remedy: Option<String>,
        /// For how long it was in `from`.
        lasted: Duration,
        /// With a return to healthy: for how long it was not.
        outage: Option<Duration>,
    },
    /// Somebody was refused who came in.
    Stranger {
        /// From where, when it is known.
        from: Option<SocketAddr>,
        /// The peer that it claims to be, when it is one of the file.
        peer: Option<PeerId>,
        /// Why.
        rejection: Rejection,
        /// How many more were refused since the last one that was told.
        more: u64,
    },
    /// The file of peers has changed, and what it says now counts.
    Reloaded {
        /// Peers that are new.
        added: Vec<PeerId>,
        /// Peers that are not in it any more.
        removed: Vec<PeerId>,
        /// Peers whose entry is another one.
        changed: Vec<PeerId>,
    },
    /// The file of peers has changed, and is wrong: what it said before still counts. Said once a content.
    ReloadRefused {
        /// What is wrong, as `peers check` says it.
        report: String,
    },
    /// The network itself is in trouble, or out of it: in one line.
    Trouble(Option<String>),
    /// A dataflow has begun on this agent.
    RunBegun {
        /// Its name.
        dataflow: String,
    },
    /// A dataflow has ended on this agent.
    RunEnded {
        /// Its name.
        dataflow: String,
        /// How, in one line.
        how: String,
    },
    /// The agent has ended. Nothing follows.
    Ended,
}
