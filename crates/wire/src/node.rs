//! The conversation between the runtime and a node's library, over the inherited control socket.
//!
//! The node speaks first (`Hello`); the runtime answers `Welcome`, one `Edge` for each edge the node touches,
//! one `Segment` for each live segment of its senders, and `Begin`.

use std::time::Duration;

use dataflow_ids::{
    DataflowName, EdgeId, Epoch, InputId, NodeId, NodeIndex, OutputId, QueuePolicy, SegmentId,
    Sequence, StopMode,
};
use serde::{Deserialize, Serialize};

use crate::hello::ProtocolMismatch;

/// The version of this conversation and of the memory that it hands over (edges of layout 2). Both sides refuse any
/// other.
pub const NODE_PROTOCOL: u32 = 2;

/// The environment variable that holds the number of the inherited control socket.
pub const CONTROL_FD_VARIABLE: &str = "DATAFLOW_CONTROL_FD";

/// Compares the version that the other side has said, in `Hello` or in `Welcome`, with [`NODE_PROTOCOL`].
///
/// # Errors
///
/// [`ProtocolMismatch`] when they differ; it names both and the remedy.
pub fn check_hello(theirs: u32) -> Result<(), ProtocolMismatch> {
    if theirs == NODE_PROTOCOL {
        return Ok(());
    }
    Err(ProtocolMismatch {
        conversation: "node",
        ours: NODE_PROTOCOL,
        theirs,
        remedy: "build the node, or install its Python package, from the same release as the `dataflow` \
                 command",
    })
}

/// What a node's library tells the runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToRuntime {
    /// The first message of all.
    Hello {
        /// [`NODE_PROTOCOL`] of the library.
        protocol: u32,
        /// Name and version of the library, for people: `dataflow-node 0.1.0`.
        library: String,
        /// The process that speaks (it can be a child of the one that was started, if that is a wrapper).
        pid: u32,
    },
    /// The node has made its first `recv`, `send` or `ready()`.
    Ready,
    /// The node has delivered or sent its first message.
    Running,
    /// A new segment of this node; its memfd comes with the frame. Sent before any slot names it.
    SegmentCreated {
        /// Its name.
        segment: SegmentId,
        /// Its length in bytes.
        length: u64,
    },
    /// No slot refers to this segment any more and none will: receivers may unmap it.
    SegmentRetired {
        /// Its name.
        segment: SegmentId,
    },
    /// This receiver has unmapped the segment.
    SegmentUnmapped {
        /// Its name.
        segment: SegmentId,
    },
    /// Which tokens up to the requested sequence this receiver still owes. Cumulative and idempotent.
    ReleaseAck {
        /// The edge in question.
        edge: EdgeId,
        /// The receiver's incarnation.
        epoch: Epoch,
        /// Every token up to and including this one is released.
        released_upto: Sequence,
        /// Messages at or below `upto` that wait in the queue.
        queued: u64,
        /// Messages at or below `upto` that are held, in order.
        held: Vec<Sequence>,
        /// For how long the user's code has run since the last call into the library; zero while it waits
        /// in the library.
        busy_for: Duration,
    },
    /// The user's code has seen the stop (as an event, or as an error of `send` or `loan`).
    StopDelivered,
    /// An edge holds what no correct peer writes. The node has closed its side.
    EdgeDamaged {
        /// The edge.
        edge: EdgeId,
        /// What is wrong, in one line.
        what: String,
    },
    /// A line for the node's log, at warning level.
    Warning {
        /// The text.
        text: String,
    },
}

/// What the runtime tells a node's library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToNode {
    /// The answer to `Hello`. Two descriptors come with it: the eventfd of the node's receive waiter and the
    /// eventfd of its send waiter.
    Welcome(Welcome),
    /// The runtime refuses the `Hello`; the socket closes after it.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// One edge of this node. Two descriptors come with it: the edge's memfd, and the eventfd of the waiter
    /// at the other end (the receiver's receive waiter for a sender, the sender's send waiter for a receiver).
    Edge(EdgeGrant),
    /// Everything that was there at the start has been handed over.
    Begin,
    /// A segment of one of this node's senders; its memfd comes with the frame.
    Segment {
        /// Its name.
        segment: SegmentId,
        /// Its length in bytes.
        length: u64,
    },
    /// The sender uses this segment no more: unmap it as soon as no message in it is held, then say
    /// `SegmentUnmapped`.
    SegmentRetire {
        /// Its name.
        segment: SegmentId,
    },
    /// Asks which tokens up to `upto` are still owed. Answered at once by the control thread, and again when
    /// the last one goes. Up to [`Sequence::NONE`] it asks for no token, only for how long the user's code has
    /// run: then the edge does not matter, and the answer names the same.
    ReleaseRequest {
        /// The edge.
        edge: EdgeId,
        /// The receiver's incarnation; a request with another one is stale and ignored.
        epoch: Epoch,
        /// The last sequence that counts.
        upto: Sequence,
        /// Counted from 1, for the log.
        attempt: u32,
    },
    /// The node is asked to stop.
    Stop {
        /// After what is queued, or ahead of it.
        mode: StopMode,
        /// For a member of a cycle: deliver up to these, then the stop. Empty for a source. Edges that are
        /// not named are delivered whole.
        upto: Vec<(EdgeId, Sequence)>,
    },
    /// Everything that a sender's incarnations up to this one have handed over was forwarded before: they have ended,
    /// and who waits for another segment of theirs waits in vain.
    SegmentsComplete {
        /// The sender.
        sender: NodeIndex,
        /// Its last incarnation that has ended.
        epoch: Epoch,
    },
}

/// What a node is, and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// [`NODE_PROTOCOL`] of the runtime.
    pub protocol: u32,
    /// The dataflow's name.
    pub dataflow: DataflowName,
    /// The run's name, for the names of memfds.
    pub run: String,
    /// The node's name.
    pub node: NodeId,
    /// The node's place in the description.
    pub index: NodeIndex,
    /// This incarnation.
    pub epoch: Epoch,
    /// Every output that the description declares, also those that nobody reads.
    pub outputs: Vec<OutputId>,
    /// The timers among the node's inputs.
    pub timers: Vec<TimerSpec>,
    /// How many edges will follow.
    pub edges: u32,
    /// The most that this node's segments may take together, in bytes.
    pub output_memory_bytes: u64,
}

/// A timer among the inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerSpec {
    /// The input it fires.
    pub input: InputId,
    /// The time between two ticks.
    pub period: Duration,
}

/// Which end of an edge a node has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EdgeRole {
    /// The node sends on it.
    Sender {
        /// Its output.
        output: OutputId,
    },
    /// The node receives from it.
    Receiver {
        /// Its input.
        input: InputId,
        /// How long a receiver spins before it sleeps.
        spin: Duration,
    },
}

/// One edge, as one of its ends sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeGrant {
    /// The edge.
    pub edge: EdgeId,
    /// The end that this node has.
    pub role: EdgeRole,
    /// The sender.
    pub source: NodeId,
    /// The sender's place in the description: the node of every segment that this edge may name.
    pub source_index: NodeIndex,
    /// The sender's output.
    pub output: OutputId,
    /// The receiver.
    pub target: NodeId,
    /// The receiver's input.
    pub input: InputId,
    /// What a full queue does.
    pub policy: QueuePolicy,
    /// How many messages may be queued.
    pub queue_size: u32,
    /// How many messages a receiver may hold before its library copies.
    pub held_max: u32,
    /// How many bytes a receiver may hold before its library copies.
    pub held_bytes_max: u64,
}
