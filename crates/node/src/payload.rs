//! Where a received payload lies: in the message itself, in a copy, or in the sender's memory.

use std::fmt;

use dataflow_shm::SegmentInUse;
use dataflow_shm::edge::{InlineMessage, Lease};

/// What every payload is aligned to, in bytes.
pub const PAYLOAD_ALIGNMENT: usize = 64;

/// Bytes of this process, aligned as those in shared memory are.
pub(crate) struct AlignedBytes {
    buffer: Vec<u8>,
    start: usize,
}

/// A received payload.
pub(crate) enum Payload {
    /// A timer's tick has none.
    Empty,
    /// Small: it came inside the slot, whose token is released already.
    Inline(InlineMessage),
    /// Copied out, because the receiver holds as much as it may; the token is released already.
    Copied(AlignedBytes),
    /// In the sender's memory, until this value goes.
    Held(HeldBytes),
}

/// Bytes in the sender's memory and the drop token owed for them.
pub(crate) struct HeldBytes {
    /// Released first: fields are dropped in order, and the memory is not touched any more by then.
    _lease: Lease,
    mapping: SegmentInUse,
    offset: u64,
    length: u64,
}

impl AlignedBytes {
    /// A copy of `bytes`.
    pub(crate) fn copied(bytes: &[u8]) -> AlignedBytes {
        let mut aligned = AlignedBytes::reserved(bytes.len());
        aligned.buffer.extend_from_slice(bytes);
        aligned
    }

    /// `length` zeros.
    pub(crate) fn zeroed(length: usize) -> AlignedBytes {
        let mut aligned = AlignedBytes::reserved(length);
        aligned.buffer.resize(aligned.start + length, 0);
        aligned
    }

    /// Room for `length` bytes. The vector never grows beyond its capacity, so its bytes stay where they are
    /// aligned now.
    fn reserved(length: usize) -> AlignedBytes {
        let mut buffer: Vec<u8> = Vec::with_capacity(length + PAYLOAD_ALIGNMENT - 1);
        let start = buffer.as_ptr().align_offset(PAYLOAD_ALIGNMENT);
        buffer.resize(start, 0);
        AlignedBytes { buffer, start }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..]
    }
}

impl Payload {
    /// A copy of `bytes`.
    pub(crate) fn copied(bytes: &[u8]) -> Payload {
        Payload::Copied(AlignedBytes::copied(bytes))
    }

    /// `length` bytes of a sender's memory, which were found to lie inside it.
    pub(crate) fn held(lease: Lease, mapping: SegmentInUse, offset: u64, length: u64) -> Payload {
        Payload::Held(HeldBytes {
            _lease: lease,
            mapping,
            offset,
            length,
        })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Payload::Empty => &[],
            Payload::Inline(message) => message.payload(),
            Payload::Copied(copied) => copied.bytes(),
            Payload::Held(held) => held
                .mapping
                .slice(held.offset, held.length)
                .expect("the range was checked when the message was opened"),
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        matches!(self, Payload::Held(_))
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self {
            Payload::Empty => "empty",
            Payload::Inline(_) => "inline",
            Payload::Copied(_) => "copied",
            Payload::Held(_) => "held",
        };
        write!(f, "{} bytes, {place}", self.bytes().len())
    }
}
