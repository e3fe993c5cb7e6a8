//! How a dataflow ended: what `down` says, and what the report file has.

use std::time::Duration;

use dataflow_ids::{DataflowName, End, Forcer, NodeId};
use serde::{Deserialize, Serialize};

use super::{EdgeStatus, LogLosses};

/// How a dataflow ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Its name.
    pub name: DataflowName,
    /// The run's name.
    pub run: String,
    /// How long it was up.
    pub up_for: Duration,
    /// How long the stop took, if it was stopped.
    pub stop_took: Option<Duration>,
    /// In one word.
    pub outcome: Outcome,
    /// Why it ended, in one line: `all nodes finished`, `stopped by Ctrl-C`, `node detector failed`.
    pub because: String,
    /// Who forced it, if anybody did.
    pub forced: Option<Forcer>,
    /// Its nodes, in the order of the description.
    pub nodes: Vec<NodeReport>,
    /// Its edges, in the order of the description. What was not consumed stands here, by name and count (I-8).
    pub edges: Vec<EdgeStatus>,
}

/// How a dataflow ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every node ended well and every token was acknowledged.
    Drained,
    /// A node failed.
    Failed,
    /// Something was killed on a person's word.
    Forced,
}

/// How a node ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Its name.
    pub node: NodeId,
    /// How it ended.
    pub end: End,
    /// How often it was started again.
    pub restarts: u32,
    /// Its last log lines, when it failed.
    pub last_lines: Vec<String>,
    /// What it has said and is not in its log.
    #[serde(default)]
    pub log: LogLosses,
}
