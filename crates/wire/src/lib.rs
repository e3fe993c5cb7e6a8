//! The messages that cross a process boundary, and their framing.
//!
//! A frame is a header of 8 bytes (length of the body as `u32`, number of descriptors as `u8`, three zero
//! bytes), and a body: one message in bincode. Limits are named in [`frame`]; the protocol's version is said
//! in the first message of each conversation.

pub mod client;
pub mod event;
pub mod frame;
mod hello;
pub mod log;
pub mod metadata;
pub mod node;
pub mod peer;
pub mod peers;
pub mod status;
pub mod waits;

pub use hello::ProtocolMismatch;
