//! The actors: shells around the machines of `core`.
//!
//! Each has one message type and one handler, which translates the message to an event, lets a machine decide,
//! commits, and performs what follows. They own nothing that must outlive a panic.

mod committed;
mod dataflow;
mod kind;
mod node;
mod peer;
mod scheduler;
mod stats;

use std::fmt;

use dataflow_ids::NodeIndex;

pub(crate) use committed::Committed;
pub(crate) use dataflow::{
    ASKED_AHEAD, DataflowActor, DataflowCommand, DataflowMessage, Lead, WAITING_AGAIN,
    WAITING_FIRST,
};
pub(crate) use kind::{ActorKind, KindCounts};
pub(crate) use node::{NodeActor, NodeMessage};
pub(crate) use peer::{PeerActor, PeerMessage};
pub(crate) use scheduler::{SchedulerActor, SchedulerCommand, SchedulerMessage};
pub(crate) use stats::{StatsActor, StatsMessage};

/// Which actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ActorName {
    /// The one that leads the run.
    Dataflow,
    /// The one of a node.
    Node(NodeIndex),
    /// The one that places nodes.
    Scheduler,
    /// The one that keeps the statistics.
    Stats,
}

impl fmt::Display for ActorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ActorName::Dataflow => f.write_str("dataflow"),
            ActorName::Node(index) => write!(f, "node {}", index.0),
            ActorName::Scheduler => f.write_str("scheduler"),
            ActorName::Stats => f.write_str("stats"),
        }
    }
}
