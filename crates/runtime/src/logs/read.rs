//! Reading what nodes have said: in the order of time, and on as it grows.

use dataflow_ids::NodeId;
pub use dataflow_wire::log::LogStream;
use serde::{Deserialize, Serialize};

use super::folder::{LogsError, PastRun};
use super::tail::Tail;

/// One line that a node has said, as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// When the runtime read it, in milliseconds since 1970.
    pub at_ms: u64,
    /// The node.
    pub node: NodeId,
    /// Through which stream.
    pub stream: LogStream,
    /// The line, without its end.
    pub line: String,
}

/// Reads the lines of some nodes of a run, merged by time.
#[derive(Debug)]
pub struct LogReader {
    nodes: Vec<Tail>,
}

impl LogReader {
    /// Opens the logs of `nodes`, or of every node when it is empty. A node that has said nothing yet is read
    /// from the moment it does.
    pub fn open(run: &PastRun, nodes: &[NodeId]) -> LogReader {
        let wanted = if nodes.is_empty() { &run.nodes } else { nodes };
        let nodes = wanted.iter().map(|node| Tail::new(&run.folder, node));
        LogReader {
            nodes: nodes.collect(),
        }
    }

    /// As [`LogReader::open`], beginning with the last `lines` lines of each node. What comes before them is not
    /// read. The last `lines` lines of all nodes together are among them.
    ///
    /// # Errors
    ///
    /// [`LogsError::System`] when a file is there and cannot be read.
    pub fn open_at_last(
        run: &PastRun,
        nodes: &[NodeId],
        lines: usize,
    ) -> Result<LogReader, LogsError> {
        let mut reader = LogReader::open(run, nodes);
        for node in &mut reader.nodes {
            node.skip_to_last(lines)?;
        }
        Ok(reader)
    }

    /// The next line, the oldest of those that are there; `None` when all have been read. Calling it again
    /// later gives what has been written since.
    ///
    /// # Errors
    ///
    /// [`LogsError::System`] when a file cannot be read. Lines that are not understood are skipped. What is not kept
    /// any more, from the beginning or because it was thrown away before it was read, is said in its place.
    pub fn next_record(&mut self) -> Result<Option<LogRecord>, LogsError> {
        for node in &mut self.nodes {
            node.fill()?;
        }
        let heads = self.nodes.iter_mut().filter(|node| node.head.is_some());
        let oldest = heads.min_by_key(|node| node.head.as_ref().map(|record| record.at_ms));
        Ok(oldest.and_then(|node| node.head.take()))
    }
}
