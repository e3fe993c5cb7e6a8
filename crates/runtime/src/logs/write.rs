//! Writing what nodes say: bytes of a pipe to lines, lines to a file and to the caller.
//!
//! Files are written by a thread of their own, so that a slow disk delays a node that talks too much, and never
//! the arbiter.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::SystemTime;

use dataflow_ids::NodeId;
use tokio::sync::Notify;

use super::folder::to_ms;
use super::read::{LogRecord, LogStream};
use crate::events::RunEvent;

/// The longest line kept whole, in bytes; a longer one goes on in the next record.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// How much may wait to be written before the nodes' pipes are left to fill, in bytes.
const BACKLOG_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a record costs besides its text, for the backlog.
const RECORD_BYTES: usize = 128;

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes bytes as they came; gives the lines that are complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        while !bytes.is_empty() {
            let room = LINE_BYTES_MAX - self.partial.len();
            let window = &bytes[..bytes.len().min(room)];
            match window.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.partial.extend_from_slice(&window[..end]);
                    bytes = &bytes[end + 1..];
                    lines.push(self.take());
                }
                None => {
                    self.partial.extend_from_slice(window);
                    bytes = &bytes[window.len()..];
                    if self.partial.len() == LINE_BYTES_MAX {
                        lines.push(self.take());
                    }
                }
            }
        }
        lines
    }

    /// What is left when the stream ends without an end of line.
    pub(crate) fn finish(&mut self) -> Option<String> {
        (!self.partial.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        if self.partial.last() == Some(&b'\r') {
            self.partial.pop();
        }
        let line = String::from_utf8_lossy(&self.partial).into_owned();
        self.partial.clear();
        line
    }
}

/// How many of a node's last lines are kept at hand, for the report of a failure.
const LAST_LINES_KEPT: usize = 20;

/// Where lines go: the node's file, the caller's events, and the last few at hand.
#[derive(Debug)]
pub(crate) struct LogSink {
    /// `None`: there are no files.
    to_writer: Option<mpsc::Sender<LogRecord>>,
    events: mpsc::Sender<RunEvent>,
    backlog: Arc<Backlog>,
    last: BTreeMap<NodeId, VecDeque<String>>,
}

#[derive(Debug, Default)]
struct Backlog {
    bytes: AtomicUsize,
    less: Notify,
}

/// Waits until the disk keeps up; independent of the sink, so that nobody borrows it meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct LogRoom(Arc<Backlog>);

impl LogRoom {
    /// Returns when there is room for more.
    pub(crate) async fn wait(&self) {
        loop {
            let less = self.0.less.notified();
            if self.0.bytes.load(Ordering::Acquire) < BACKLOG_BYTES_MAX {
                return;
            }
            less.await;
        }
    }
}

impl LogSink {
    /// A sink without files: lines go to the caller alone.
    pub(crate) fn without_files(events: mpsc::Sender<RunEvent>) -> LogSink {
        LogSink {
            to_writer: None,
            events,
            backlog: Arc::default(),
            last: BTreeMap::new(),
        }
    }

    /// Takes one line that came at this moment. Never waits: who reads from a node asks [`LogSink::room`] first.
    pub(crate) fn line(&mut self, at: SystemTime, node: &NodeId, stream: LogStream, line: String) {
        let last = self.last.entry(node.clone()).or_default();
        if last.len() == LAST_LINES_KEPT {
            last.pop_front();
        }
        last.push_back(line.clone());
        // The writer ends only after this sink, and a caller that listens no more is no reason to stop.
        if let Some(to_writer) = &self.to_writer {
            let bytes = line.len() + RECORD_BYTES;
            self.backlog.bytes.fetch_add(bytes, Ordering::AcqRel);
            let _ = to_writer.send(LogRecord {
                at_ms: to_ms(at),
                node: node.clone(),
                stream,
                line: line.clone(),
            });
        }
        let _ = self.events.send(RunEvent::Log {
            node: node.clone(),
            stream,
            at,
            line,
        });
    }

    /// The last lines of a node, the oldest first.
    pub(crate) fn last_lines(&self, node: &NodeId) -> Vec<String> {
        self.last
            .get(node)
            .map(|lines| lines.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// To wait on before reading more from a node.
    pub(crate) fn room(&self) -> LogRoom {
        LogRoom(Arc::clone(&self.backlog))
    }
}

/// Starts the thread that writes the files of a run. It ends, with everything written, once the sink is dropped.
pub(crate) fn spawn_writer(
    folder: &Path,
    events: mpsc::Sender<RunEvent>,
) -> io::Result<(LogSink, std::thread::JoinHandle<()>)> {
    let (to_writer, records) = mpsc::channel::<LogRecord>();
    let backlog = Arc::new(Backlog::default());
    let sink = LogSink {
        to_writer: Some(to_writer),
        events,
        backlog: Arc::clone(&backlog),
        last: BTreeMap::new(),
    };
    let folder = folder.to_path_buf();
    let writer = std::thread::Builder::new()
        .name("dataflow-logs".to_owned())
        .spawn(move || write_all(&folder, &records, &backlog))?;
    Ok((sink, writer))
}

fn write_all(folder: &Path, records: &mpsc::Receiver<LogRecord>, backlog: &Backlog) {
    let mut files = Files {
        folder: folder.to_path_buf(),
        open: BTreeMap::new(),
        failed: false,
    };
    while let Ok(first) = records.recv() {
        // What has come meanwhile is written in one go, then flushed: a reader is never far behind.
        let mut next = Some(first);
        while let Some(record) = next {
            files.write(&record);
            let bytes = record.line.len() + RECORD_BYTES;
            let before = backlog.bytes.fetch_sub(bytes, Ordering::AcqRel);
            if before >= BACKLOG_BYTES_MAX && before - bytes < BACKLOG_BYTES_MAX {
                backlog.less.notify_waiters();
            }
            next = records.try_recv().ok();
        }
        files.flush();
    }
}

struct Files {
    folder: PathBuf,
    open: BTreeMap<NodeId, BufWriter<File>>,
    /// Whether the disk has refused before: said once, not for every line.
    failed: bool,
}

impl Files {
    fn write(&mut self, record: &LogRecord) {
        if let Err(error) = self.try_write(record) {
            self.complain(&error);
        }
    }

    fn try_write(&mut self, record: &LogRecord) -> io::Result<()> {
        let file = match self.open.get_mut(&record.node) {
            Some(file) => file,
            None => {
                let path = self.folder.join(format!("{}.log", record.node));
                let file = OpenOptions::new().append(true).create(true).open(path)?;
                self.open
                    .entry(record.node.clone())
                    .or_insert(BufWriter::new(file))
            }
        };
        serde_json::to_writer(&mut *file, record)?;
        file.write_all(b"\n")
    }

    fn flush(&mut self) {
        let mut failed = None;
        for file in self.open.values_mut() {
            failed = file.flush().err().or(failed);
        }
        if let Some(error) = failed {
            self.complain(&error);
        }
    }

    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failed, true) {
            tracing::error!(folder = %self.folder.display(), %error, "log lines not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LogReader, RunFolder, runs};
    use super::*;
    use dataflow_ids::DataflowName;

    #[test]
    fn lines_are_cut_at_their_ends_and_at_the_limit() {
        let mut lines = Lines::default();
        assert!(lines.push(b"half").is_empty());
        assert_eq!(
            lines.push(b" a line\r\nnext\n\nrest"),
            ["half a line", "next", ""]
        );
        assert_eq!(lines.finish().as_deref(), Some("rest"));
        assert_eq!(lines.finish(), None);

        let long = vec![b'x'; LINE_BYTES_MAX * 2 + 5];
        let cut = lines.push(&long);
        assert_eq!(cut.len(), 2);
        assert_eq!(cut[0].len(), LINE_BYTES_MAX);
        assert_eq!(lines.push(b"\n"), ["xxxxx"]);
        assert_eq!(lines.push(b"\xff\n"), ["\u{fffd}"]);
    }

    #[test]
    fn what_nodes_said_is_read_back_in_the_order_of_time() {
        let place = tempfile::tempdir().unwrap();
        let name = DataflowName::new("a").unwrap();
        let nodes: Vec<NodeId> = ["n", "m"].map(|n| NodeId::new(n).unwrap()).to_vec();
        let run = RunFolder::create(place.path(), &name).unwrap();
        run.begin(
            place.path(),
            &name,
            &place.path().join("a.yml"),
            nodes.clone(),
        )
        .unwrap();
        let (to_caller, events) = mpsc::channel();
        let (mut sink, writer) = spawn_writer(run.path(), to_caller).unwrap();
        let past = &runs(place.path(), None).unwrap()[0];
        let mut reader = LogReader::open(past, &[]);
        assert_eq!(reader.next_record().unwrap(), None);
        for line in 0..30 {
            let text = format!("line {line}");
            sink.line(SystemTime::now(), &nodes[line % 2], LogStream::Stdout, text);
        }
        assert_eq!(sink.last_lines(&nodes[0]).len(), 15);
        drop(sink);
        writer.join().unwrap();
        assert_eq!(events.iter().count(), 30);
        let mut read = Vec::new();
        while let Some(record) = reader.next_record().unwrap() {
            read.push(record);
        }
        assert_eq!(read.len(), 30);
        assert!(read.windows(2).all(|two| two[0].at_ms <= two[1].at_ms));
        assert_eq!(
            LogReader::open(past, &nodes[..1])
                .next_record()
                .unwrap()
                .unwrap()
                .line,
            "line 0"
        );
    }
}
