//! One message to bytes and back: the only place that knows bincode.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{FRAME_BODY_BYTES_MAX, FRAME_HEADER_BYTES};

/// The limit also bounds every length that a body claims for a text or a list inside it.
type Config<const MAX: usize> = Configuration<LittleEndian, Varint, Limit<MAX>>;

const fn config<const MAX: usize>() -> Config<MAX> {
    bincode::config::standard().with_limit::<MAX>()
}

/// Why a message could not be turned into bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The message is longer than a frame may be.
    #[error(
        "a control message of {bytes} bytes is above the limit of {bytes_max}: split it, or send it as a payload"
    )]
    TooLong {
        /// The length of its body.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// The message has something that has no encoding, such as a path that is not UTF-8.
    #[error("a control message cannot be encoded: {what}")]
    Unencodable {
        /// What the encoder said.
        what: String,
    },
}

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not what the message's type asks for, or end too early.
    #[error(
        "a control message cannot be read ({what}): the other side is of another version, or is no \
         dataflow process"
    )]
    Garbled {
        /// What the decoder said.
        what: String,
    },
    /// The message is followed by bytes that do not belong to it.
    #[error(
        "a control message is followed by {bytes} bytes that do not belong to it: the other side is of \
         another version"
    )]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// There are more bytes than a message may have.
    #[error("a control message of {bytes} bytes is above the limit of {bytes_max}")]
    TooLong {
        /// How many.
        bytes: usize,
        /// How many there may be.
        bytes_max: usize,
    },
}

/// Encodes the body of a frame.
///
/// # Errors
///
/// [`EncodeError`] when the message is longer than [`FRAME_BODY_BYTES_MAX`] or has no encoding.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, EncodeError> {
    encode_up_to::<FRAME_BODY_BYTES_MAX, T>(message)
}

/// As [`encode`], with another limit, for what goes into several frames.
pub(crate) fn encode_up_to<const MAX: usize, T: Serialize>(
    message: &T,
) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    encode_into::<MAX, T>(message, &mut bytes)?;
    Ok(bytes)
}

/// Encodes a whole frame that carries no descriptors: header and body.
///
/// # Errors
///
/// As [`encode`].
pub fn encode_frame<T: Serialize>(message: &T) -> Result<Vec<u8>, EncodeError> {
    encode_frame_with(message, 0)
}

/// Encodes a whole frame; `descriptors` says how many will come with its first byte.
pub(super) fn encode_frame_with<T: Serialize>(
    message: &T,
    descriptors: u8,
) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = vec![0; FRAME_HEADER_BYTES];
    encode_into::<FRAME_BODY_BYTES_MAX, T>(message, &mut bytes)?;
    let length = bytes.len() - FRAME_HEADER_BYTES;
    // `encode_into` has compared the length with the limit, which is far below 2³².
    bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
    bytes[4] = descriptors;
    Ok(bytes)
}

fn encode_into<const MAX: usize, T: Serialize>(
    message: &T,
    bytes: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let before = bytes.len();
    bincode::serde::encode_into_std_write(message, bytes, config::<MAX>()).map_err(|error| {
        EncodeError::Unencodable {
            what: error.to_string(),
        }
    })?;
    let length = bytes.len() - before;
    if length > MAX {
        return Err(EncodeError::TooLong {
            bytes: length,
            bytes_max: MAX,
        });
    }
    Ok(())
}

/// Decodes the body of a frame. Every byte must belong to the message.
///
/// # Errors
///
/// [`DecodeError`] when the bytes are too many, too few, or not of this type.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    decode_up_to::<FRAME_BODY_BYTES_MAX, T>(bytes)
}

/// As [`decode`], with another limit, for what came in several frames.
pub(crate) fn decode_up_to<const MAX: usize, T: DeserializeOwned>(
    bytes: &[u8],
) -> Result<T, DecodeError> {
    if bytes.len() > MAX {
        return Err(DecodeError::TooLong {
            bytes: bytes.len(),
            bytes_max: MAX,
        });
    }
    let (message, used) =
        bincode::serde::decode_from_slice(bytes, config::<MAX>()).map_err(|error| {
            DecodeError::Garbled {
                what: error.to_string(),
            }
        })?;
    match bytes.len() - used {
        0 => Ok(message),
        left => Err(DecodeError::Trailing { bytes: left }),
    }
}
