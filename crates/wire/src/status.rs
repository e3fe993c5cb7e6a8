//! How a dataflow stands and how it ended: what `ps`, `down`, `--json` and the report file show.

mod edges;
mod models;
mod report;
mod waiting;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use dataflow_ids::{DataflowName, End, Epoch, LifeCycle, NodeId};
use serde::{Deserialize, Serialize};

use crate::waits::NodeWait;

pub use edges::{EdgeCounts, EdgeStatus};
pub use models::{
    MODEL_FILES_SHOWN_MAX, ModelFailure, ModelFile, ModelState, ModelStatus, ModelView,
};
pub use report::{NodeReport, Outcome, Report};
pub use waiting::{Waiting, WaitingFor};

/// A dataflow at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataflowStatus {
    /// Its name.
    pub name: DataflowName,
    /// The run's name, as in the names of its memfds and its folder of logs.
    pub run: String,
    /// The YAML it was started from.
    pub file: PathBuf,
    /// The runtime's process.
    pub pid: u32,
    /// For how long it has been up.
    pub up_for: Duration,
    /// Where it stands.
    pub phase: Phase,
    /// Its nodes, in the order of the description.
    pub nodes: Vec<NodeStatus>,
    /// Its edges, in the order of the description.
    pub edges: Vec<EdgeStatus>,
    /// Its models, in the order of the description.
    pub models: Vec<ModelStatus>,
    /// While stopping: whom it waits for.
    pub waiting: Vec<Waiting>,
}

/// Where a dataflow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Not every node is Ready yet.
    Starting,
    /// Every node has been Ready once.
    Running,
    /// Asked to stop, or ending by itself because a node failed.
    Stopping,
    /// Every node has ended.
    Ended,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Stopping => "stopping",
            Phase::Ended => "ended",
        })
    }
}

/// A node at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub node: NodeId,
    /// Where it stands.
    pub state: LifeCycle,
    /// For how long it has been in that state.
    pub state_for: Duration,
    /// Its incarnation.
    pub epoch: Epoch,
    /// Its process, while it has one.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u32,
    /// Messages it has sent, on all edges together.
    pub sent: u64,
    /// Messages delivered to it, on all edges together.
    pub delivered: u64,
    /// How it ended, when it has.
    pub end: Option<End>,
    /// What has brought it there, in one line.
    pub because: Option<String>,
    /// What it waits for; nothing while it works, or waits for its next message.
    pub waits: Vec<NodeWait>,
    /// What it has said and is not in its log.
    pub log: LogLosses,
}

impl NodeStatus {
    /// What it waits for, in one line, if it waits for something.
    #[must_use]
    pub fn waits_in_words(&self) -> Option<String> {
        let waits: Vec<String> = self.waits.iter().map(ToString::to_string).collect();
        (!waits.is_empty()).then(|| waits.join("; "))
    }

    /// What has brought it where it stands and what it waits for, in one line, if anything is known.
    #[must_use]
    pub fn in_words(&self) -> Option<String> {
        match (&self.because, self.waits_in_words()) {
            (Some(because), Some(waits)) => Some(format!("{because}; {waits}")),
            (because, waits) => because.clone().or(waits),
        }
    }
}

/// What a node has said and is not in its log, or not any more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogLosses {
    /// Its oldest lines, which made room for later ones.
    pub lines_thrown_away: u64,
    /// How many bytes of the disk they had taken.
    pub bytes_thrown_away: u64,
    /// Lines that the disk did not take.
    pub lines_unwritten: u64,
    /// How many bytes of text they had.
    pub bytes_unwritten: u64,
    /// Why the last of them were not written.
    pub why: Option<String>,
}
