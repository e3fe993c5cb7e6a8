//! A pipe in memory, as long as a real one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use dataflow_runtime::process::{LocalFuture, OutputPipe};
use tokio::sync::Notify;

/// How much a pipe holds, in bytes: as much as Linux gives one.
pub(super) const PIPE_BYTES: usize = 64 * 1024;

/// What a process prints into.
#[derive(Debug, Default)]
pub(super) struct FakePipe {
    bytes: RefCell<VecDeque<u8>>,
    /// How many processes can write into it.
    writers: Cell<usize>,
    /// For the reader: there is something, or the end.
    filled: Notify,
    /// For the writer: there is room.
    emptied: Notify,
}

impl FakePipe {
    /// Takes as much as there is room for, and gives how much that is.
    pub(super) fn write(&self, bytes: &[u8]) -> usize {
        if self.writers.get() == 0 {
            return 0;
        }
        let mut held = self.bytes.borrow_mut();
        let taken = bytes.len().min(PIPE_BYTES - held.len());
        held.extend(&bytes[..taken]);
        self.filled.notify_waiters();
        taken
    }

    /// Takes all of it, as soon as there is room. Never returns when the pipe is closed meanwhile.
    pub(super) async fn write_all(&self, mut bytes: &[u8]) {
        loop {
            let emptied = self.emptied.notified();
            bytes = &bytes[self.write(bytes)..];
            if bytes.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// One more process can write into it.
    pub(super) fn hold(&self) {
        self.writers.set(self.writers.get() + 1);
    }

    /// One less can. After the last one it ends.
    pub(super) fn let_go(&self) {
        self.writers.set(self.writers.get().saturating_sub(1));
        self.filled.notify_waiters();
    }
}

/// The read end.
pub(super) struct ReadEnd(pub(super) Rc<FakePipe>);

impl OutputPipe for ReadEnd {
    fn read<'a>(&'a self, into: &'a mut [u8]) -> LocalFuture<'a, io::Result<usize>> {
        Box::pin(async move {
            loop {
                let filled = self.0.filled.notified();
                match self.read_there(into) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => filled.await,
                    read => return read,
                }
            }
        })
    }

    fn read_there(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut held = self.0.bytes.borrow_mut();
        if held.is_empty() {
            return match self.0.writers.get() {
                0 => Ok(0),
                1.. => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let count = held.len().min(into.len());
        for (place, byte) in into.iter_mut().zip(held.drain(..count)) {
            *place = byte;
        }
        self.0.emptied.notify_waiters();
        Ok(count)
    }
}
