//! What an edge's header and slots say at one moment, for statistics, quiescence and the report.

use std::sync::Arc;

use dataflow_ids::SenderSleep;
use dataflow_ids::stats::EdgeHistograms;

/// What was counted on an edge. At rest `sent = delivered + dropped + queued` and
/// `delivered = released + held + lost` (I-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EdgeCounts {
    /// Messages sent.
    pub sent: u64,
    /// Messages that reached the receiver.
    pub delivered: u64,
    /// Messages that the receiver has released.
    pub released: u64,
    /// Messages that a receiver held when it died.
    pub lost: u64,
    /// Messages dropped because the queue was full.
    pub dropped_full: u64,
    /// Messages dropped because the input has closed for good.
    pub dropped_receiver_closed: u64,
    /// Messages dropped to make room in the sender's memory.
    pub dropped_memory: u64,
    /// Messages that wait in the queue.
    pub queued: u64,
    /// Messages that the receiver holds.
    pub held: u64,
    /// Payload bytes sent. A sender that is killed may have left out its last message.
    pub bytes: u64,
    /// How long the sender has waited on this edge, with the wait that it is in.
    pub blocked_ns: u64,
}

impl EdgeCounts {
    /// Every message that was not delivered and will not be.
    pub fn dropped(&self) -> u64 {
        self.dropped_full
            .saturating_add(self.dropped_receiver_closed)
            .saturating_add(self.dropped_memory)
    }

    /// Whether the two sums of I-2 hold.
    pub fn balances(&self) -> bool {
        let arrived = self.delivered.checked_add(self.dropped());
        let settled = self.released.checked_add(self.held);
        arrived.and_then(|sum| sum.checked_add(self.queued)) == Some(self.sent)
            && settled.and_then(|sum| sum.checked_add(self.lost)) == Some(self.delivered)
    }
}

/// An edge at one moment. While both ends run, its parts are of slightly different moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeReading {
    /// What was counted.
    pub counts: EdgeCounts,
    /// The receiver sleeps.
    pub receiver_idle: bool,
    /// What the sender sleeps for, if it sleeps.
    pub sender_sleep: Option<SenderSleep>,
    /// The sender sleeps until this edge has room, or gives memory back: on an edge that blocks. One that drops gives memory
    /// back too, but keeps nobody waiting.
    pub sender_blocked: bool,
    /// How far the receiver is: every message up to this one was taken or dropped.
    pub head: u64,
    /// The last message sent.
    pub tail: u64,
    /// When the oldest message that waits in the queue was sent, in nanoseconds of the machine's monotonic clock, as
    /// its sender says; `None` while none waits, or while each that does is about to be taken. It can be anything, also
    /// in the future.
    pub oldest_sent_at_ns: Option<u64>,
    /// How long messages took, from a sample that stands for all of them. A reading shares them with the one before for
    /// as long as nothing is recorded.
    pub histograms: Arc<EdgeHistograms>,
}
