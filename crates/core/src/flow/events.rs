//! What a dataflow's machine is told, and what it asks for.

use dataflow_ids::{EdgeId, End, Forcer, LifeCycle, NodeIndex, StopMode};

use super::graph::{CycleIndex, CycleMember};
use crate::outcome::Outcome;

/// A fact or a wish that concerns the dataflow. Every fact may be told twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowEvent {
    /// Every node is placed: start them.
    Start,
    /// A node's state has changed: what its machine's `Report` says.
    NodeState {
        /// The node.
        node: NodeIndex,
        /// Its state now.
        state: LifeCycle,
        /// How it ended, from `Draining` on.
        end: Option<End>,
    },
    /// A node could not be brought up: what its machine's `FailUp` says.
    UpFailed {
        /// The node.
        node: NodeIndex,
        /// Why, in one line.
        why: String,
    },
    /// `closed_at` of an edge is written: its sender has ended for good.
    EdgeClosed {
        /// The edge.
        edge: EdgeId,
    },
    /// Nobody owes a token of a closed edge any more.
    EdgeDrained {
        /// The edge.
        edge: EdgeId,
    },
    /// The members of a cycle are at rest, and nothing comes from outside any more.
    Quiescent {
        /// The cycle.
        cycle: CycleIndex,
    },
    /// A person wants the dataflow to stop.
    Stop {
        /// After what is queued, or ahead of it.
        mode: StopMode,
        /// How the person said so: `Ctrl-C`, `dataflow down`.
        by: String,
    },
    /// A person, or a time that a person has set, wants everything killed.
    Force {
        /// On whose word.
        by: Forcer,
    },
}

/// What the shell must do, in the order given. Everything may be done twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowCommand {
    /// Tell this node `Start`. They come receivers first; nobody waits for one before the next.
    StartNode {
        /// The node.
        node: NodeIndex,
    },
    /// Every node has been Ready once.
    Up,
    /// Tell every node `StopBegun`, before any `Stop` that follows.
    StopBegun,
    /// Tell this node `Stop`, with nothing in `upto`.
    StopNode {
        /// The node.
        node: NodeIndex,
        /// After what is queued, or ahead of it.
        mode: StopMode,
    },
    /// Read the last sequences of all `inner` edges now, all of them before the first `Stop` is told; then
    /// tell each member `Stop` (graceful) with those of its own inner edges as `upto`.
    StopCycle {
        /// The cycle.
        cycle: CycleIndex,
        /// The members that have not ended.
        members: Vec<CycleMember>,
    },
    /// Nothing comes from outside into this cycle any more, and nobody stops the dataflow: watch for its
    /// quiescence, and say `Quiescent`. Superseded by `StopCycle`.
    WatchCycle {
        /// The cycle.
        cycle: CycleIndex,
    },
    /// Tell this node `InputsClosed`.
    InputsClosed {
        /// The node.
        node: NodeIndex,
    },
    /// Tell this node `OutputsDrained`.
    OutputsDrained {
        /// The node.
        node: NodeIndex,
    },
    /// Tell every node `Force`.
    ForceAll {
        /// On whose word.
        by: Forcer,
    },
    /// Every node is `Finished` or `Failed`. Said once.
    Ended {
        /// How, in one word.
        outcome: Outcome,
        /// What ended it.
        because: Because,
    },
}

/// Where a dataflow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not every node has been Ready yet.
    Starting,
    /// Every node has been Ready once.
    Running,
    /// Asked to stop, or stopping because a node failed.
    Stopping,
    /// Every node has ended.
    Ended,
}

/// What ended a dataflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// Its nodes have ended by themselves.
    AllEnded,
    /// A person wanted it.
    Asked {
        /// How the person said so.
        by: String,
    },
    /// A person wanted it killed, and had not asked for anything gentler before.
    Forced {
        /// On whose word.
        by: Forcer,
    },
    /// A node failed, and `on_failure` is `stop`.
    NodeFailed {
        /// The node.
        node: NodeIndex,
        /// How, in one line.
        how: String,
    },
    /// A node could not be brought up.
    UpFailed {
        /// The node.
        node: NodeIndex,
        /// Why, in one line.
        why: String,
    },
}
