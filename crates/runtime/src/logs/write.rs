//! Writing what nodes say, on a thread of its own: a slow disk delays a node that talks too much, and never the
//! arbiter.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use dataflow_ids::NodeId;

use super::losses::Losses;
use super::node_log::NodeLog;
use super::read::LogRecord;
use super::sink::{LogSink, Queued};
use dataflow_wire::event::RunEvent;

/// What the log of one node may take in one run, in bytes, unless the caller says something else.
pub const LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How soon it is tried again to say in a log what could not be written, when nothing else is to be written.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The thread that writes the files of a run.
#[derive(Debug)]
pub(crate) struct LogWriter {
    thread: JoinHandle<()>,
    losses: Losses,
}

impl LogWriter {
    /// Starts the thread. It ends, with everything written, once the sink is dropped. No node's log takes more than
    /// `log_bytes_max` bytes, and a record.
    pub(crate) fn start(
        folder: &Path,
        log_bytes_max: u64,
        events: mpsc::Sender<RunEvent>,
    ) -> io::Result<(LogSink, LogWriter)> {
        let (to_writer, records) = mpsc::channel();
        let losses = Losses::default();
        let sink = LogSink::new(to_writer, events, losses.clone());
        let mut files = Files {
            folder: folder.to_path_buf(),
            log_bytes_max,
            nodes: BTreeMap::new(),
            losses: losses.clone(),
            is_refused: false,
        };
        let thread = std::thread::Builder::new()
            .name("dataflow-logs".to_owned())
            .spawn(move || files.write_all(&records))?;
        Ok((sink, LogWriter { thread, losses }))
    }

    /// Waits until everything is written that could be; gives what could not.
    pub(crate) fn finish(self) -> Losses {
        // It has no panic to pass on.
        let _ = self.thread.join();
        self.losses
    }
}

struct Files {
    folder: PathBuf,
    log_bytes_max: u64,
    nodes: BTreeMap<NodeId, NodeLog>,
    losses: Losses,
    /// Whether the disk has refused at the last attempt: said once, not for every line.
    is_refused: bool,
}

impl Files {
    fn write_all(&mut self, records: &mpsc::Receiver<Queued>) {
        loop {
            match self.next(records) {
                Ok(first) => {
                    // What has come meanwhile is written in one go, then flushed: a reader is never far behind.
                    let mut next = Some(first);
                    while let Some(queued) = next {
                        self.write(&queued.record);
                        next = records.try_recv().ok();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.flush();
        }
        self.flush();
    }

    fn next(&self, records: &mpsc::Receiver<Queued>) -> Result<Queued, RecvTimeoutError> {
        if self.is_refused {
            return records.recv_timeout(AGAIN_AFTER);
        }
        records.recv().map_err(|_| RecvTimeoutError::Disconnected)
    }

    fn write(&mut self, record: &LogRecord) {
        if !self.nodes.contains_key(&record.node) {
            let node = record.node.clone();
            let log = NodeLog::new(
                &self.folder,
                node.clone(),
                self.log_bytes_max,
                self.losses.clone(),
            );
            self.nodes.insert(node, log);
        }
        if let Some(log) = self.nodes.get_mut(&record.node)
            && let Err(error) = log.write(record)
        {
            self.refused(&error);
        }
    }

    fn flush(&mut self) {
        let mut refused = None;
        for log in self.nodes.values_mut() {
            refused = log.flush().err().or(refused);
        }
        match refused {
            Some(error) => self.refused(&error),
            None if self.is_refused && !self.nodes.values().any(NodeLog::owes_a_word) => {
                self.is_refused = false;
                tracing::warn!(folder = %self.folder.display(), "log lines are written again");
            }
            None => {}
        }
    }

    fn refused(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_refused, true) {
            tracing::error!(
                folder = %self.folder.display(), %error,
                "log lines cannot be written: they are counted, and the dataflow goes on"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LogReader, LogStream, RunFolder, runs};
    use super::*;
    use dataflow_ids::DataflowName;
    use std::time::UNIX_EPOCH;

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
        let (mut sink, writer) = LogWriter::start(run.path(), LOG_BYTES_MAX, to_caller).unwrap();
        let past = &runs(place.path(), None).unwrap()[0];
        let mut reader = LogReader::open(past, &[]);
        assert_eq!(reader.next_record().unwrap(), None);
        for line in 0..30 {
            let text = format!("line {line}");
            let at = UNIX_EPOCH + Duration::from_millis(line as u64);
            sink.line(at, &nodes[line % 2], LogStream::Stdout, text);
        }
        assert_eq!(sink.last_lines(&nodes[0]).len(), 15);
        drop(sink);
        writer.finish();
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
