//! What is counted on an edge.

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::number::{Counter, Gauge, RunNumber};
use crate::{DropReason, EdgeId, InputId, NodeIndex, OutputId, QueuePolicy};

/// Counters of an edge, or sums of such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EdgeCounters {
    /// Messages sent.
    pub sent: Counter,
    /// Messages that reached the receiver.
    pub delivered: Counter,
    /// Messages whose token came back.
    pub released: Counter,
    /// Messages that a receiver held when it died.
    pub lost: Counter,
    /// Messages dropped because the queue was full.
    pub dropped_full: Counter,
    /// Messages dropped because the receiver has ended for good.
    pub dropped_receiver_closed: Counter,
    /// Messages dropped to make room in the sender's memory.
    pub dropped_memory: Counter,
    /// Payload bytes sent.
    pub bytes: Counter,
    /// How long the sender has waited.
    pub blocked_ns: Counter,
}

impl EdgeCounters {
    /// Messages that were dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> Counter {
        match reason {
            DropReason::Full => self.dropped_full,
            DropReason::ReceiverClosed => self.dropped_receiver_closed,
            DropReason::Memory => self.dropped_memory,
        }
    }
}

/// Gauges of an edge, or sums of such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EdgeGauges {
    /// Messages that wait in the queue.
    pub queued: Gauge,
    /// Messages that the receiver holds.
    pub held: Gauge,
    /// Edges on which the sender waits at this moment.
    pub blocked: Gauge,
}

/// How long messages of an edge took, from a sample of them that stands for all: or sums of such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EdgeHistograms {
    /// From the beginning of the send, also while it waited for room, until the receiver's program had the message.
    pub latency: Histogram,
    /// From its place in the queue until the receiver took it.
    pub queue_wait: Histogram,
    /// From when the receiver's program had it until that program asked for the next event.
    pub handling: Histogram,
}

/// Which edge, in some statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EdgeKey {
    /// The run that it belongs to.
    pub run: RunNumber,
    /// Its number there.
    pub edge: EdgeId,
}

/// An edge at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeRow {
    /// Which edge.
    pub key: EdgeKey,
    /// Grows with every change of this row, and is higher than that of any row that had its key before.
    pub sequence: u64,
    /// The revision in which it came in: a row with another one is of another edge that had the same key.
    pub added_revision: u64,
    /// Its sender.
    pub source: NodeIndex,
    /// The sender's output.
    pub output: OutputId,
    /// Its receiver.
    pub target: NodeIndex,
    /// The receiver's input.
    pub input: InputId,
    /// What a full queue does.
    pub policy: QueuePolicy,
    /// How many messages may be queued.
    pub queue_size: u32,
    /// What was counted.
    pub counters: EdgeCounters,
    /// What there is.
    pub gauges: EdgeGauges,
    /// When the oldest message that waits in the queue was sent.
    pub oldest_ns: Option<u64>,
    /// Whether its sender has ended for good.
    pub is_closed: bool,
    /// How long messages took.
    pub histograms: Box<EdgeHistograms>,
}
