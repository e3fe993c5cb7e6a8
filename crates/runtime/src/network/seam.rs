//! The seam between what decides about peers and what has sockets.
//!
//! Who decides holds a [`Network`], which never waits; what happens comes as [`NetworkEvent`]s. QUIC stands behind it
//! (on a thread of its own), or in tests a network that does what a script says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use dataflow_core::peers::{
    CloseCode, DialFailure, DialId, LinkEnd, LinkFacts, PeerTarget, Rejection,
};
use dataflow_ids::{BootId, ClusterName, Fingerprint, LinkId, PeerId};
use dataflow_wire::peers::Offer;

/// Reaches peers. Nothing in it blocks or waits.
pub trait Network {
    /// From now on these may come in, and no others; connections that are there stay. Before this nobody may.
    fn trust(&self, trust: Trust);

    /// Dials a peer. Answered by one [`NetworkEvent::DialEnded`], within `timeout`, unless it is cancelled.
    fn dial(&self, peer: PeerId, dial: DialId, target: PeerTarget, timeout: Duration);

    /// Gives up a dial. An answer to it may still come.
    fn cancel(&self, peer: &PeerId, dial: DialId);

    /// Asks for a sign of life. Answered by [`NetworkEvent::Answered`], or never.
    fn probe(&self, link: LinkId, sequence: u64);

    /// Closes a connection; what is known of it is forgotten, and no [`NetworkEvent::LinkEnded`] follows.
    fn close(&self, link: LinkId, code: CloseCode);

    /// How a connection does at this moment; `None` when there is none of that name.
    fn reading(&self, link: LinkId) -> Option<LinkReading>;

    /// The control loop lives. For how long it has been silent since is told to peers with every answer.
    fn beat(&self);
}

/// Who may come in, and as whom this agent goes out.
#[derive(Debug, Clone, PartialEq)]
pub struct Trust {
    /// The agent's own id.
    pub this: PeerId,
    /// The cluster that both must belong to.
    pub cluster: ClusterName,
    /// What this machine has, to be told to peers.
    pub offer: Offer,
    /// Every other peer of the file.
    pub peers: BTreeMap<PeerId, Trusted>,
}

/// What is known of a peer that may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// Where it listens; it may come from anywhere.
    pub address: SocketAddr,
    /// The keys that it may show. With none it is let in from loopback alone.
    pub fingerprints: Vec<Fingerprint>,
}

/// What a peer has said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerHello {
    /// Who it is.
    pub peer: PeerId,
    /// This start of it.
    pub boot: BootId,
    /// The version of its `dataflow`.
    pub version: String,
    /// What its machine has.
    pub offer: Offer,
    /// The cluster that it belongs to.
    pub cluster: ClusterName,
    /// The fingerprint of the key that it has proven to have.
    pub fingerprint: Fingerprint,
}

/// Something that has happened on the network.
#[derive(Debug, Clone, PartialEq)]
pub enum NetworkEvent {
    /// A dial has ended.
    DialEnded {
        /// Whom it was to reach.
        peer: PeerId,
        /// Which dial.
        dial: DialId,
        /// The connection with what the peer said, or why there is none.
        result: Result<(LinkFacts, PeerHello), DialFailure>,
    },
    /// A peer that might come in when it was looked at has done so. Whether it still may has to be asked
    /// ([`Trust::admits`]): the file may have changed since, and the caller can draw that moment out.
    Accepted {
        /// The connection.
        facts: LinkFacts,
        /// What it has said; it was one of [`Trust::peers`].
        hello: PeerHello,
    },
    /// A connection has ended that was not closed from here. Said once.
    LinkEnded {
        /// Which.
        link: LinkId,
        /// How.
        end: LinkEnd,
    },
    /// A probe was answered.
    Answered {
        /// On which connection.
        link: LinkId,
        /// Which probe.
        sequence: u64,
        /// How long the answer took on the network.
        round_trip: Duration,
        /// For how long the peer's control loop had been silent.
        control_silent_for: Duration,
    },
    /// Somebody was refused who came in. A flood of them is thinned out, and counted.
    Stranger {
        /// From where.
        from: SocketAddr,
        /// The peer that it claims to be, or whose address it has, when it is one.
        peer: Option<PeerId>,
        /// Why it was refused.
        rejection: Rejection,
        /// How many more were refused since the last one that was told.
        more: u64,
    },
    /// The network itself is in trouble, or out of it: the socket, in one line. Connections may come back by themselves.
    Trouble(Option<String>),
}

/// How a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkReading {
    /// The other end's address at this moment; a peer may move.
    pub address: SocketAddr,
    /// The smoothed round trip of the transport.
    pub round_trip: Duration,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets of them that were lost.
    pub packets_lost: u64,
}
