//! Time as timers and timeouts see it: the machine's, or one that a test moves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dataflow_shm::EventFd;

/// A time that stands still until it is moved: for tests that say themselves when timers tick and timeouts are over.
/// Clones are the same time.
///
/// [`Node::connect_in_time`](crate::Node::connect_in_time) makes a node live in one.
#[derive(Debug, Clone)]
pub struct VirtualTime {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    start: Instant,
    passed_ns: AtomicU64,
    /// Wakes whoever receives; known once the node is connected.
    receive_wake: OnceLock<EventFd>,
}

impl VirtualTime {
    /// A time at its beginning.
    pub fn new() -> VirtualTime {
        VirtualTime {
            shared: Arc::new(Shared {
                start: Instant::now(),
                passed_ns: AtomicU64::new(0),
                receive_wake: OnceLock::new(),
            }),
        }
    }

    /// How much has passed since its beginning.
    pub fn passed(&self) -> Duration {
        Duration::from_nanos(self.shared.passed_ns.load(Ordering::Acquire))
    }

    /// Moves it on by `duration` and wakes the node, which then sees everything that has become due.
    pub fn advance(&self, duration: Duration) {
        let by_ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.shared.passed_ns.fetch_add(by_ns, Ordering::AcqRel);
        if let Some(wake) = self.shared.receive_wake.get() {
            wake.notify();
        }
    }

    /// From now on `receive_wake` is notified whenever the time has moved. The first one stays: a time has one node.
    pub(crate) fn wakes(&self, receive_wake: EventFd) {
        let _ = self.shared.receive_wake.set(receive_wake);
    }
}

impl Default for VirtualTime {
    fn default() -> VirtualTime {
        VirtualTime::new()
    }
}

/// The time that a node lives in.
#[derive(Debug)]
pub(crate) enum Time {
    /// The machine's.
    Machine,
    /// A test's.
    Virtual(VirtualTime),
}

impl Time {
    /// This moment.
    pub(crate) fn now(&self) -> Instant {
        match self {
            Time::Machine => Instant::now(),
            Time::Virtual(time) => time.shared.start + time.passed(),
        }
    }

    /// Until when a sleep may last that is to end at `until`. A time that a test moves ends no sleep by itself: who
    /// moves it wakes the sleeper.
    pub(crate) fn alarm(&self, until: Option<Instant>) -> Option<Instant> {
        match self {
            Time::Machine => until,
            Time::Virtual(_) => None,
        }
    }
}
