//! The conversation between a command (`ps`, `down`, …) and the runtime of a dataflow, or an agent, over its Unix
//! socket.
//!
//! The command speaks first (`Hello`). Each request is answered by one reply, except `Stop` and `Follow`,
//! which are answered by a stream that ends with `Ended`, `StopNode` and `RestartNode`, which are answered by
//! `Accepted` and a stream that ends with `NodeStands`, and `Up`, which is answered by `UpRefused`, or by `Begun` and a
//! stream of `News` that ends with `Ended` or `BrokeOff`. A reply that is too long for a frame comes in parts.
//!
//! An agent answers `Peers`, `Watch` and `Up`, and while it runs what it was asked to run, `Stop` and `Force` on the same
//! connection. Everything else is asked of the dataflow itself, at its own socket. Who watches may only say `Watch` again
//! on that connection; it ends with what is watched.

mod hosting;
mod parts;

use std::time::Duration;

use dataflow_ids::stats::{Delta, Statistics};
use dataflow_ids::{End, Forcer, NodeId, StopMode};
use serde::{Deserialize, Serialize};

use crate::hello::ProtocolMismatch;
use crate::peers::PeersStatus;
use crate::status::{DataflowStatus, NodeStatus, Report, Waiting};

pub use hosting::{OnLeave, RunNews, UpRefusal, UpRequest};
pub use parts::{PART_BYTES_MAX, Parts, REPLY_BYTES_MAX, in_frames, in_parts};

/// The version of this conversation. Both sides refuse any other.
pub const CLIENT_PROTOCOL: u32 = 5;

/// Compares the version that the other side has said, in `Hello` or in `Welcome`, with [`CLIENT_PROTOCOL`].
///
/// # Errors
///
/// [`ProtocolMismatch`] when they differ; it names both and the remedy.
pub fn check_hello(theirs: u32) -> Result<(), ProtocolMismatch> {
    if theirs == CLIENT_PROTOCOL {
        return Ok(());
    }
    Err(ProtocolMismatch {
        conversation: "command",
        ours: CLIENT_PROTOCOL,
        theirs,
        remedy: "use the `dataflow` command that started this dataflow, or stop it with that one and start \
                 it again",
    })
}

/// What a command asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientRequest {
    /// The first message of all.
    Hello {
        /// [`CLIENT_PROTOCOL`] of the command.
        protocol: u32,
    },
    /// How the dataflow stands.
    Status,
    /// Stop the dataflow. Repeating it changes nothing, except that `Now` is stronger than `Graceful`.
    /// Answered by `Waiting` now and then, and by `Ended`.
    Stop {
        /// After what is queued, or ahead of it.
        mode: StopMode,
        /// Kill what still lives after this time. `None`: never.
        force_after: Option<Duration>,
    },
    /// Kill every process of the dataflow, on this person's word.
    Force {
        /// Whose word.
        by: Forcer,
    },
    /// Stay, and say how it ends.
    Follow,
    /// Park a node: it is told to stop, what is queued for it is kept, and its outputs stay open. Answered by
    /// `NodeRefused`, or by `Accepted`, `Waiting` now and then, and `NodeStands`; or by `Refused`, when it was lost with
    /// the actor that should have heard it.
    StopNode {
        /// Which node.
        node: NodeId,
        /// On whose word its process is killed instead of told.
        kill: Option<Forcer>,
    },
    /// Start a node again; it does not count for its restart policy. Answered as `StopNode` is.
    RestartNode {
        /// Which node.
        node: NodeId,
        /// On whose word its process is killed instead of told.
        kill: Option<Forcer>,
    },
    /// How the peers stand. Asked of an agent.
    Peers,
    /// Run a dataflow. Asked of an agent.
    Up(Box<UpRequest>),
    /// Send the statistics, and then what changes, until the command goes. Asked again on the same connection, it brings
    /// the whole of them once more. Answered by `Statistics`, and by `StatisticsDelta` now and then.
    Watch {
        /// How often, at most. Nobody is told more than 10 times a second.
        every: Duration,
    },
}

/// Why nothing is done about a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeRefusal {
    /// The dataflow has no such node.
    Unknown {
        /// The nodes it has.
        known: Vec<NodeId>,
    },
    /// The dataflow stops.
    Stopping,
    /// The node has ended for good, and its edges are closed.
    Ended {
        /// How.
        end: End,
    },
    /// The node has not been started yet.
    NotStarted,
}

/// What the runtime answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ClientReply {
    /// The answer to `Hello`.
    Welcome {
        /// [`CLIENT_PROTOCOL`] of the runtime.
        protocol: u32,
        /// The runtime's process.
        pid: u32,
        /// Whether that process is an agent, which lives on when a dataflow has ended.
        is_agent: bool,
    },
    /// The request is refused; the socket closes after it.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// The answer to `Status`.
    Status(Box<DataflowStatus>),
    /// The answer to `Force`: it is done at once, the end follows on `Stop` and `Follow`. And the first answer to
    /// `StopNode` and `RestartNode`: the node is told.
    Accepted,
    /// Nothing is done about a node.
    NodeRefused(NodeRefusal),
    /// Whom a stop waits for.
    Waiting(Vec<Waiting>),
    /// The last answer to `StopNode` and `RestartNode`: the node is where it was to go, or cannot come there any
    /// more.
    NodeStands {
        /// How it stands.
        status: Box<NodeStatus>,
        /// On whose word the process that it had was killed for this.
        killed: Option<Forcer>,
    },
    /// The dataflow has ended.
    Ended(Box<Report>),
    /// The answer to `Peers`.
    Peers(Box<PeersStatus>),
    /// Nothing was started.
    UpRefused(UpRefusal),
    /// The dataflow has begun.
    Begun {
        /// The run's name.
        run: String,
    },
    /// What has happened since the last of these.
    News(Vec<RunNews>),
    /// The runtime could not go on with the dataflow, or how it ended is not on the disk. With the latter, `Ended`
    /// follows.
    BrokeOff {
        /// Why, and what to do.
        why: String,
        /// Whether `Ended` follows.
        has_ended: bool,
    },
    /// The first answer to `Watch`.
    Statistics(Box<Statistics>),
    /// What has changed since the last answer to `Watch`. Nothing but the moment, when nothing has.
    StatisticsDelta(Box<Delta>),
    /// A part of a reply that is too long for one frame: see [`Parts`].
    Part {
        /// The next bytes of the whole reply.
        bytes: Vec<u8>,
        /// Whether it ends with these.
        is_last: bool,
    },
}
