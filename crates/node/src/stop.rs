//! What the runtime has asked for by `Stop`, and whether the user's code has seen it.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use dataflow_ids::{EdgeId, Sequence, StopMode};

const NONE: u8 = 0;
const GRACEFUL: u8 = 1;
const NOW: u8 = 2;

/// The stop of one node. Written by the control thread, read by the user's threads.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    /// The strongest mode so far; set after `upto`, so a reader that sees it finds the limits.
    asked: AtomicU8,
    upto: Mutex<Vec<(EdgeId, Sequence)>>,
    delivered: AtomicBool,
    /// Whether the user's code receives: then it learns of the stop in that way.
    received: AtomicBool,
}

impl Stop {
    /// Takes an order. A second one can only be stronger: `now` after `graceful`.
    pub(crate) fn ask(&self, mode: StopMode, upto: Vec<(EdgeId, Sequence)>) {
        let code = match mode {
            StopMode::Graceful => GRACEFUL,
            StopMode::Now => NOW,
        };
        if !upto.is_empty() {
            let mut limits = self.upto.lock().unwrap_or_else(PoisonError::into_inner);
            // A repeated order changes nothing: the first limits count.
            if limits.is_empty() {
                *limits = upto;
            }
        }
        self.asked.fetch_max(code, Ordering::Release);
    }

    /// What is asked for.
    pub(crate) fn asked(&self) -> Option<StopMode> {
        match self.asked.load(Ordering::Acquire) {
            NONE => None,
            GRACEFUL => Some(StopMode::Graceful),
            _ => Some(StopMode::Now),
        }
    }

    /// Whether it is `now`: from then on nothing waits.
    pub(crate) fn is_now(&self) -> bool {
        self.asked() == Some(StopMode::Now)
    }

    /// Notes whether the user's code receives. Who does so no more goes on as a source, and learns of a stop as one.
    pub(crate) fn set_received(&self, received: bool) {
        self.received.store(received, Ordering::Relaxed);
    }

    /// Whether a send that begins now is refused: the user's code has not seen the stop, and does not receive.
    pub(crate) fn is_for_senders(&self) -> bool {
        self.asked().is_some() && !self.received.load(Ordering::Relaxed) && !self.is_delivered()
    }

    /// How far the named edges are delivered in a graceful stop.
    pub(crate) fn upto(&self) -> Vec<(EdgeId, Sequence)> {
        self.upto
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes that the user's code has seen it; gives whether this was the first time.
    pub(crate) fn deliver(&self) -> bool {
        !self.delivered.swap(true, Ordering::AcqRel)
    }

    /// Whether the user's code has seen it.
    pub(crate) fn is_delivered(&self) -> bool {
        self.delivered.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_can_only_grow_stronger_and_keeps_its_first_limits() {
        let stop = Stop::default();
        assert_eq!(stop.asked(), None);
        stop.ask(StopMode::Graceful, vec![(EdgeId(1), Sequence(7))]);
        stop.ask(StopMode::Graceful, vec![(EdgeId(1), Sequence(9))]);
        assert_eq!(stop.upto(), vec![(EdgeId(1), Sequence(7))]);
        stop.ask(StopMode::Now, Vec::new());
        stop.ask(StopMode::Graceful, Vec::new());
        assert_eq!(stop.asked(), Some(StopMode::Now));
        assert!(stop.deliver());
        assert!(!stop.deliver(), "a stop is delivered once");
    }
}
