//! Why a sender gets no memory.

use crate::mapping::MapError;

/// Why a chunk could not be allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllocateError {
    /// No segment has room: grow the pool by so much, hand the new segment over, and ask again.
    #[error("no segment has {bytes} bytes left")]
    NeedsSegment {
        /// What [`super::SegmentPool::grow`] is to be asked for.
        bytes: u64,
    },
    /// The pool may not grow: something must be released or evicted first.
    #[error(
        "this node's outputs take {in_use_bytes} of the {limit_bytes} bytes they may, and {bytes} more are \
         needed: raise `output_memory_mb`, lower `queue_size`, or let receivers release earlier"
    )]
    AtLimit {
        /// What is needed.
        bytes: u64,
        /// What messages take that are being written, queued or held.
        in_use_bytes: u64,
        /// What they may take.
        limit_bytes: u64,
    },
    /// No release will ever make room for it.
    #[error(
        "a message of {bytes} bytes is larger than all the memory that this node's outputs may take, \
         {limit_bytes} bytes: raise `output_memory_mb` or send it in parts"
    )]
    TooLarge {
        /// What is needed.
        bytes: u64,
        /// What there may be.
        limit_bytes: u64,
    },
}

/// Why the pool could not grow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrowError {
    /// The limit leaves no room for a segment.
    #[error(
        "a segment of {bytes} bytes does not fit: this node's segments have {total_bytes} of the \
         {limit_bytes} bytes they may: raise `output_memory_mb`"
    )]
    AtLimit {
        /// What is needed.
        bytes: u64,
        /// What the segments have that cannot be given back now.
        total_bytes: u64,
        /// What they may have.
        limit_bytes: u64,
    },
    /// This incarnation has used up the numbers of segments.
    #[error("this node has made 2³² segments: restart it")]
    NumbersUsedUp,
    /// The kernel has no memory, or refused.
    #[error(transparent)]
    Memory(#[from] MapError),
}

/// A key that names no shared chunk of this pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("chunk {segment}+{offset} is not shared: it was released as often as it was retained")]
pub struct UnknownChunk {
    /// The segment that the key names.
    pub segment: dataflow_ids::SegmentId,
    /// The offset that the key names.
    pub offset: u64,
}
