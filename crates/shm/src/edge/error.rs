//! What can go wrong with an edge, one enum per operation.

use dataflow_ids::{EdgeId, Sequence};

use super::config::{ConfigError, INLINE_BYTES_MAX, METADATA_BYTES_MAX};
use crate::mapping::MapError;
use crate::memfd::{MemfdRefused, MemoryError};

/// An edge holds what no correct peer writes (I-3). Whoever sees it closes its side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("edge {edge} is damaged: {what}. A process at its other end has written out of turn")]
pub struct EdgeDamaged {
    /// The edge.
    pub edge: EdgeId,
    /// What is wrong.
    pub what: Damage,
}

/// What is wrong with a damaged edge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The sender's position is behind the receiver's, or above what a sequence can be.
    #[error("the last sequence is said to be {tail}, and {head} was taken already")]
    Tail {
        /// What the header says.
        tail: u64,
        /// What this receiver has taken.
        head: u64,
    },
    /// The receiver's position fell, or is ahead of the sender's.
    #[error("message {head} is said to be taken, and {tail} is the last one sent")]
    Head {
        /// What the header says.
        head: u64,
        /// What this sender has sent.
        tail: u64,
    },
    /// More is queued than the queue has room for.
    #[error("{queued} messages are said to be queued in a queue of {queue_size}")]
    Overfull {
        /// What the positions say.
        queued: u64,
        /// What the configuration says.
        queue_size: u64,
    },
    /// A ring entry does not belong where it stands.
    #[error("the ring names message {found} where {wanted} belongs")]
    Ring {
        /// The sequence that belongs there.
        wanted: Sequence,
        /// The sequence that stands there.
        found: Sequence,
    },
    /// A ring entry names a slot that the edge does not have.
    #[error("the ring names slot {slot} of {slots} for message {sequence}")]
    SlotIndex {
        /// The message.
        sequence: Sequence,
        /// The slot it names.
        slot: u64,
        /// How many there are.
        slots: u64,
    },
    /// A slot's word is in no state that it can be in.
    #[error("slot {slot} of message {sequence} has the word {word:#x}")]
    SlotWord {
        /// The message.
        sequence: Sequence,
        /// The slot.
        slot: u32,
        /// Its word.
        word: u64,
    },
    /// A descriptor names a kind of message that there is not.
    #[error("message {sequence} is of unknown kind {kind}")]
    Kind {
        /// The message.
        sequence: Sequence,
        /// The kind.
        kind: u32,
    },
    /// A descriptor names lengths above their limits.
    #[error(
        "message {sequence} says {payload_length} bytes of payload and {metadata_length} of metadata"
    )]
    Length {
        /// The message.
        sequence: Sequence,
        /// The payload's length in bytes.
        payload_length: u64,
        /// The metadata's length in bytes.
        metadata_length: u64,
    },
    /// A counter of the header fell, or is above what it can be.
    #[error("the header says that {says} messages were {counted}, after {before}")]
    Counter {
        /// What is counted, in one word.
        counted: &'static str,
        /// What the header says.
        says: u64,
        /// What it said before, or what there can be at most.
        before: u64,
    },
    /// A sum of the header fell.
    #[error("`{word}` in the header fell from {before} to {says}")]
    Fell {
        /// The word.
        word: &'static str,
        /// What it is.
        says: u64,
        /// What it was.
        before: u64,
    },
    /// A word that only the runtime writes has been written by somebody else.
    #[error("`{word}` in the header is {says:#x} and was written as {written:#x}")]
    OwnWord {
        /// The word.
        word: &'static str,
        /// What it is.
        says: u64,
        /// What the runtime has written.
        written: u64,
    },
    /// Both ends are over, and messages are not accounted for (I-2).
    #[error(
        "its counts do not add up: {sent} messages sent, {delivered} delivered, {dropped} dropped and {queued} queued; \
         {released} released, {held} held and {lost} lost"
    )]
    Sums {
        /// Messages sent.
        sent: u64,
        /// Messages delivered.
        delivered: u64,
        /// Messages dropped.
        dropped: u64,
        /// Messages queued.
        queued: u64,
        /// Messages released.
        released: u64,
        /// Messages held.
        held: u64,
        /// Messages lost.
        lost: u64,
    },
    /// The sequences of this edge are used up (2⁴⁸ messages), or somebody says so.
    #[error("its sequences are used up at {tail}")]
    SequencesUsedUp {
        /// The last sequence.
        tail: u64,
    },
}

/// Why a message was not published. Nothing was counted as sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The edge blocks and has no room: ask `room` what to wait for.
    #[error("edge {edge} has no room")]
    Full {
        /// The edge.
        edge: EdgeId,
    },
    /// The message does not have the form it claims.
    #[error(
        "a message of {payload_length} bytes with {metadata_length} bytes of metadata does not fit: \
         inline messages have {INLINE_BYTES_MAX} bytes in all, metadata {METADATA_BYTES_MAX}"
    )]
    TooLong {
        /// The payload's length in bytes.
        payload_length: u64,
        /// The metadata's length in bytes.
        metadata_length: u64,
    },
    /// The edge is damaged.
    #[error(transparent)]
    Damaged(#[from] EdgeDamaged),
}

/// Why an edge could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The configuration is outside its limits.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no memory for it.
    #[error("edge {edge} cannot be made: {source}")]
    Memory {
        /// The edge.
        edge: EdgeId,
        /// Why not.
        source: MemoryError,
    },
    /// It could not be mapped.
    #[error("edge {edge} cannot be made: {source}")]
    Map {
        /// The edge.
        edge: EdgeId,
        /// Why not.
        source: MapError,
    },
}

/// Why an end of an edge could not be attached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// The configuration is outside its limits.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The descriptor received is not an edge of this configuration.
    #[error("the descriptor received for edge {edge} is refused: {source}")]
    Descriptor {
        /// The edge.
        edge: EdgeId,
        /// Why.
        source: MemfdRefused,
    },
    /// The descriptor received is of another version.
    #[error(
        "the memory received for edge {edge} does not begin as an edge of this version: the runtime and \
         the node's library must be of one version"
    )]
    NotThisVersion {
        /// The edge.
        edge: EdgeId,
    },
    /// It could not be mapped.
    #[error("edge {edge} cannot be mapped: {source}")]
    Map {
        /// The edge.
        edge: EdgeId,
        /// Why not.
        source: MapError,
    },
    /// What stands in it cannot be continued.
    #[error(transparent)]
    Damaged(#[from] EdgeDamaged),
}
