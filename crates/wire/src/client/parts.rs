//! A reply that is longer than a frame may be: sent in parts, and put together again.

use super::ClientReply;
use crate::frame::{
    DecodeError, EncodeError, EncodedFrame, counted_max, decode_up_to, encode_up_to,
};

/// The longest reply, all of its parts together, in bytes: ten times what the largest dataflow needs.
pub const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest part, in bytes.
pub const PART_BYTES_MAX: usize = 256 * 1024;

/// The parts of a reply, in order. For one that fits into a frame this is of no use.
///
/// # Errors
///
/// [`EncodeError`] when it is longer than [`REPLY_BYTES_MAX`], or has no encoding.
pub fn in_parts(reply: &ClientReply) -> Result<impl Iterator<Item = ClientReply>, EncodeError> {
    let whole = encode_up_to::<REPLY_BYTES_MAX, _>(reply)?;
    let count = whole.len().div_ceil(PART_BYTES_MAX);
    Ok((0..count).map(move |part| {
        let begin = part * PART_BYTES_MAX;
        let end = whole.len().min(begin + PART_BYTES_MAX);
        ClientReply::Part {
            bytes: whole[begin..end].to_vec(),
            is_last: part + 1 == count,
        }
    }))
}

/// The frames of a reply, encoded once for all who get it: one, or one for each of its parts.
///
/// # Errors
///
/// As [`in_parts`].
pub fn in_frames(reply: &ClientReply) -> Result<Vec<EncodedFrame>, EncodeError> {
    match EncodedFrame::of(reply) {
        Err(EncodeError::TooLong { .. }) => {
            let parts = in_parts(reply)?;
            parts.map(|part| EncodedFrame::of(&part)).collect()
        }
        frame => Ok(vec![frame?]),
    }
}

/// Puts replies together that come in parts.
#[derive(Debug, Default)]
pub struct Parts {
    so_far: Vec<u8>,
}

impl Parts {
    /// Takes what has come; gives the reply that is whole with it. One that came in one piece is given as it is.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the parts are too many, or make no reply.
    pub fn take(&mut self, reply: ClientReply) -> Result<Option<ClientReply>, DecodeError> {
        let ClientReply::Part { bytes, is_last } = reply else {
            return Ok(Some(reply));
        };
        let length = self.so_far.len() + bytes.len();
        if length > REPLY_BYTES_MAX {
            return Err(DecodeError::TooLong {
                bytes: length,
                bytes_max: REPLY_BYTES_MAX,
            });
        }
        self.so_far.extend_from_slice(&bytes);
        if !is_last {
            return Ok(None);
        }
        let whole = std::mem::take(&mut self.so_far);
        decode_up_to::<REPLY_BYTES_MAX, { counted_max(REPLY_BYTES_MAX) }, _>(&whole).map(Some)
    }
}
