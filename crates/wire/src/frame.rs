//! Framing: how messages and descriptors travel over a stream socket, and the limits of that.
//!
//! A frame is a header of [`FRAME_HEADER_BYTES`] (length of the body as little-endian `u32`, number of
//! descriptors as `u8`, three zero bytes) and a body: one message in bincode. The descriptors come as
//! `SCM_RIGHTS` with the frame's first byte. Whatever does not fit is refused with a typed error, before
//! anything is allocated for it, and every descriptor that came with it is closed.

mod body;
mod reader;
mod writer;

pub use body::{DecodeError, EncodeError, decode, encode, encode_frame};
pub(crate) use body::{counted_max, decode_up_to, encode_up_to};
pub use reader::{FrameError, FrameReader, ReceiveError, Received};
pub use writer::{EncodedFrame, EnqueueError, Flushed, FrameWriter, SendError, send};

/// The longest body of a frame, in bytes.
pub const FRAME_BODY_BYTES_MAX: usize = 1024 * 1024;

/// The most descriptors that come with one frame.
pub const FRAME_DESCRIPTORS_MAX: usize = 4;

/// The length of a frame's header, in bytes.
pub const FRAME_HEADER_BYTES: usize = 8;
