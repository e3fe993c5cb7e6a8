//! What the machine of a peer is told, and what it wants done.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use dataflow_ids::{
    BootId, ClusterName, Fingerprint, HealthCheck, LinkId, PeerId, PeerState, span,
};

use crate::Time;

/// Where a peer is, and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerTarget {
    /// Where it listens.
    pub address: SocketAddr,
    /// The keys that it may show: none, one, or two while one takes the other's place.
    pub fingerprints: Vec<Fingerprint>,
}

/// One dial. Never used twice by one machine: what an older one still says is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// Who began a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// We did.
    Dialled,
    /// The other side did.
    Accepted,
}

/// A connection on which both hellos have passed: the other side is who it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFacts {
    /// The connection.
    pub link: LinkId,
    /// Who began it.
    pub direction: Direction,
    /// Which start of the other agent is at its end.
    pub boot: BootId,
    /// The other end's address, as it appears here.
    pub from: SocketAddr,
}

/// Why a dial came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialFailure {
    /// Nothing came back in time.
    NoAnswer,
    /// Nobody listens on that port: the machine says so.
    Refused,
    /// There is no way there, in the system's words.
    NoRoute(String),
    /// Somebody is there who cannot be taken.
    Rejected(Rejection),
    /// Anything else, in one line.
    Other(String),
}

/// Why two agents that reach each other do not take each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The file has no fingerprint for it, and it is not on loopback.
    NoFingerprint,
    /// It shows a key that the file does not name.
    WrongKey {
        /// The key that came.
        came: Fingerprint,
    },
    /// It does not know our key, and said so.
    OurKeyRefused,
    /// It is of another cluster.
    OtherCluster {
        /// Its own.
        theirs: ClusterName,
    },
    /// It says that it is another peer.
    OtherPeer {
        /// Who it says it is.
        theirs: PeerId,
    },
    /// It speaks another version of the conversation.
    OtherProtocol {
        /// Ours.
        ours: u32,
        /// Its.
        theirs: u32,
    },
    /// Our id is not in its file.
    NotListed,
    /// Another agent with our own id is connected to it, and lives.
    OurIdTaken,
    /// Another agent with the same id is connected, and lives.
    DuplicateId {
        /// Where that one is.
        other: SocketAddr,
    },
    /// The address leads to this very agent.
    Itself,
    /// It does not speak our protocol at all.
    NotAnAgent {
        /// What was wrong, in one line.
        what: String,
    },
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEnd {
    /// Nothing came for longer than the idle time.
    Idle,
    /// The other side said goodbye.
    ByPeer(CloseCode),
    /// The other side has forgotten it: it had given it up, or was started anew.
    Reset,
    /// The other side was started anew: another start of it is connected.
    StartedAnew,
    /// Anything else, in one line.
    Other(String),
}

/// Why a side closes a connection; the code that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// Another connection to the same peer is kept.
    Superseded,
    /// The agent ends.
    Ending,
    /// The peer is not in the file any more, or its entry has changed.
    Reconfigured,
    /// Another agent with the same id is connected, and lives.
    DuplicateId,
    /// What came was no message.
    Garbage,
    /// Probes had no answer on it.
    Unanswered,
}

/// Something that the machine of a peer is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEvent {
    /// This is its entry in the file: for the first time, or changed.
    Configured {
        /// Where it is, and how it is known.
        target: PeerTarget,
        /// How peers are watched.
        health_check: HealthCheck,
    },
    /// The moment of a [`PeerCommand::WakeAt`] has come. Any number of them may come.
    Wake,
    /// A dial has ended.
    DialEnded {
        /// Which.
        dial: DialId,
        /// The connection, or why there is none.
        result: Result<LinkFacts, DialFailure>,
    },
    /// The peer has dialled us, and both hellos have passed.
    Accepted(LinkFacts),
    /// A connection has ended.
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
        /// How long the answer took on the network, without our own control loop.
        round_trip: Duration,
        /// For how long the peer's control loop had been silent when it answered.
        control_silent_for: Duration,
    },
    /// Somebody whom the file does not mean has shown up in its place and was refused.
    Stranger(Rejection),
    /// Our own loop did not run for this long: what was missed meanwhile says nothing about anybody else.
    Stalled(Duration),
}

/// Something that the machine of a peer wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerCommand {
    /// Dial it; the answer is [`PeerEvent::DialEnded`], always, within the timeout of the health check.
    Dial(DialId),
    /// Give up a dial: its answer is not needed.
    Cancel(DialId),
    /// Probe it.
    Probe {
        /// On this connection.
        link: LinkId,
        /// This is the probe's number on it.
        sequence: u64,
    },
    /// Close a connection.
    Close {
        /// Which.
        link: LinkId,
        /// What the other side is told.
        code: CloseCode,
    },
    /// Tell people that somebody who came in its place was refused; how it stands is not touched by that.
    Refused(Rejection),
    /// Tell [`PeerEvent::Wake`] at this moment. A later command replaces an earlier one.
    WakeAt(Time),
    /// It stands otherwise than before. Said once a change.
    Changed(PeerCondition),
}

/// How a peer stands, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCondition {
    /// Where it stands.
    pub state: PeerState,
    /// Why.
    pub reason: Reason,
    /// Since when it has been in this state. A change of the reason alone does not change this.
    pub since: Time,
    /// With the change to healthy: how long it was not. `None` for the first time.
    pub outage: Option<Duration>,
}

/// Why a peer stands as it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is dialled for the first time.
    Connecting,
    /// It is connected and answers.
    Answers,
    /// It is connected, and has to answer some probes before it counts as healthy again.
    Recovering,
    /// The connection has ended.
    Lost(LinkEnd),
    /// The last dial came to nothing.
    NotReached(DialFailure),
    /// It is connected, and probes had no answer in time.
    Silent {
        /// How many in a row.
        missed: u32,
    },
    /// It is connected, and its control loop does not run.
    SlowControl {
        /// For how long.
        silent_for: Duration,
    },
    /// It is there, and it is not what the file says.
    Rejected(Rejection),
}

impl fmt::Display for DialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialFailure::NoAnswer => f.write_str("no answer"),
            DialFailure::Refused => f.write_str("connection refused"),
            DialFailure::NoRoute(what) | DialFailure::Other(what) => f.write_str(what),
            DialFailure::Rejected(rejection) => rejection.fmt(f),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejection::NoFingerprint => f.write_str("no fingerprint"),
            Rejection::WrongKey { came } => write!(f, "its key is {came}"),
            Rejection::OurKeyRefused => f.write_str("it does not know our key"),
            Rejection::OtherCluster { theirs } => write!(f, "it belongs to the cluster `{theirs}`"),
            Rejection::OtherPeer { theirs } => write!(f, "the agent there is `{theirs}`"),
            Rejection::OtherProtocol { ours, theirs } => {
                write!(f, "it speaks version {theirs} between peers, and we {ours}")
            }
            Rejection::NotListed => f.write_str("its file does not list us"),
            Rejection::OurIdTaken => f.write_str("another agent with our id is connected there"),
            Rejection::DuplicateId { other } => {
                write!(f, "another agent with this id is connected, from {other}")
            }
            Rejection::Itself => f.write_str("the address leads to this agent itself"),
            Rejection::NotAnAgent { what } => write!(f, "no agent is there: {what}"),
        }
    }
}

impl fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkEnd::Idle => f.write_str("nothing came for too long"),
            LinkEnd::ByPeer(CloseCode::Ending) => f.write_str("its agent ends"),
            LinkEnd::ByPeer(CloseCode::Superseded) => {
                f.write_str("another connection took its place")
            }
            LinkEnd::ByPeer(CloseCode::Reconfigured) => f.write_str("its file has changed"),
            LinkEnd::ByPeer(CloseCode::DuplicateId) => {
                f.write_str("another agent with our id is connected there")
            }
            LinkEnd::ByPeer(CloseCode::Garbage) => f.write_str("it did not understand us"),
            LinkEnd::ByPeer(CloseCode::Unanswered) => f.write_str("it had no answers from us"),
            LinkEnd::Reset => f.write_str("it has forgotten the connection"),
            LinkEnd::StartedAnew => f.write_str("its agent was started anew"),
            LinkEnd::Other(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Connecting => f.write_str("connecting"),
            Reason::Answers => f.write_str("answers"),
            Reason::Recovering => f.write_str("recovering"),
            Reason::Lost(end) => write!(f, "reconnecting: {end}"),
            Reason::NotReached(failure) => failure.fmt(f),
            Reason::Silent { missed: 1 } => f.write_str("1 probe without an answer"),
            Reason::Silent { missed } => write!(f, "{missed} probes without an answer"),
            Reason::SlowControl { silent_for } => {
                write!(
                    f,
                    "its control loop has been silent for {}",
                    span::plain(*silent_for)
                )
            }
            Reason::Rejected(rejection) => rejection.fmt(f),
        }
    }
}
