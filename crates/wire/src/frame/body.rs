//! One message to bytes and back: the only place that knows bincode.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{FRAME_BODY_BYTES_MAX, FRAME_HEADER_BYTES};

/// For each byte of a body, bincode counts so many when it reads, at most: a number of 128 bits takes one byte when it is
/// small, and is always counted as 16. Each other value is counted as less for each of its bytes, and what a text or a
/// list says of its length is counted as it is said.
const COUNTED_PER_BYTE_MAX: usize = 16;

/// How much is counted at most of a body of so many bytes whose texts are as long as they say.
pub(crate) const fn counted_max(bytes_max: usize) -> usize {
    bytes_max * COUNTED_PER_BYTE_MAX
}

/// The limit is one of what bincode counts: it bounds every length that a body claims for a text or a list inside it.
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
    /// Something in the message says that it is longer than a whole message may be.
    #[error(
        "a control message has a text or a list that claims to be longer than {bytes_max} bytes can hold: it was damaged, \
         or is of no dataflow process"
    )]
    ClaimsTooMuch {
        /// How long the message may be.
        bytes_max: usize,
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
    decode_up_to::<FRAME_BODY_BYTES_MAX, { counted_max(FRAME_BODY_BYTES_MAX) }, T>(bytes)
}

/// As [`decode`], with another limit, for what came in several frames. `COUNTED_MAX` is [`counted_max`] of `MAX`: so
/// whatever can be encoded within a limit can be decoded within it.
pub(crate) fn decode_up_to<const MAX: usize, const COUNTED_MAX: usize, T: DeserializeOwned>(
    bytes: &[u8],
) -> Result<T, DecodeError> {
    const { assert!(COUNTED_MAX == counted_max(MAX)) };
    if bytes.len() > MAX {
        return Err(DecodeError::TooLong {
            bytes: bytes.len(),
            bytes_max: MAX,
        });
    }
    let (message, used) = bincode::serde::decode_from_slice(bytes, config::<COUNTED_MAX>())
        .map_err(|error| match error {
            bincode::error::DecodeError::LimitExceeded => {
                DecodeError::ClaimsTooMuch { bytes_max: MAX }
            }
            error => DecodeError::Garbled {
                what: error.to_string(),
            },
        })?;
    match bytes.len() - used {
        0 => Ok(message),
        left => Err(DecodeError::Trailing { bytes: left }),
    }
}
