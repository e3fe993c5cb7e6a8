//! Where lines go: to the thread that writes files, and to the caller. Nobody waits for either.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::SystemTime;

use dataflow_ids::NodeId;
use dataflow_wire::status::LogLosses;
use tokio::sync::Notify;

use super::folder::to_ms;
use super::losses::Losses;
use super::read::{LogRecord, LogStream};
use dataflow_wire::event::RunEvent;

/// How much of one node may wait to be written before its pipes are left to fill, in bytes. A node that talks more
/// than the disk takes waits for itself.
const NODE_BACKLOG_BYTES_MAX: usize = 1024 * 1024;
/// How much of all nodes together may wait, in bytes: the memory that a slow disk can cost.
const BACKLOG_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What a record costs besides its text, for the backlog.
const RECORD_BYTES: usize = 128;
/// How many of a node's last lines are kept at hand, for the report of a failure.
const LAST_LINES_KEPT: usize = 20;

/// What waits to be written, of one node or of all.
#[derive(Debug, Default)]
struct Backlog {
    bytes: AtomicUsize,
    less: Notify,
}

impl Backlog {
    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    fn take(&self, bytes: usize, bytes_max: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        if before >= bytes_max && before - bytes < bytes_max {
            self.less.notify_waiters();
        }
    }

    async fn wait(&self, bytes_max: usize) {
        loop {
            let less = self.less.notified();
            if self.bytes.load(Ordering::Acquire) < bytes_max {
                return;
            }
            less.await;
        }
    }
}

/// Waits until the disk keeps up; independent of the sink, so that nobody borrows it meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct LogRoom {
    node: Arc<Backlog>,
    all: Arc<Backlog>,
}

impl LogRoom {
    /// Returns when there is room for more.
    pub(crate) async fn wait(&self) {
        self.node.wait(NODE_BACKLOG_BYTES_MAX).await;
        self.all.wait(BACKLOG_BYTES_MAX).await;
    }

    fn add(&self, record: &LogRecord) {
        let bytes = record.line.len() + RECORD_BYTES;
        self.node.add(bytes);
        self.all.add(bytes);
    }

    /// A record has been written, or given up.
    fn take(&self, record: &LogRecord) {
        let bytes = record.line.len() + RECORD_BYTES;
        self.node.take(bytes, NODE_BACKLOG_BYTES_MAX);
        self.all.take(bytes, BACKLOG_BYTES_MAX);
    }
}

/// A record on its way to the disk. Its room is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) record: LogRecord,
    room: LogRoom,
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.room.take(&self.record);
    }
}

/// Where lines go: the node's file, the caller's events, and the last few at hand.
#[derive(Debug)]
pub(crate) struct LogSink {
    /// `None`: there are no files.
    to_writer: Option<mpsc::Sender<Queued>>,
    events: mpsc::Sender<RunEvent>,
    all: Arc<Backlog>,
    nodes: BTreeMap<NodeId, NodeSink>,
    losses: Losses,
}

#[derive(Debug, Default)]
struct NodeSink {
    backlog: Arc<Backlog>,
    last: VecDeque<String>,
}

impl LogSink {
    pub(super) fn new(
        to_writer: mpsc::Sender<Queued>,
        events: mpsc::Sender<RunEvent>,
        losses: Losses,
    ) -> LogSink {
        LogSink {
            to_writer: Some(to_writer),
            events,
            all: Arc::default(),
            nodes: BTreeMap::new(),
            losses,
        }
    }

    /// A sink without files: lines go to the caller alone.
    pub(crate) fn without_files(events: mpsc::Sender<RunEvent>) -> LogSink {
        LogSink {
            to_writer: None,
            events,
            all: Arc::default(),
            nodes: BTreeMap::new(),
            losses: Losses::default(),
        }
    }

    fn node(&mut self, node: &NodeId) -> &mut NodeSink {
        if !self.nodes.contains_key(node) {
            self.nodes.insert(node.clone(), NodeSink::default());
        }
        self.nodes
            .get_mut(node)
            .expect("it was entered above, if it was not there")
    }

    /// Takes one line that came at this moment. Never waits: who reads from a node asks [`LogSink::room`] first.
    pub(crate) fn line(&mut self, at: SystemTime, node: &NodeId, stream: LogStream, line: String) {
        let last = &mut self.node(node).last;
        if last.len() == LAST_LINES_KEPT {
            last.pop_front();
        }
        last.push_back(line.clone());
        if self.to_writer.is_some() {
            let room = self.room(node);
            let record = LogRecord {
                at_ms: to_ms(at),
                node: node.clone(),
                stream,
                line: line.clone(),
            };
            room.add(&record);
            // The writer ends only after this sink.
            if let Some(to_writer) = &self.to_writer {
                let _ = to_writer.send(Queued { record, room });
            }
        }
        // A caller that listens no more is no reason to stop.
        let _ = self.events.send(RunEvent::Log {
            node: node.clone(),
            stream,
            at,
            line,
        });
    }

    /// The last lines of a node, the oldest first.
    pub(crate) fn last_lines(&self, node: &NodeId) -> Vec<String> {
        self.nodes
            .get(node)
            .map(|node| node.last.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// What a node has said and is not in its log.
    pub(crate) fn losses(&self, node: &NodeId) -> LogLosses {
        self.losses.of(node)
    }

    /// To wait on before reading more from a node.
    pub(crate) fn room(&mut self, node: &NodeId) -> LogRoom {
        LogRoom {
            node: Arc::clone(&self.node(node).backlog),
            all: Arc::clone(&self.all),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_node_that_the_disk_does_not_keep_up_with_leaves_room_for_the_others() {
        let (to_writer, queued) = mpsc::channel();
        let (events, _heard) = mpsc::channel();
        let mut sink = LogSink::new(to_writer, events, Losses::default());
        let [loud, quiet] = ["loud", "quiet"].map(|name| NodeId::new(name).unwrap());
        let has_room = |sink: &mut LogSink, node: &NodeId| {
            let room = sink.room(node);
            let waiting = pin!(room.wait());
            waiting.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
        };
        let mut said = 0;
        while has_room(&mut sink, &loud) {
            let line = "x".repeat(16 * 1024);
            said += line.len();
            assert!(said <= NODE_BACKLOG_BYTES_MAX + line.len());
            sink.line(SystemTime::UNIX_EPOCH, &loud, LogStream::Stdout, line);
        }
        assert!(has_room(&mut sink, &quiet));
        drop(queued.recv().unwrap());
        assert!(has_room(&mut sink, &loud), "room for one more");
    }
}
