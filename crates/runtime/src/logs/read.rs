//! Reading what nodes have said: in the order of time, and on as it grows.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use dataflow_ids::NodeId;
use serde::{Deserialize, Serialize};

use super::folder::{LogsError, PastRun, refused};

/// How much of a file is read at once while its last lines are looked for, in bytes.
const TAIL_BLOCK_BYTES: usize = 64 * 1024;

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
        for file in &mut reader.files {
            file.skip_to_last(lines)?;
        }
        Ok(reader)
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

    /// Opens the file, when it is there by now.
    fn open(&mut self) -> Result<(), LogsError> {
        if self.reader.is_none() {
            self.reader = match File::open(&self.path) {
                Ok(file) => Some(BufReader::new(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(refused("open", &self.path)(error)),
            };
        }
        Ok(())
    }

    /// Goes to the beginning of the last `lines` complete lines.
    fn skip_to_last(&mut self, lines: usize) -> Result<(), LogsError> {
        self.open()?;
        let Some(reader) = &mut self.reader else {
            return Ok(());
        };
        start_of_last(reader.get_ref(), lines)
            .and_then(|start| reader.seek(SeekFrom::Start(start)))
            .map(drop)
            .map_err(refused("read", &self.path))
    }

    fn fill(&mut self) -> Result<(), LogsError> {
        while self.head.is_none() {
            self.open()?;
            let Some(reader) = &mut self.reader else {
                return Ok(());
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

/// Where the last `lines` complete lines of `file` begin, found from its end.
fn start_of_last(file: &File, lines: usize) -> io::Result<u64> {
    let mut block = vec![0; TAIL_BLOCK_BYTES];
    let mut end = file.metadata()?.len();
    // The end of the line before the first one that is wanted.
    let mut left = lines;
    while end > 0 {
        let length = usize::try_from(end).map_or(TAIL_BLOCK_BYTES, |end| end.min(TAIL_BLOCK_BYTES));
        let start = end - length as u64;
        let bytes = &mut block[..length];
        file.read_exact_at(bytes, start)?;
        for (place, _) in bytes.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            if left == 0 {
                return Ok(start + place as u64 + 1);
            }
            left -= 1;
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_found_from_the_end_whatever_their_length() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log");
        for length in [0, 5, TAIL_BLOCK_BYTES - 3, TAIL_BLOCK_BYTES * 2 + 7] {
            let lines: Vec<String> = (0..6)
                .map(|number| format!("{number}{}\n", "x".repeat(length)))
                .collect();
            for rest in ["", "not whole yet"] {
                std::fs::write(&path, lines.concat() + rest).unwrap();
                let file = File::open(&path).unwrap();
                for wanted in 0..8 {
                    let first = lines.len().saturating_sub(wanted);
                    let expected: usize = lines[..first].iter().map(String::len).sum();
                    assert_eq!(
                        start_of_last(&file, wanted).unwrap(),
                        expected as u64,
                        "the last {wanted} of {length} bytes each, then {rest:?}"
                    );
                }
            }
        }
    }
}
