//! Where every word of an edge lies. All of an edge is 64-bit words; a place is the index of a word.
//!
//! Words that different parties write lie 128 bytes apart: processors fetch cache lines in pairs.

use dataflow_ids::stats::HISTOGRAM_BUCKETS;

use super::config::{ConfigError, EdgeConfig};

/// The words of the header. Each names its one writer.
pub mod header {
    /// What an edge begins with. Runtime, once.
    pub const MAGIC: usize = 0;
    /// The version of this layout. Runtime, once.
    pub const VERSION: usize = 1;
    /// The edge's number, for people who look at a dump. Runtime, once.
    pub const EDGE: usize = 2;
    /// The effective queue size, for people. Runtime, once.
    pub const QUEUE_SIZE: usize = 3;
    /// The most messages a receiver may hold, for people. Runtime, once.
    pub const HELD_MAX: usize = 4;
    /// The most bytes a receiver may hold, for people. Runtime, once.
    pub const HELD_BYTES_MAX: usize = 5;

    /// 0, or the sender's last sequence × 2 + 1. Runtime.
    pub const CLOSED_AT: usize = 16;
    /// 1 when the input has closed for good. Runtime.
    pub const RECEIVER_GONE: usize = 17;
    /// 1 when the receiver has been Ready. Runtime.
    pub const RECEIVER_READY: usize = 18;
    /// The sender's incarnation. Runtime.
    pub const SENDER_EPOCH: usize = 19;
    /// The receiver's incarnation. Runtime.
    pub const RECEIVER_EPOCH: usize = 20;
    /// Messages that a receiver held when it died. Runtime.
    pub const LOST: usize = 21;
    /// Messages that were queued when the input closed for good. Runtime.
    pub const DROPPED_AT_CLOSE: usize = 22;

    /// The last sequence published, which is also the number of messages sent. Sender.
    pub const TAIL: usize = 32;

    /// Messages dropped because the queue was full. Sender.
    pub const DROPPED_FULL: usize = 48;
    /// Messages dropped to make room in the sender's memory. Sender.
    pub const DROPPED_MEMORY: usize = 49;
    /// Messages sent after the input had closed for good. Sender.
    pub const DROPPED_RECEIVER_CLOSED: usize = 50;
    /// Payload bytes sent. Sender.
    pub const BYTES: usize = 51;
    /// Time that the sender has waited on this edge, without the wait that it is in. Sender.
    pub const BLOCKED_NS: usize = 52;
    /// What the sender is about to drop. Sender.
    pub const DROP_INTENT: usize = 53;
    /// Since when the sender waits on this edge, on the machine's monotonic clock, or 0. Sender.
    pub const BLOCKED_SINCE: usize = 54;

    /// How far the receiver is, and the parity of `DELIVERED` then. Receiver.
    pub const HEAD: usize = 64;

    /// Messages taken. Receiver.
    pub const DELIVERED: usize = 80;

    /// Messages released. An atomic add by any thread of the receiver.
    pub const RELEASED: usize = 96;

    /// Whether the receiver sleeps. Set by the receiver, reset by who wakes it.
    pub const RECEIVER_WAKE: usize = 112;

    /// Whether the sender sleeps, and for what. Set by the sender, reset by who wakes it.
    pub const SENDER_WAKE: usize = 128;

    /// 0, or the sequence + 1 up to which the receiver's control thread waits for releases. Receiver.
    pub const WATCH: usize = 144;

    /// How often something was recorded in the three histograms: while it stands, so do they. Receiver.
    pub const OBSERVATIONS: usize = 160;
    /// The sum of the latencies, then their buckets. Receiver.
    pub const LATENCY: usize = 161;
    /// The sum of the waits in the queue, then their buckets. Receiver.
    pub const QUEUE_WAIT: usize = LATENCY + super::HISTOGRAM_WORDS;
    /// The sum of the handling times, then their buckets. Receiver.
    pub const HANDLING: usize = QUEUE_WAIT + super::HISTOGRAM_WORDS;
}

/// What [`header::MAGIC`] holds: "dataflow".
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"dataflow");

/// What [`header::VERSION`] holds.
pub(super) const VERSION: u64 = 2;

/// How many words a histogram has: its sum in nanoseconds, then its buckets.
pub const HISTOGRAM_WORDS: usize = 1 + HISTOGRAM_BUCKETS;

/// The words of a slot, counted from its first. That one is (sequence, state).
pub(super) mod slot {
    /// When the message was sent.
    pub(crate) const SENT_AT_NS: usize = 1;
    /// The payload's length in bytes.
    pub(crate) const PAYLOAD_LENGTH: usize = 2;
    /// The metadata's length, the kind of message, and how long the sender has waited for room: see
    /// [`super::super::message`] for the bits.
    pub(crate) const FORM: usize = 3;
    /// Inline: payload, then metadata.
    pub(crate) const INLINE: usize = 4;
    /// Chunk: the epoch of the segment in the upper half, its number in the lower.
    pub(crate) const SEGMENT: usize = 4;
    /// Chunk: where in the segment.
    pub(crate) const OFFSET: usize = 5;
    /// Chunk: the metadata, if it is short.
    pub(crate) const METADATA: usize = 6;
    /// How many words a slot has.
    pub(crate) const WORDS: usize = 16;
}

/// Where the ring begins.
const RING: usize = 320;

/// The shortest ring, so that slots begin on a line of their own.
const RING_SIZE_MIN: u64 = 16;

const _: () = {
    assert!(header::HANDLING + HISTOGRAM_WORDS <= RING);
    assert!(slot::INLINE * 8 + super::config::INLINE_BYTES_MAX == slot::WORDS * 8);
    assert!(slot::METADATA * 8 + super::config::SLOT_METADATA_BYTES_MAX == slot::WORDS * 8);
    assert!(RING.is_multiple_of(slot::WORDS));
    assert!((RING_SIZE_MIN as usize).is_multiple_of(slot::WORDS));
    // A slot's index fits into a ring entry beside `NO_SLOT`.
    assert!(super::config::QUEUE_SIZE_MAX + super::config::HELD_MAX + 1 < super::slot::NO_SLOT);
    // Nobody shares a pair of lines with another writer.
    assert!(header::CLOSED_AT / 16 != header::TAIL / 16);
    assert!(header::TAIL / 16 != header::DROPPED_FULL / 16);
    assert!(header::BLOCKED_SINCE / 16 != header::HEAD / 16);
    assert!(header::HEAD / 16 != header::DELIVERED / 16);
    assert!(header::DELIVERED / 16 != header::RELEASED / 16);
    assert!(header::RELEASED / 16 != header::RECEIVER_WAKE / 16);
    assert!(header::RECEIVER_WAKE / 16 != header::SENDER_WAKE / 16);
    assert!(header::SENDER_WAKE / 16 != header::WATCH / 16);
    assert!(header::WATCH / 16 != header::OBSERVATIONS / 16);
};

/// Places and sizes of one edge, from its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    queue_size: u64,
    ring_size: u64,
    slots: u32,
}

impl Layout {
    /// The layout of an edge with this configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the configuration is outside its limits.
    pub fn new(config: &EdgeConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let queue_size = config.queue_size_effective();
        Ok(Layout {
            queue_size: u64::from(queue_size),
            // One more than the queue: the entry that the sender writes before it moves the tail must not
            // stand where the oldest queued message has its own.
            ring_size: u64::from(queue_size + 1)
                .next_power_of_two()
                .max(RING_SIZE_MIN),
            slots: queue_size + config.held_max + 1,
        })
    }

    /// How many messages may be queued.
    #[inline]
    pub fn queue_size(&self) -> u64 {
        self.queue_size
    }

    /// How many entries the ring has: a power of two, above the queue size.
    #[inline]
    pub fn ring_size(&self) -> u64 {
        self.ring_size
    }

    /// How many slots there are.
    #[inline]
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// The position of a message in the ring.
    #[inline]
    pub fn position(&self, sequence: u64) -> usize {
        (sequence & (self.ring_size - 1)) as usize
    }

    /// The place of a message's ring entry.
    #[inline]
    pub fn ring(&self, sequence: u64) -> usize {
        RING + self.position(sequence)
    }

    /// The place of a slot's first word. `slot` must be below [`Layout::slots`].
    #[inline]
    pub fn slot(&self, slot: u32) -> usize {
        RING + self.ring_size as usize + slot as usize * slot::WORDS
    }

    /// How many words the edge has.
    pub fn words(&self) -> usize {
        self.slot(self.slots)
    }

    /// How many bytes the edge has.
    pub fn bytes(&self) -> usize {
        self.words() * 8
    }
}
