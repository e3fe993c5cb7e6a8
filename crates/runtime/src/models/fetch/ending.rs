//! When nothing of a fetcher goes on any more: no transfer, and no job of one that still holds a file.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Held by all that goes on. Nothing is ever sent: it counts that it is dropped.
#[derive(Debug, Clone)]
pub(super) struct GoesOn {
    _held: Sender<Infallible>,
}

/// Waits until nothing goes on.
#[derive(Debug)]
pub struct Ending {
    all_dropped: Receiver<Infallible>,
}

pub(super) fn ending() -> (GoesOn, Ending) {
    let (_held, all_dropped) = channel();
    (GoesOn { _held }, Ending { all_dropped })
}

impl Ending {
    /// Waits for the end, and no longer than this. Gives whether it has come. Blocks.
    #[must_use]
    pub fn wait(&self, at_most: Duration) -> bool {
        let waited = self.all_dropped.recv_timeout(at_most);
        matches!(waited, Err(RecvTimeoutError::Disconnected))
    }
}
