//! What the nodes of a run have said, on disk: `.dataflow/runs/<run>/` beside the YAML.
//!
//! One file of JSON lines for each node, `run.json` about the run, and `report.json` once it has ended. The
//! last [`RUNS_KEPT`] runs of each dataflow stay.

mod folder;
mod read;
mod write;

pub use folder::{LogsError, PastRun, RUNS_KEPT, runs};
pub use read::{LogReader, LogRecord, LogStream};

pub(crate) use folder::{RunFolder, write_report};
pub(crate) use write::{Lines, LogSink, spawn_writer};
