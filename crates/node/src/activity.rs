//! For how long the user's code has run without a call into the library: a fact for people who wait for it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Kept by every call, read by the control thread.
#[derive(Debug)]
pub(crate) struct Activity {
    /// How many threads and futures wait inside the library at this moment, by what for.
    waiting: [AtomicU32; 2],
    /// When a call last began, returned or stopped waiting.
    last_call_ns: AtomicU64,
}

/// What a thread or a future waits for inside the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// The next event.
    Event,
    /// Room, memory, or a receiver that is not ready yet.
    Room,
}

impl Activity {
    pub(crate) fn new() -> Activity {
        Activity {
            waiting: Default::default(),
            last_call_ns: AtomicU64::new(now_ns()),
        }
    }

    /// Notes a call, and gives this moment by the coarse clock.
    pub(crate) fn touch(&self) -> u64 {
        let now_ns = now_ns();
        self.last_call_ns.store(now_ns, Ordering::Relaxed);
        now_ns
    }

    /// Notes that a thread waits inside the library, until the guard goes.
    pub(crate) fn waiting(&self, what: WaitsFor) -> WaitingInside<'_> {
        self.begin_waiting(what);
        WaitingInside(self, what)
    }

    /// Notes that somebody waits inside the library, until `end_waiting`.
    pub(crate) fn begin_waiting(&self, what: WaitsFor) {
        self.waiting[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that who has said `begin_waiting` goes on.
    pub(crate) fn end_waiting(&self, what: WaitsFor) {
        self.touch();
        self.waiting[what as usize].fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether somebody waits for this inside the library.
    pub(crate) fn is_waiting(&self, what: WaitsFor) -> bool {
        self.waiting[what as usize].load(Ordering::SeqCst) > 0
    }

    /// How long ago the last call was; zero while a thread waits inside.
    pub(crate) fn busy_for(&self) -> Duration {
        if self.is_waiting(WaitsFor::Event) || self.is_waiting(WaitsFor::Room) {
            return Duration::ZERO;
        }
        Duration::from_nanos(now_ns().saturating_sub(self.last_call_ns.load(Ordering::Relaxed)))
    }
}

/// A thread waits inside the library for as long as this lives.
pub(crate) struct WaitingInside<'a>(&'a Activity, WaitsFor);

impl Drop for WaitingInside<'_> {
    fn drop(&mut self) {
        self.0.end_waiting(self.1);
    }
}

/// The coarse clock: a few milliseconds are exact enough for people, and it costs a quarter of the exact one.
fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    (now.tv_sec as u64).saturating_mul(1_000_000_000) + now.tv_nsec as u64
}
