//! `up` beside an agent: what it asks for, and what it is told while its dataflow runs there.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use dataflow_ids::DataflowName;
use serde::{Deserialize, Serialize};

use crate::event::RunEvent;

/// A dataflow that an agent is to run as if the command itself did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpRequest {
    /// The description, absolute.
    pub file: PathBuf,
    /// The folder in which the command was called: where relative paths of its environment begin.
    pub folder: OsString,
    /// The command's environment, whole: the nodes get this one, and nothing of the agent's.
    pub environment: Vec<(OsString, OsString)>,
    /// Kill what still lives this long after a stop began. `None`: never.
    pub force_after: Option<Duration>,
    /// What the log of one node may take on the disk, in bytes. `None`: what is usual.
    pub log_bytes_max: Option<u64>,
    /// How many bytes of models may come in a second. `None`: as many as come.
    pub fetch_bytes_per_second_max: Option<u64>,
    /// The terminal that nodes may draw on.
    pub terminal: Option<PathBuf>,
    /// Whether the nodes' lines are wanted, and not only in their logs.
    pub wants_lines: bool,
    /// What becomes of the dataflow when the command goes away.
    pub on_leave: OnLeave,
}

/// What becomes of a dataflow whose `up` goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnLeave {
    /// It is stopped: everything that was sent is consumed first.
    Stop,
    /// It goes on: `up -d`.
    GoOn,
}

/// Why an agent does not run a dataflow. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpRefusal {
    /// It runs already.
    RunsAlready {
        /// Its name.
        name: DataflowName,
        /// The process that runs it.
        pid: u32,
        /// The YAML it was started from.
        file: PathBuf,
    },
    /// A stop came before it had begun.
    Interrupted,
    /// The agent itself is stopping.
    AgentEnds,
    /// What was given is wrong: the file, or what it needs.
    Input {
        /// Why, and what to do.
        why: String,
    },
    /// Something failed that was asked for rightly.
    Failure {
        /// Why, and what to do.
        why: String,
    },
}

/// What an `up` is told of its dataflow on an agent, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RunNews {
    /// Something has happened. The end is an answer of its own.
    Event(RunEvent),
    /// So much was not told here, because the command did not read fast enough. The logs have every line.
    Dropped(u64),
}
