//! From a node's pipes to log lines. Nobody waits for their end.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use dataflow_ids::NodeId;
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use super::readiness::watched;
use crate::logs::{Lines, LogSink, LogStream};

/// How much one read takes, in bytes.
const READ_BYTES_MAX: usize = 16 * 1024;
/// How much is read at once of a pipe whose process has ended, in bytes: a pipe holds 64 KiB unless somebody
/// made it larger.
const REST_BYTES_MAX: usize = 1024 * 1024;

/// One pipe of a node.
#[derive(Debug)]
pub(crate) struct Pump {
    pipe: AsyncFd<OwnedFd>,
    node: NodeId,
    stream: LogStream,
    lines: RefCell<Lines>,
    ended: Cell<bool>,
    /// Whether its task has panicked.
    has_panicked: Cell<bool>,
    logs: Rc<RefCell<LogSink>>,
}

enum Read {
    Some(usize),
    Nothing,
    End,
}

impl Pump {
    /// Takes over the read end of a pipe.
    pub(crate) fn new(
        pipe: OwnedFd,
        node: NodeId,
        stream: LogStream,
        logs: Rc<RefCell<LogSink>>,
    ) -> io::Result<Pump> {
        let flags = rustix::fs::fcntl_getfl(&pipe)?;
        rustix::fs::fcntl_setfl(&pipe, flags | rustix::fs::OFlags::NONBLOCK)?;
        Ok(Pump {
            pipe: watched(pipe)?,
            node,
            stream,
            lines: RefCell::default(),
            ended: Cell::new(false),
            has_panicked: Cell::new(false),
            logs,
        })
    }

    /// Its task has panicked. Gives whether that was the first time.
    pub(super) fn may_panic(&self) -> bool {
        !self.has_panicked.replace(true)
    }

    /// Reads until the pipe ends, no faster than the disk takes it.
    pub(crate) async fn run(&self) {
        let room = self.logs.borrow().room();
        while !self.ended.get() {
            room.wait().await;
            let Ok(mut ready) = self.pipe.readable().await else {
                return;
            };
            #[cfg(test)]
            crate::supervision::faults::task_step("pump");
            if let Read::Nothing = self.read() {
                ready.clear_ready();
            }
        }
    }

    /// Reads what is there, without waiting: the process has ended, and its last words are wanted.
    pub(crate) fn read_rest(&self) {
        let mut left = REST_BYTES_MAX;
        while !self.ended.get() {
            match self.read() {
                Read::Some(bytes) if bytes < left => left -= bytes,
                _ => break,
            }
        }
        self.finish();
    }

    fn read(&self) -> Read {
        let mut bytes = [0; READ_BYTES_MAX];
        match rustix::io::read(self.pipe.get_ref(), &mut bytes) {
            Ok(0) => {
                self.ended.set(true);
                self.finish();
                Read::End
            }
            Ok(read) => {
                let lines = self.lines.borrow_mut().push(&bytes[..read]);
                for line in lines {
                    self.line(line);
                }
                Read::Some(read)
            }
            Err(Errno::AGAIN) => Read::Nothing,
            Err(Errno::INTR) => Read::Some(0),
            Err(_) => {
                self.ended.set(true);
                Read::End
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
        self.logs.borrow_mut().line(&self.node, self.stream, line);
    }
}
