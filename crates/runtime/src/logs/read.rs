//! Reading what nodes have said: in the order of time, and on as it grows.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use dataflow_ids::NodeId;
use serde::{Deserialize, Serialize};

use super::folder::{LogsError, PastRun, refused};

/// Through which stream a line came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogStream {
    /// The node's standard output.
    Stdout,
    /// The node's standard error.
    Stderr,
    /// Not the node: the runtime says it about the node.
    Runtime,
}

impl std::fmt::Display for LogStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            LogStream::Stdout => "stdout",
            LogStream::Stderr => "stderr",
            LogStream::Runtime => "runtime",
        })
    }
}

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
    files: Vec<Tail>,
}

impl LogReader {
    /// Opens the logs of `nodes`, or of every node when it is empty. A node that has said nothing yet is read
    /// from the moment it does.
    pub fn open(run: &PastRun, nodes: &[NodeId]) -> LogReader {
        let wanted = if nodes.is_empty() { &run.nodes } else { nodes };
        let files = wanted
            .iter()
            .map(|node| Tail::new(run.folder.join(format!("{node}.log"))))
            .collect();
        LogReader { files }
    }

    /// The next line, the oldest of those that are there; `None` when all have been read. Calling it again
    /// later gives what has been written since.
    ///
    /// # Errors
    ///
    /// [`LogsError::System`] when a file cannot be read. Lines that are not understood are skipped.
    pub fn next_record(&mut self) -> Result<Option<LogRecord>, LogsError> {
        for file in &mut self.files {
            file.fill()?;
        }
        let oldest = self
            .files
            .iter_mut()
            .filter(|file| file.head.is_some())
            .min_by_key(|file| file.head.as_ref().map(|record| record.at_ms));
        Ok(oldest.and_then(|file| file.head.take()))
    }
}

/// One file that may still grow.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    reader: Option<BufReader<File>>,
    /// A line whose end is not written yet.
    partial: Vec<u8>,
    head: Option<LogRecord>,
}

impl Tail {
    fn new(path: PathBuf) -> Tail {
        Tail {
            path,
            reader: None,
            partial: Vec::new(),
            head: None,
        }
    }

    fn fill(&mut self) -> Result<(), LogsError> {
        while self.head.is_none() {
            let reader = match &mut self.reader {
                Some(reader) => reader,
                none => match File::open(&self.path) {
                    Ok(file) => none.insert(BufReader::new(file)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                    Err(error) => return Err(refused("open", &self.path)(error)),
                },
            };
            let read = reader
                .read_until(b'\n', &mut self.partial)
                .map_err(refused("read", &self.path))?;
            if read == 0 || self.partial.last() != Some(&b'\n') {
                return Ok(());
            }
            self.head = serde_json::from_slice(&self.partial).ok();
            self.partial.clear();
        }
        Ok(())
    }
}
