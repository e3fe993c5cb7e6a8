//! How an edge stands, and what was counted there.

use dataflow_ids::{DropReason, EdgeId, InputId, NodeId, OutputId, QueuePolicy};
use serde::{Deserialize, Serialize};

/// An edge at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeStatus {
    /// Its number.
    pub edge: EdgeId,
    /// The sender.
    pub source: NodeId,
    /// The sender's output.
    pub output: OutputId,
    /// The receiver.
    pub target: NodeId,
    /// The receiver's input.
    pub input: InputId,
    /// What a full queue does.
    pub policy: QueuePolicy,
    /// How many messages may be queued.
    pub queue_size: u32,
    /// Whether a sender waits on it at this moment.
    pub blocked: bool,
    /// Whether its sender has ended for good.
    pub closed: bool,
    /// Whether every token of it has been acknowledged after its end.
    pub drained: bool,
    /// What was found there that no correct process writes, if anything was: the counts cannot be relied on then.
    pub damage: Option<String>,
    /// What was counted.
    pub counts: EdgeCounts,
}

/// What was counted on an edge. At rest `sent = delivered + dropped + queued` and
/// `delivered = released + held + lost` (I-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EdgeCounts {
    /// Messages sent.
    pub sent: u64,
    /// Messages that reached the receiver.
    pub delivered: u64,
    /// Messages whose token came back.
    pub released: u64,
    /// Messages that a receiver held when it died.
    pub lost: u64,
    /// Messages dropped because the queue was full.
    pub dropped_full: u64,
    /// Messages dropped because the receiver has ended for good.
    pub dropped_receiver_closed: u64,
    /// Messages dropped to make room in the sender's memory.
    pub dropped_memory: u64,
    /// Messages that wait in the queue.
    pub queued: u64,
    /// Messages that the receiver holds.
    pub held: u64,
    /// Payload bytes sent.
    pub bytes: u64,
    /// How long the sender has waited on this edge.
    pub blocked_ns: u64,
}

impl EdgeCounts {
    /// Every message that was not delivered and will not be. A faulty process can write any counts into an edge,
    /// so the sum stops at the greatest number there is.
    pub fn dropped(&self) -> u64 {
        let reasons = DropReason::ALL.into_iter();
        reasons.fold(0, |sum, reason| {
            sum.saturating_add(self.dropped_for(reason))
        })
    }

    /// Messages that were dropped for this reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        match reason {
            DropReason::Full => self.dropped_full,
            DropReason::ReceiverClosed => self.dropped_receiver_closed,
            DropReason::Memory => self.dropped_memory,
        }
    }

    /// Whether the two sums of I-2 hold, whatever the counts are.
    pub fn balances(&self) -> bool {
        let arrived = self.delivered.checked_add(self.dropped());
        let settled = self.released.checked_add(self.held);
        arrived.and_then(|sum| sum.checked_add(self.queued)) == Some(self.sent)
            && settled.and_then(|sum| sum.checked_add(self.lost)) == Some(self.delivered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_a_faulty_process_wrote_do_not_balance_and_do_not_overflow() {
        let counts = EdgeCounts {
            dropped_full: u64::MAX,
            dropped_receiver_closed: 2,
            dropped_memory: u64::MAX,
            ..EdgeCounts::default()
        };
        assert_eq!(counts.dropped(), u64::MAX);
        assert!(!counts.balances());
        // The sum would be right if it wrapped.
        let counts = EdgeCounts {
            dropped_full: u64::MAX,
            queued: 1,
            ..EdgeCounts::default()
        };
        assert!(!counts.balances());
    }
}
