//! Messages as they enter and leave an edge, and their descriptors in a slot.

use std::sync::atomic::Ordering;

use dataflow_ids::{Epoch, SegmentId, Sequence};

use super::config::{INLINE_BYTES_MAX, METADATA_BYTES_MAX, SLOT_METADATA_BYTES_MAX};
use super::error::{Damage, PublishError};
use super::layout::slot;
use super::lease::Lease;
use super::mapped::MappedWords;
use super::words::{Notify, Words};
use crate::eventfd::EventFd;

/// Payload and metadata in the slot.
const KIND_INLINE: u32 = 1;
/// Payload in a chunk, metadata in the slot.
const KIND_CHUNK: u32 = 2;
/// Payload in a chunk, metadata behind it.
const KIND_CHUNK_WITH_METADATA: u32 = 3;

/// Where the kind stands in [`slot::FORM`]: the metadata's length has the bits below.
const KIND_SHIFT: u32 = 17;
/// Where the time that the sender has waited stands.
const WAITED_SHIFT: u32 = 20;
/// The longest such time that has room: 4.8 hours.
const WAITED_NS_MAX: u64 = u64::MAX >> WAITED_SHIFT;

const _: () = assert!(METADATA_BYTES_MAX < 1 << KIND_SHIFT);

/// A chunk of a sender's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey {
    /// The segment it lies in.
    pub segment: SegmentId,
    /// Where it begins, in bytes.
    pub offset: u64,
}

/// A message to be published.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// When it was sent: the beginning of the call.
    pub sent_at_ns: u64,
    /// For how long it has waited for room since. Above 4.8 hours it arrives as those.
    pub waited_ns: u64,
    /// What it carries.
    pub body: OutgoingBody<'a>,
}

/// What a message to be published carries.
#[derive(Debug, Clone, Copy)]
pub enum OutgoingBody<'a> {
    /// Payload and metadata are copied into the slot: [`INLINE_BYTES_MAX`] bytes together.
    Inline {
        /// The payload.
        payload: &'a [u8],
        /// The metadata, encoded.
        metadata: &'a [u8],
    },
    /// The payload lies at the beginning of a chunk.
    Chunk {
        /// The chunk.
        chunk: ChunkKey,
        /// The payload's length in bytes.
        payload_length: u64,
        /// The metadata.
        metadata: OutgoingMetadata<'a>,
    },
}

/// Where the metadata of a message in a chunk is.
#[derive(Debug, Clone, Copy)]
pub enum OutgoingMetadata<'a> {
    /// It is copied into the slot: at most [`SLOT_METADATA_BYTES_MAX`] bytes.
    Slot(&'a [u8]),
    /// It lies in the chunk, right behind the payload, with this length in bytes: at most
    /// [`METADATA_BYTES_MAX`].
    Chunk(u32),
}

impl OutgoingBody<'_> {
    #[inline]
    pub(super) fn payload_length(&self) -> u64 {
        match self {
            OutgoingBody::Inline { payload, .. } => payload.len() as u64,
            OutgoingBody::Chunk { payload_length, .. } => *payload_length,
        }
    }

    #[inline]
    pub(super) fn chunk(&self) -> Option<ChunkKey> {
        match self {
            OutgoingBody::Inline { .. } => None,
            OutgoingBody::Chunk { chunk, .. } => Some(*chunk),
        }
    }

    /// Whether the message fits where it wants to go.
    #[inline]
    pub(super) fn check(&self) -> Result<(), PublishError> {
        let (metadata_length, fits) = match self {
            OutgoingBody::Inline { payload, metadata } => (
                metadata.len() as u64,
                payload.len().saturating_add(metadata.len()) <= INLINE_BYTES_MAX,
            ),
            OutgoingBody::Chunk { metadata, .. } => match metadata {
                OutgoingMetadata::Slot(bytes) => {
                    (bytes.len() as u64, bytes.len() <= SLOT_METADATA_BYTES_MAX)
                }
                OutgoingMetadata::Chunk(length) => {
                    (u64::from(*length), *length as usize <= METADATA_BYTES_MAX)
                }
            },
        };
        if fits {
            Ok(())
        } else {
            Err(PublishError::TooLong {
                payload_length: self.payload_length(),
                metadata_length,
            })
        }
    }
}

/// Writes the descriptor, and what is inline, into the slot that begins at word `at`.
#[inline]
pub(super) fn write<W: Words>(words: &W, at: usize, message: &Outgoing<'_>) {
    let put = |word: usize, value: u64| words.store(at + word, value, Ordering::Relaxed);
    put(slot::SENT_AT_NS, message.sent_at_ns);
    put(slot::PAYLOAD_LENGTH, message.body.payload_length());
    let (metadata_length, kind) = match message.body {
        OutgoingBody::Inline { payload, metadata } => {
            let mut bytes = [0; INLINE_BYTES_MAX];
            bytes[..payload.len()].copy_from_slice(payload);
            let length = payload.len() + metadata.len();
            bytes[payload.len()..length].copy_from_slice(metadata);
            put_bytes(
                words,
                at + slot::INLINE,
                &bytes[..length.next_multiple_of(8)],
            );
            (metadata.len() as u32, KIND_INLINE)
        }
        OutgoingBody::Chunk {
            chunk, metadata, ..
        } => {
            let ChunkKey { segment, offset } = chunk;
            put(
                slot::SEGMENT,
                u64::from(segment.epoch.0) << 32 | u64::from(segment.number),
            );
            put(slot::OFFSET, offset);
            match metadata {
                OutgoingMetadata::Slot(metadata) => {
                    let mut bytes = [0; SLOT_METADATA_BYTES_MAX];
                    bytes[..metadata.len()].copy_from_slice(metadata);
                    let length = metadata.len().next_multiple_of(8);
                    put_bytes(words, at + slot::METADATA, &bytes[..length]);
                    (metadata.len() as u32, KIND_CHUNK)
                }
                OutgoingMetadata::Chunk(length) => (length, KIND_CHUNK_WITH_METADATA),
            }
        }
    };
    let waited_ns = message.waited_ns.min(WAITED_NS_MAX);
    put(
        slot::FORM,
        waited_ns << WAITED_SHIFT | u64::from(kind) << KIND_SHIFT | u64::from(metadata_length),
    );
}

#[inline]
fn put_bytes<W: Words>(words: &W, at: usize, bytes: &[u8]) {
    for (place, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
        words.store(at + place, u64::from_le_bytes(*eight), Ordering::Relaxed);
    }
}

#[inline]
fn get_bytes<W: Words>(words: &W, at: usize, length: usize, bytes: &mut [u8]) {
    let eights = bytes.as_chunks_mut::<8>().0;
    for (place, eight) in eights.iter_mut().take(length.div_ceil(8)).enumerate() {
        *eight = words.load(at + place, Ordering::Relaxed).to_le_bytes();
    }
}

/// What [`slot::FORM`] says.
struct Form {
    metadata_length: u64,
    kind: u32,
    waited_ns: u64,
}

impl Form {
    #[inline]
    fn read(word: u64) -> Form {
        Form {
            metadata_length: word & ((1 << KIND_SHIFT) - 1),
            kind: (word >> KIND_SHIFT) as u32 & ((1 << (WAITED_SHIFT - KIND_SHIFT)) - 1),
            waited_ns: word >> WAITED_SHIFT,
        }
    }
}

/// What a slot says, copied once and checked.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) sent_at_ns: u64,
    pub(super) waited_ns: u64,
    pub(super) described: Described,
}

/// What a message consists of, and where it lies.
#[derive(Debug)]
pub(super) enum Described {
    Inline(InlineMessage),
    Chunk {
        epoch: Epoch,
        number: u32,
        offset: u64,
        payload_length: u64,
        metadata: ReceivedMetadata,
    },
}

/// Copies the descriptor, and what is inline, out of the slot that begins at word `at`; and checks it.
#[inline]
pub(super) fn read<W: Words>(words: &W, at: usize, sequence: Sequence) -> Result<Read, Damage> {
    let get = |word: usize| words.load(at + word, Ordering::Relaxed);
    let sent_at_ns = get(slot::SENT_AT_NS);
    let payload_length = get(slot::PAYLOAD_LENGTH);
    let Form {
        metadata_length,
        kind,
        waited_ns,
    } = Form::read(get(slot::FORM));
    let bad_length = Damage::Length {
        sequence,
        payload_length,
        metadata_length,
    };
    let described = match kind {
        KIND_INLINE => {
            let together = payload_length.saturating_add(metadata_length);
            if together > INLINE_BYTES_MAX as u64 {
                return Err(bad_length);
            }
            let mut bytes = [0; INLINE_BYTES_MAX];
            get_bytes(words, at + slot::INLINE, together as usize, &mut bytes);
            Described::Inline(InlineMessage {
                bytes,
                payload_length: payload_length as u8,
                metadata_length: metadata_length as u8,
            })
        }
        KIND_CHUNK | KIND_CHUNK_WITH_METADATA => {
            let segment = get(slot::SEGMENT);
            let offset = get(slot::OFFSET);
            let metadata = if kind == KIND_CHUNK {
                if metadata_length > SLOT_METADATA_BYTES_MAX as u64 {
                    return Err(bad_length);
                }
                let mut bytes = [0; SLOT_METADATA_BYTES_MAX];
                let length = metadata_length as usize;
                get_bytes(words, at + slot::METADATA, length, &mut bytes);
                ReceivedMetadata::Slot(SmallBytes {
                    bytes,
                    length: length as u8,
                })
            } else {
                if metadata_length > METADATA_BYTES_MAX as u64 {
                    return Err(bad_length);
                }
                let begin = offset.checked_add(payload_length);
                match begin {
                    Some(offset) if offset.checked_add(metadata_length).is_some() => {
                        ReceivedMetadata::Chunk {
                            offset,
                            length: metadata_length as u32,
                        }
                    }
                    _ => return Err(bad_length),
                }
            };
            if offset.checked_add(payload_length).is_none() {
                return Err(bad_length);
            }
            Described::Chunk {
                epoch: Epoch((segment >> 32) as u32),
                number: segment as u32,
                offset,
                payload_length,
                metadata,
            }
        }
        kind => return Err(Damage::Kind { sequence, kind }),
    };
    Ok(Read {
        sent_at_ns,
        waited_ns,
        described,
    })
}

/// Which segment (epoch and number of its sender) the slot at word `at` names, if it names one.
pub(super) fn segment_of<W: Words>(words: &W, at: usize) -> Option<(Epoch, u32)> {
    let kind = Form::read(words.load(at + slot::FORM, Ordering::Relaxed)).kind;
    let segment = words.load(at + slot::SEGMENT, Ordering::Relaxed);
    matches!(kind, KIND_CHUNK | KIND_CHUNK_WITH_METADATA)
        .then_some((Epoch((segment >> 32) as u32), segment as u32))
}

/// A message that was taken.
#[derive(Debug)]
pub struct Incoming<W: Words = MappedWords, N: Notify = EventFd> {
    /// Its number on the edge.
    pub sequence: Sequence,
    /// When it was sent.
    pub sent_at_ns: u64,
    /// For how long it waited for room then, before it came into the queue.
    pub waited_ns: u64,
    /// What it carries.
    pub body: IncomingBody<W, N>,
}

/// What a message that was taken carries.
#[derive(Debug)]
pub enum IncomingBody<W: Words = MappedWords, N: Notify = EventFd> {
    /// It was in the slot and has been copied out; nothing is owed for it.
    Inline(InlineMessage),
    /// It is in a chunk, and held until the lease is dropped.
    Chunk(ChunkMessage<W, N>),
}

/// A small message, copied out of its slot.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub struct InlineMessage {
    bytes: [u8; INLINE_BYTES_MAX],
    payload_length: u8,
    metadata_length: u8,
}

impl InlineMessage {
    /// The payload.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[..usize::from(self.payload_length)]
    }

    /// The metadata, encoded.
    #[inline]
    pub fn metadata(&self) -> &[u8] {
        let begin = usize::from(self.payload_length);
        &self.bytes[begin..begin + usize::from(self.metadata_length)]
    }
}

/// A message in a chunk of its sender. Nothing of it has been checked against the segment's length yet.
#[derive(Debug)]
pub struct ChunkMessage<W: Words = MappedWords, N: Notify = EventFd> {
    /// The epoch of the segment; its node is the edge's sender.
    pub epoch: Epoch,
    /// The number of the segment.
    pub number: u32,
    /// Where the payload begins, in bytes.
    pub offset: u64,
    /// The payload's length in bytes.
    pub payload_length: u64,
    /// The metadata.
    pub metadata: ReceivedMetadata,
    /// Dropping it releases the message.
    pub lease: Lease<W, N>,
}

/// Where the metadata of a message in a chunk is.
#[derive(Debug, Clone)]
pub enum ReceivedMetadata {
    /// It was in the slot and has been copied out.
    Slot(SmallBytes),
    /// It lies in the same segment as the payload.
    Chunk {
        /// Where it begins, in bytes.
        offset: u64,
        /// Its length in bytes: at most [`METADATA_BYTES_MAX`].
        length: u32,
    },
}

/// A few bytes, copied out of a slot.
#[derive(Debug, Clone)]
pub struct SmallBytes {
    bytes: [u8; SLOT_METADATA_BYTES_MAX],
    length: u8,
}

impl SmallBytes {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}
