//! From a node's pipes to log lines. Nobody waits for their end.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use dataflow_ids::NodeId;

use crate::env::Env;
use crate::logs::{Lines, LogSink, LogStream};
use crate::process::OutputPipe;

/// How much one read takes, in bytes.
const READ_BYTES_MAX: usize = 16 * 1024;
/// How much is read at once of a pipe whose process has ended, in bytes: a pipe holds 64 KiB unless somebody
/// made it larger.
const REST_BYTES_MAX: usize = 1024 * 1024;

/// One pipe of a node.
pub(crate) struct Pump {
    pipe: Box<dyn OutputPipe>,
    node: NodeId,
    stream: LogStream,
    lines: RefCell<Lines>,
    ended: Cell<bool>,
    /// Whether its task has panicked.
    has_panicked: Cell<bool>,
    env: Env,
    logs: Rc<RefCell<LogSink>>,
}

impl Pump {
    /// Takes over a pipe.
    pub(crate) fn new(
        pipe: Box<dyn OutputPipe>,
        node: NodeId,
        stream: LogStream,
        env: Env,
        logs: Rc<RefCell<LogSink>>,
    ) -> Pump {
        Pump {
            pipe,
            node,
            stream,
            lines: RefCell::default(),
            ended: Cell::new(false),
            has_panicked: Cell::new(false),
            env,
            logs,
        }
    }

    /// Its task has panicked. Gives whether that was the first time.
    pub(super) fn may_panic(&self) -> bool {
        !self.has_panicked.replace(true)
    }

    /// Reads until the pipe ends, no faster than the disk takes it.
    pub(crate) async fn run(&self) {
        let room = self.logs.borrow_mut().room(&self.node);
        let mut bytes = vec![0; READ_BYTES_MAX];
        while !self.ended.get() {
            room.wait().await;
            #[cfg(test)]
            crate::supervision::faults::task_step("pump");
            let read = self.pipe.read(&mut bytes).await;
            self.take(read.map(|read| &bytes[..read]));
            // Who talks without end has one turn after the other, and nobody waits for more than one.
            tokio::task::yield_now().await;
        }
    }

    /// Reads what is there, without waiting: the process has ended, and its last words are wanted.
    pub(crate) fn read_rest(&self) {
        let mut left = REST_BYTES_MAX;
        let mut bytes = [0; READ_BYTES_MAX];
        while !self.ended.get() && left > 0 {
            match self.pipe.read_there(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                read => {
                    left = left.saturating_sub(*read.as_ref().unwrap_or(&0));
                    self.take(read.map(|read| &bytes[..read]));
                }
            }
        }
        self.finish();
    }

    /// Takes what a read gave: some bytes, none at the end.
    fn take(&self, read: io::Result<&[u8]>) {
        match read {
            Ok([]) | Err(_) => {
                self.ended.set(true);
                self.finish();
            }
            Ok(bytes) => {
                let lines = self.lines.borrow_mut().push(bytes);
                for line in lines {
                    self.line(line);
                }
            }
        }
    }

    fn finish(&self) {
        let last = self.lines.borrow_mut().finish();
        if let Some(line) = last {
            self.line(line);
        }
    }

    fn line(&self, line: String) {
        let at = self.env.time_of_day();
        (self.logs.borrow_mut()).line(at, &self.node, self.stream, line);
    }
}
