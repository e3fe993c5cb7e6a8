//! What an edge is made with, and its limits.

use dataflow_ids::{EdgeId, QueuePolicy};

/// The longest queue, in messages.
pub const QUEUE_SIZE_MAX: u32 = 16_384;

/// The most messages that a receiver may hold before its library copies, whatever a description asks.
pub const HELD_MAX: u32 = 4_096;

/// Payload and metadata together travel inside the slot up to this many bytes.
pub const INLINE_BYTES_MAX: usize = 96;

/// Metadata of a message in a chunk stands in the slot up to this many bytes, longer metadata in the chunk.
pub const SLOT_METADATA_BYTES_MAX: usize = 80;

/// The longest metadata of any message, in bytes, encoded.
pub const METADATA_BYTES_MAX: usize = 65_536;

/// What the runtime tells both ends of an edge. Sizes are taken from here, never from shared memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeConfig {
    /// The edge's number, for errors and for the memfd's name.
    pub edge: EdgeId,
    /// What a full queue does.
    pub policy: QueuePolicy,
    /// How many messages may be queued: 1 to [`QUEUE_SIZE_MAX`]. `latest` has a queue of 1 whatever stands
    /// here.
    pub queue_size: u32,
    /// How many messages a receiver may hold before its library copies: 0 to [`HELD_MAX`].
    pub held_max: u32,
    /// How many bytes a receiver may hold before its library copies.
    pub held_bytes_max: u64,
}

/// A configuration outside its limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The queue is empty or too long.
    #[error(
        "edge {edge}: a queue has 1 to {QUEUE_SIZE_MAX} messages, `queue_size` says {queue_size}"
    )]
    QueueSize {
        /// The edge.
        edge: EdgeId,
        /// What was asked for.
        queue_size: u32,
    },
    /// Too many messages may be held.
    #[error(
        "edge {edge}: a receiver may hold at most {HELD_MAX} messages, `max_held` says {held_max}"
    )]
    HeldMax {
        /// The edge.
        edge: EdgeId,
        /// What was asked for.
        held_max: u32,
    },
}

impl EdgeConfig {
    /// How many messages may really be queued.
    pub fn queue_size_effective(&self) -> u32 {
        match self.policy {
            QueuePolicy::Latest => 1,
            QueuePolicy::DropOldest | QueuePolicy::Block => self.queue_size,
        }
    }

    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the key, its value and its limit.
    pub fn check(&self) -> Result<(), ConfigError> {
        let edge = self.edge;
        let queue_size = self.queue_size_effective();
        if queue_size == 0 || queue_size > QUEUE_SIZE_MAX {
            return Err(ConfigError::QueueSize { edge, queue_size });
        }
        if self.held_max > HELD_MAX {
            return Err(ConfigError::HeldMax {
                edge,
                held_max: self.held_max,
            });
        }
        Ok(())
    }
}
