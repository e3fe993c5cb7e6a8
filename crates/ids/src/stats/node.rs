//! What is counted of a node.

use serde::{Deserialize, Serialize};

use super::edge::EdgeCounters;
use super::level::StatesNs;
use super::number::{Counter, Gauge, RunNumber};
use crate::{Epoch, LifeCycle, NodeId, NodeIndex};

/// Which node, in some statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeKey {
    /// The run that it belongs to.
    pub run: RunNumber,
    /// Its number there.
    pub node: NodeIndex,
}

/// What a node's processes have used and use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProcessNumbers {
    /// Time of processors that all of its incarnations have used.
    pub cpu_ns: Counter,
    /// Resident memory now; 0 without a process.
    pub memory_bytes: Gauge,
    /// The moment of which these are, in nanoseconds of its keeper; `None` before the processes of its incarnation were
    /// read, which they are only while somebody looks.
    pub read_at_ns: Option<u64>,
}

/// The numbers of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeNumbers {
    /// The keeper's revision at the last change of these numbers: grows with each, and is higher than that of any row that had
    /// the key before.
    pub sequence: u64,
    /// The keeper's revision in which it came in: a row with another one is of another node that had the same key.
    pub added_revision: u64,
    /// Its incarnation.
    pub epoch: Epoch,
    /// Its state.
    pub state: LifeCycle,
    /// When it came in.
    pub added_ns: u64,
    /// Since when it is in its state.
    pub since_ns: u64,
    /// How long it was in each state before this one. With the time since `since_ns`, these sum to its age.
    pub time_in_state_ns: StatesNs<u64>,
    /// How often its state has changed.
    pub transitions: Counter,
    /// How often it was started again.
    pub restarts: Counter,
    /// What was counted on the edges from it.
    pub out: EdgeCounters,
    /// What was counted on the edges to it.
    pub into: EdgeCounters,
    /// What its processes use.
    pub process: ProcessNumbers,
}

/// A node at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Which node.
    pub key: NodeKey,
    /// Its name, which is that of its group.
    pub name: NodeId,
    /// Its process, while it has one.
    pub pid: Option<u32>,
    /// Its numbers.
    pub numbers: NodeNumbers,
}
