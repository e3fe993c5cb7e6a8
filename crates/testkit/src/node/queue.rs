//! How an edge of a test behaves: its policy and its limits.

use std::time::Duration;

use dataflow_ids::QueuePolicy;

/// What a description says of an input: how many messages wait in its queue, what happens when there are more, and how
/// many its receiver may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    pub(super) policy: QueuePolicy,
    pub(super) size: u32,
    pub(super) held_max: u32,
    pub(super) held_bytes_max: u64,
    pub(super) spin: Duration,
}

impl Queue {
    /// A queue of `size` messages; who sends waits when it is full, and nothing is lost.
    pub fn block(size: u32) -> Queue {
        Queue {
            policy: QueuePolicy::Block,
            size,
            held_max: 64,
            held_bytes_max: 1 << 30,
            spin: Duration::ZERO,
        }
    }

    /// A queue of `size` messages; when it is full, the oldest is dropped.
    pub fn drop_oldest(size: u32) -> Queue {
        Queue {
            policy: QueuePolicy::DropOldest,
            ..Queue::block(size)
        }
    }

    /// Only the newest message is kept.
    pub fn latest() -> Queue {
        Queue {
            policy: QueuePolicy::Latest,
            ..Queue::block(1)
        }
    }

    /// How many messages the receiver may hold before its library copies payloads out (64 if nothing is said).
    #[must_use]
    pub fn held_max(self, held_max: u32) -> Queue {
        Queue { held_max, ..self }
    }

    /// How many bytes the receiver may hold before its library copies payloads out (1 GiB if nothing is said).
    #[must_use]
    pub fn held_bytes_max(self, held_bytes_max: u64) -> Queue {
        Queue {
            held_bytes_max,
            ..self
        }
    }

    /// For how long the receiver watches its input before it sleeps (not at all if nothing is said).
    #[must_use]
    pub fn spin(self, spin: Duration) -> Queue {
        Queue { spin, ..self }
    }
}
