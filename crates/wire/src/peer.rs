//! The conversation of two agents over a connection of theirs: preamble, hellos, refusals, probes and their answers.
//!
//! Who dials opens one stream in both directions. On it each side says its [`Preamble`], which is read in every
//! version, and then its [`Hello`]; from then on probes and answers go both ways. A frame is the length of its body as
//! little-endian `u32`, and the body: one [`Frame`] in bincode. A side that does not take the other says why with the
//! code and the reason of the connection's close ([`Refusal`]), which are read in every version too.
//!
//! Every further stream is for an edge, and begins with a preamble of another purpose. There are none yet, and whoever
//! opens one loses the connection.

mod closing;
mod hello;

use serde::{Deserialize, Serialize};

pub use closing::{Goodbye, Refusal};
pub use hello::{Hello, HelloError, LABEL_BYTES_MAX, LABELS_MAX, VERSION_BYTES_MAX};

use crate::frame::{DecodeError, EncodeError, counted_max, decode_up_to, encode_up_to};

/// The version of the conversation. It changes whenever a message does.
pub const PEER_PROTOCOL: u32 = 1;
/// What both sides name in the handshake (ALPN): who speaks QUIC and something else is told apart there.
pub const PEER_ALPN: &[u8] = b"dataflow-peer";
/// The name that who dials asks for (SNI). It says nothing: keys are pinned, not names.
pub const PEER_SERVER_NAME: &str = "dataflow-peer";
/// The length of a preamble, in bytes.
pub const PREAMBLE_BYTES: usize = 16;
/// The length of what comes before the body of a frame, in bytes.
pub const LENGTH_BYTES: usize = 4;
/// The longest body of a frame before both hellos have passed, in bytes.
pub const HELLO_BYTES_MAX: usize = 32 * 1024;
/// The longest body of every later frame, in bytes.
pub const FRAME_BYTES_MAX: usize = 256;

/// What a stream of ours begins with.
const MAGIC: [u8; 8] = *b"dataflow";
/// The purpose of the first stream. Other numbers are for the streams of edges.
const CONTROL: u8 = 0;

/// The first bytes of the conversation. Their form never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preamble {
    /// The version that the side speaks.
    pub protocol: u32,
}

/// Why bytes are no preamble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PreambleError {
    /// They do not begin as ours do.
    #[error("what came does not begin as a conversation between agents does")]
    NotOurs,
    /// The stream is for something that this version does not know.
    #[error("a stream of purpose {0} came, which is not known here")]
    UnknownPurpose(u8),
}

impl Preamble {
    /// The preamble of this version.
    pub const OURS: Preamble = Preamble {
        protocol: PEER_PROTOCOL,
    };

    /// As bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; PREAMBLE_BYTES] {
        let mut bytes = [0; PREAMBLE_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.protocol.to_le_bytes());
        bytes[12] = CONTROL;
        bytes
    }

    /// From bytes.
    ///
    /// # Errors
    ///
    /// [`PreambleError`] when another program has sent them, or they are for something unknown. Of another version
    /// only the version is looked at.
    pub fn from_bytes(bytes: &[u8; PREAMBLE_BYTES]) -> Result<Preamble, PreambleError> {
        let (magic, rest) = bytes.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(PreambleError::NotOurs);
        }
        let protocol = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]);
        match rest[4] {
            purpose if protocol == PEER_PROTOCOL && purpose != CONTROL => {
                Err(PreambleError::UnknownPurpose(purpose))
            }
            _ => Ok(Preamble { protocol }),
        }
    }
}

/// What is said after the preambles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// Who the side is. The first frame of each, and never again.
    Hello(Box<Hello>),
    /// Asks for an [`Frame::Answer`] at once.
    Probe {
        /// One more than in the probe before.
        number: u64,
    },
    /// Answers a probe. Answers come in the order of the probes.
    Answer {
        /// The number of the probe.
        number: u64,
        /// For how long the control loop of the side that answers has been silent, in milliseconds.
        control_silent_ms: u64,
    },
}

impl Frame {
    /// The whole frame: length and body.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a hello is longer than [`HELLO_BYTES_MAX`].
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let body = encode_up_to::<HELLO_BYTES_MAX, Frame>(self)?;
        let mut bytes = Vec::with_capacity(LENGTH_BYTES + body.len());
        // At most HELLO_BYTES_MAX, which is far below 2³².
        bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// The length of the body that these bytes announce.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooLong`] when it is above `bytes_max`: nothing is to be allocated for it.
    pub fn body_bytes(length: [u8; LENGTH_BYTES], bytes_max: usize) -> Result<usize, DecodeError> {
        let bytes = u32::from_le_bytes(length) as usize;
        if bytes > bytes_max {
            return Err(DecodeError::TooLong { bytes, bytes_max });
        }
        Ok(bytes)
    }

    /// Reads a body. Every byte must belong to it.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the bytes are no frame.
    pub fn decode(body: &[u8]) -> Result<Frame, DecodeError> {
        decode_up_to::<HELLO_BYTES_MAX, { counted_max(HELLO_BYTES_MAX) }, Frame>(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preamble_is_read_in_every_version_and_nothing_else_is_one() {
        assert_eq!(
            Preamble::from_bytes(&Preamble::OURS.to_bytes()),
            Ok(Preamble::OURS)
        );
        let mut newer = Preamble { protocol: 77 }.to_bytes();
        newer[12] = 9;
        assert_eq!(
            Preamble::from_bytes(&newer),
            Ok(Preamble { protocol: 77 }),
            "what follows the version is that version's own"
        );
        let mut edge = Preamble::OURS.to_bytes();
        edge[12] = 9;
        assert_eq!(
            Preamble::from_bytes(&edge),
            Err(PreambleError::UnknownPurpose(9))
        );
        assert_eq!(
            Preamble::from_bytes(b"GET / HTTP/1.1\r\n"),
            Err(PreambleError::NotOurs)
        );
    }

    #[test]
    fn frames_read_what_they_write_and_refuse_lengths_before_allocating() {
        for frame in [
            Frame::Probe { number: u64::MAX },
            Frame::Answer {
                number: u64::MAX,
                control_silent_ms: u64::MAX,
            },
        ] {
            let bytes = frame.encode().unwrap();
            let (length, body) = bytes.split_at(LENGTH_BYTES);
            let length = Frame::body_bytes(length.try_into().unwrap(), FRAME_BYTES_MAX);
            assert_eq!(length, Ok(body.len()));
            assert_eq!(Frame::decode(body), Ok(frame));
        }
        assert_eq!(
            Frame::body_bytes(u32::MAX.to_le_bytes(), FRAME_BYTES_MAX),
            Err(DecodeError::TooLong {
                bytes: u32::MAX as usize,
                bytes_max: FRAME_BYTES_MAX
            })
        );
        assert!(Frame::decode(&[9, 9, 9]).is_err());
        assert!(Frame::decode(&[]).is_err());
        assert!(Frame::decode(&[1, 5, 5]).is_err(), "trailing bytes");
    }
}
