//! The actors: shells around the machines of `core`.

use std::fmt;

use dataflow_ids::NodeIndex;

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
