//! What a book is told.

use dataflow_ids::stats::{EdgeCounters, EdgeGauges, EdgeHistograms, EdgeKey, NodeKey, RunNumber};
use dataflow_ids::{Epoch, InputId, Lacks, LifeCycle, NodeIndex, OutputId, QueuePolicy};

use crate::time::Time;

/// A node's state has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The node.
    pub node: NodeIndex,
    /// Its state now.
    pub to: LifeCycle,
    /// Its incarnation.
    pub epoch: Epoch,
    /// Which of the node's changes this is: the first since the node was added is 1, and each has the next number. Whoever
    /// changes the state gives it, so that one that comes twice, late or out of order is known as such.
    pub sequence: u64,
    /// When.
    pub at: Time,
}

/// A transition that was not taken. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedTransition {
    /// Nobody has added the node.
    #[error("node {} of run {} is not there", .0.node.0, .0.run.0)]
    NotThere(NodeKey),
    /// The life cycle does not allow it. These are counted.
    #[error("{from} is not followed by {to}")]
    NotAllowed {
        /// The state that the node is in, and stays in.
        from: LifeCycle,
        /// The state that it was said to be in.
        to: LifeCycle,
    },
    /// It is of an earlier incarnation.
    #[error("it is of incarnation {epoch}, and {known} has begun")]
    Old {
        /// Its incarnation.
        epoch: Epoch,
        /// The node's.
        known: Epoch,
    },
    /// Changes between it and the last that is known have not been told. These are counted.
    #[error(
        "it is change {sequence} of the node, and {known} are known: tell with `catch_up` where the node stands"
    )]
    Gap {
        /// Its number.
        sequence: u64,
        /// The number of the last that is known.
        known: u64,
    },
}

/// Something was said of a member that is not there. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotThere {
    /// The run is not.
    #[error("run {} is not there", .0.0)]
    Run(RunNumber),
    /// The node is not.
    #[error("node {} of run {} is not there", .0.node.0, .0.run.0)]
    Node(NodeKey),
    /// The edge is not.
    #[error("edge {} of run {} is not there", .0.edge, .0.run.0)]
    Edge(EdgeKey),
}

/// An edge that comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeSpec {
    /// Which edge.
    pub key: EdgeKey,
    /// Its sender.
    pub source: NodeIndex,
    /// The sender's output.
    pub output: OutputId,
    /// Its receiver.
    pub target: NodeIndex,
    /// The receiver's input.
    pub input: InputId,
    /// What a full queue does.
    pub policy: QueuePolicy,
    /// How many messages may be queued.
    pub queue_size: u32,
}

/// What an edge's header says at one moment: totals since the edge was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EdgeFacts {
    /// What was counted.
    pub counters: EdgeCounters,
    /// What there is now.
    pub gauges: EdgeGauges,
    /// When the oldest message that waits in the queue was sent.
    pub oldest: Option<Time>,
    /// What its sender lacks there, if it waits because of it.
    pub lacks: Option<Lacks>,
    /// Whether its sender has ended for good.
    pub is_closed: bool,
    /// How long messages took.
    pub histograms: EdgeHistograms,
}

/// What the processes of one incarnation of a node use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessFacts {
    /// The incarnation.
    pub epoch: Epoch,
    /// Its process, while it has one.
    pub pid: Option<u32>,
    /// Time of processors that this incarnation has used so far. The book adds those before it.
    pub cpu_ns: u64,
    /// Resident memory now; 0 without a process.
    pub memory_bytes: u64,
    /// When this was read; `None` when nothing was: all that is known is whether there is a process.
    pub read_at: Option<Time>,
}
