//! Edges: one output to one input, through one memfd that three parties write by the table of section 5.

mod audit;
mod blocked;
mod config;
mod error;
mod histograms;
mod keeper;
mod layout;
mod lease;
mod look;
mod mapped;
mod message;
mod reading;
mod receiver;
mod sender;
mod sender_slots;
mod slot;
mod tokens;
mod wake;
mod words;

#[cfg(test)]
mod tests;

pub use config::{
    ConfigError, EdgeConfig, HELD_MAX, INLINE_BYTES_MAX, METADATA_BYTES_MAX, QUEUE_SIZE_MAX,
    SLOT_METADATA_BYTES_MAX,
};
pub use error::{AttachError, CreateError, Damage, EdgeDamaged, PublishError};
pub use histograms::Span;
pub use keeper::EdgeKeeper;
pub use layout::{HISTOGRAM_WORDS, Layout, header};
pub use lease::{EdgeReceiverHandle, Lease};
pub use look::EdgeMark;
pub use mapped::MappedWords;
pub use message::{
    ChunkKey, ChunkMessage, Incoming, IncomingBody, InlineMessage, Outgoing, OutgoingBody,
    OutgoingMetadata, ReceivedMetadata, SmallBytes,
};
pub use reading::{EdgeCounts, EdgeReading};
pub use receiver::{EdgeReceiver, Ending};
pub use sender::{EdgeSender, Published, Room, WaitFor};
pub use slot::{NO_SLOT, RingEntry, SEQUENCE_MAX, SlotState, SlotWord};
pub use tokens::Tokens;
pub use words::{FenceSite, Notify, Words};
