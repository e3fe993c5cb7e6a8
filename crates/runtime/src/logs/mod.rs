//! What the nodes of a run have said, on disk: `.dataflow/runs/<run>/` beside the YAML.
//!
//! One log of JSON lines for each node, in two files when it is long, `run.json` about the run, and `report.json` once
//! it has ended. The last [`RUNS_KEPT`] runs of each dataflow stay.

mod folder;
mod lines;
mod losses;
mod node_log;
mod read;
mod sink;
mod tail;
#[cfg(test)]
mod tests;
mod write;

pub use folder::{LogsError, PastRun, RUNS_KEPT, runs};
pub use read::{LogReader, LogRecord, LogStream};
pub use write::LOG_BYTES_MAX;

pub(crate) use folder::{RunFolder, write_report};
pub(crate) use lines::Lines;
pub(crate) use sink::LogSink;
pub(crate) use write::LogWriter;
