//! Whether anything that is counted on an edge has changed since it was read last. Of an edge at rest that is one word
//! in shared memory: statistics may look at ten thousand of them each second.

use super::blocked;
use super::layout::header;
use super::reading::EdgeReading;
use super::wake;

/// What both ends count, and whether the sender sleeps. Not whether the receiver does: that is no change of the edge.
const COUNTED: [usize; 12] = [
    header::HEAD,
    header::DELIVERED,
    header::RELEASED,
    header::DROPPED_FULL,
    header::DROPPED_MEMORY,
    header::DROPPED_RECEIVER_CLOSED,
    header::BYTES,
    header::BLOCKED_NS,
    header::BLOCKED_SINCE,
    header::OBSERVATIONS,
    header::SENDER_WAKE,
    header::TAIL,
];

/// Where the sender's present wait stands in it.
const BLOCKED_SINCE: usize = 8;

const _: () = assert!(COUNTED[BLOCKED_SINCE] == header::BLOCKED_SINCE);

/// What somebody who looks at an edge again and again remembers of it. A new one has seen nothing.
#[derive(Debug, Clone, Default)]
pub struct EdgeMark {
    /// What the runtime had done to the edge.
    done: u64,
    tail: u64,
    /// Nothing changes before another message is sent.
    at_rest: bool,
    /// Nothing was queued or held, and every message is accounted for.
    is_settled: bool,
    words: Option<[u64; COUNTED.len()]>,
}

impl EdgeMark {
    /// Whether an edge can have changed, if this is its tail and the runtime has done so much to it.
    #[inline]
    pub(super) fn is_at_rest(&self, done: u64, tail: u64) -> bool {
        self.at_rest && self.tail == tail && self.done == done
    }

    /// Looks at the words. `true`: the edge is to be read now, and then `was_read` be told.
    ///
    /// An edge comes to rest at the second look that finds the same: the first has read that everything sent was
    /// released; the second finds the receiver asleep, so that it has asked for an event after the last message and
    /// recorded what there was to record, and then that nothing was recorded since the first. From then on the first
    /// change is another message: once the receiver has been ready, no sender sleeps on an edge that has room. (A sender that stands still for longer than it takes to look twice, between its message
    /// and the count of its bytes, has those bytes seen with its next one.)
    pub(super) fn look(&mut self, done: u64, is_ready: bool, load: impl Fn(usize) -> u64) -> bool {
        // Before the others: what the receiver has done before it fell asleep is seen.
        let is_asleep = load(header::RECEIVER_WAKE) != wake::AWAKE;
        let sender_sleeps = load(header::SENDER_WAKE) != wake::AWAKE;
        let words = COUNTED.map(&load);
        // Of a sender that waits the time goes on.
        let is_blocked = blocked::goes_on(words[BLOCKED_SINCE]);
        if self.done == done && self.words == Some(words) && !is_blocked {
            self.at_rest = self.is_settled && is_ready && is_asleep && !sender_sleeps;
            return false;
        }
        *self = EdgeMark {
            done,
            tail: words[COUNTED.len() - 1],
            at_rest: false,
            is_settled: false,
            words: Some(words),
        };
        true
    }

    /// What was read after a look.
    pub(super) fn was_read(&mut self, reading: &EdgeReading) {
        let counts = &reading.counts;
        self.is_settled = counts.queued == 0 && counts.held == 0 && counts.balances();
    }
}
