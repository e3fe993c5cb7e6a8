//! For how long a sender has waited on an edge: the waits that it has booked, and the one that it is in.
//!
//! The sender says since when it waits before it sleeps. When it goes on it takes that back first and books the wait
//! after it; a reader looks at what is booked first. So who sees a wait booked does not see that it goes on.

use std::sync::atomic::Ordering;

use super::layout::header;
use super::words::Words;

/// What [`header::BLOCKED_SINCE`] holds while nothing is waited for: no moment of a machine that has started anything.
const NOT_BLOCKED: u64 = 0;

/// What the header says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blocked {
    /// How long the waits were that are over.
    pub(super) booked_ns: u64,
    /// The moment at which the present one began.
    since_ns: u64,
}

/// Says that the sender waits, since a moment of the machine's monotonic clock.
pub(super) fn begin<W: Words>(words: &W, since_ns: u64) {
    words.store(header::BLOCKED_SINCE, since_ns, Ordering::Release);
}

/// Says that the sender does not wait any more, and how long all of its waits were.
pub(super) fn end<W: Words>(words: &W, booked_ns: u64) {
    words.store(header::BLOCKED_SINCE, NOT_BLOCKED, Ordering::Relaxed);
    // Release: who sees this sees that the wait is over.
    words.store(header::BLOCKED_NS, booked_ns, Ordering::Release);
}

/// What the header says at this moment.
pub(super) fn read<W: Words>(words: &W) -> Blocked {
    Blocked {
        booked_ns: words.load(header::BLOCKED_NS, Ordering::Acquire),
        since_ns: words.load(header::BLOCKED_SINCE, Ordering::Acquire),
    }
}

/// Whether the sender says that it waits, if `says` stands in [`header::BLOCKED_SINCE`].
pub(super) fn goes_on(says: u64) -> bool {
    says != NOT_BLOCKED
}

impl Blocked {
    /// How long the present wait has lasted by now. A sender can write any moment: nothing is counted from before it was
    /// there, nor from a moment that is still to come.
    pub(super) fn present_ns(self, now_ns: u64, sender_since_ns: u64) -> u64 {
        if goes_on(self.since_ns) {
            now_ns.saturating_sub(self.since_ns.max(sender_since_ns))
        } else {
            0
        }
    }
}
