//! From a stream to messages: cuts frames out of what arrives and gives each the descriptors it came with.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use serde::de::DeserializeOwned;

use super::body::{self, DecodeError};
use super::{FRAME_BODY_BYTES_MAX, FRAME_DESCRIPTORS_MAX, FRAME_HEADER_BYTES};

/// How many bytes one `recvmsg` takes at most.
const RECEIVE_BYTES_MAX: usize = 16 * 1024;

/// What one `recvmsg` gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// This many bytes arrived: look for messages with [`FrameReader::next`].
    Bytes(usize),
    /// Nothing is there at this moment.
    WouldBlock,
    /// The other side has closed. What had arrived before can still be read; a frame that was cut short is
    /// then an error of [`FrameReader::next`].
    End,
}

/// Why nothing could be received.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// More descriptors came at once than a frame may have.
    #[error(
        "the other side sent more than {FRAME_DESCRIPTORS_MAX} descriptors at once: it is no dataflow \
         process of this version"
    )]
    TooManyDescriptors,
    /// Descriptors were sent, and this process has no room for them.
    #[error(
        "this process has no descriptor left for one that was sent to it: raise the limit with `ulimit -n`"
    )]
    NoDescriptorLeft,
    /// A frame on this stream was refused before; nothing more is read from it.
    #[error("the stream was refused before: close it")]
    AfterRefusal,
    /// The kernel refused.
    #[error("reading from the control socket failed: {errno}")]
    Failed {
        /// What the kernel said.
        errno: Errno,
    },
}

/// Why a frame was refused. The stream cannot be used after it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header claims a body above the limit.
    #[error(
        "a frame claims a body of {bytes} bytes, the limit is {FRAME_BODY_BYTES_MAX}: the other side is no \
         dataflow process of this version"
    )]
    TooLong {
        /// The length it claims.
        bytes: usize,
    },
    /// The header claims more descriptors than a frame may have.
    #[error(
        "a frame claims {descriptors} descriptors, the limit is {FRAME_DESCRIPTORS_MAX}: the other side is \
         no dataflow process of this version"
    )]
    TooManyDescriptors {
        /// How many it claims.
        descriptors: usize,
    },
    /// The header has something other than zero where zeros belong.
    #[error("a frame's header is garbled: the other side is no dataflow process of this version")]
    HeaderGarbled,
    /// The frame came with another number of descriptors than its header claims.
    #[error(
        "a frame claims {claimed} descriptors and came with {arrived}: the other side is faulty"
    )]
    DescriptorsMismatch {
        /// How many the header claims.
        claimed: usize,
        /// How many came with its first byte.
        arrived: usize,
    },
    /// The body is no message of the type asked for.
    #[error(transparent)]
    Body(#[from] DecodeError),
    /// The stream ended within a frame.
    #[error("the other side ended within a frame: {have} of at least {needed} bytes had come")]
    Truncated {
        /// How many bytes of the frame came.
        have: usize,
        /// How many it has at least.
        needed: usize,
    },
    /// A frame on this stream was refused before.
    #[error("the stream was refused before: close it")]
    AfterRefusal,
}

/// Descriptors that came with one `recvmsg`, and which bytes of the stream it gave.
#[derive(Debug)]
struct Batch {
    /// The place in the stream just before the bytes of that `recvmsg`.
    from: u64,
    /// The place in the stream just after them.
    to: u64,
    fds: Vec<OwnedFd>,
}

/// Where the stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Open,
    Ended,
    Refused,
}

/// Cuts frames out of a stream.
///
/// Call [`FrameReader::receive`] (or [`FrameReader::feed`]) when something is there, then
/// [`FrameReader::next`] until it gives `None`. So the reader never keeps more than one unfinished frame, and
/// it allocates for bytes that have arrived, never for a length that a header claims.
#[derive(Debug)]
pub struct FrameReader {
    bytes: Vec<u8>,
    /// How many of `bytes` have been given out.
    used: usize,
    /// The place of `bytes[used]` in the stream.
    place: u64,
    batches: VecDeque<Batch>,
    stream: Stream,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameReader {
    /// A reader of a stream that begins.
    pub fn new() -> Self {
        FrameReader {
            bytes: Vec::new(),
            used: 0,
            place: 0,
            batches: VecDeque::new(),
            stream: Stream::Open,
        }
    }

    /// Does one `recvmsg`. Descriptors that come are closed on exec.
    ///
    /// A reset by the other side (it closed with something unread) is an end like any other: what it had
    /// sent has been received by then.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`] when too many descriptors come, none is left for them, or the kernel refuses.
    pub fn receive<Fd: AsFd>(&mut self, fd: Fd) -> Result<Received, ReceiveError> {
        if self.stream == Stream::Refused {
            return Err(ReceiveError::AfterRefusal);
        }
        let mut chunk = [0u8; RECEIVE_BYTES_MAX];
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FRAME_DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut slices = [IoSliceMut::new(&mut chunk)];
            match recvmsg(&fd, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(received) => break received,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Received::WouldBlock),
                Err(Errno::CONNRESET) => {
                    self.stream = Stream::Ended;
                    return Ok(Received::End);
                }
                Err(errno) => return Err(ReceiveError::Failed { errno }),
            }
        };
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(arrived) = message {
                fds.extend(arrived);
            }
        }
        let truncated = received.flags.contains(ReturnFlags::CTRUNC);
        if fds.len() > FRAME_DESCRIPTORS_MAX || (truncated && fds.len() == FRAME_DESCRIPTORS_MAX) {
            self.refuse();
            return Err(ReceiveError::TooManyDescriptors);
        }
        if truncated {
            // Fewer came than there was space for: it was this process that could not take them.
            self.refuse();
            return Err(ReceiveError::NoDescriptorLeft);
        }
        if received.bytes == 0 {
            self.stream = Stream::Ended;
            return Ok(Received::End);
        }
        let from = self.place + (self.bytes.len() - self.used) as u64;
        self.feed(&chunk[..received.bytes]);
        if !fds.is_empty() {
            let to = from + received.bytes as u64;
            self.batches.push_back(Batch { from, to, fds });
        }
        Ok(Received::Bytes(received.bytes))
    }

    /// Takes bytes that somebody else has read, from a stream that carries no descriptors.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.used > 0 {
            self.bytes.drain(..self.used);
            self.used = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Says that the stream has ended, when somebody else reads it.
    pub fn feed_end(&mut self) {
        if self.stream == Stream::Open {
            self.stream = Stream::Ended;
        }
    }

    /// The next message and its descriptors; `None` when no whole frame is there.
    ///
    /// # Errors
    ///
    /// [`FrameError`] when the next frame is refused: every descriptor that came is closed then, and the
    /// stream gives nothing more.
    #[allow(clippy::should_implement_trait)] // the message's type is the caller's choice at each call
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Vec<OwnedFd>)>, FrameError> {
        let result = self.next_unguarded();
        if result.is_err() {
            self.refuse();
        }
        result
    }

    fn next_unguarded<T: DeserializeOwned>(
        &mut self,
    ) -> Result<Option<(T, Vec<OwnedFd>)>, FrameError> {
        if self.stream == Stream::Refused {
            return Err(FrameError::AfterRefusal);
        }
        // Descriptors come with the first byte of their frame. Every frame that begins among these bytes has
        // been given out, and none has claimed them.
        if let Some(batch) = self.batches.front().filter(|batch| batch.to <= self.place) {
            return Err(FrameError::DescriptorsMismatch {
                claimed: 0,
                arrived: batch.fds.len(),
            });
        }
        let there = &self.bytes[self.used..];
        let Some((header, rest)) = there.split_first_chunk::<FRAME_HEADER_BYTES>() else {
            return self.incomplete(there.len(), FRAME_HEADER_BYTES);
        };
        let [l0, l1, l2, l3, descriptors, zeros @ ..] = *header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if zeros != [0; 3] {
            return Err(FrameError::HeaderGarbled);
        }
        if length > FRAME_BODY_BYTES_MAX {
            return Err(FrameError::TooLong { bytes: length });
        }
        let claimed = usize::from(descriptors);
        if claimed > FRAME_DESCRIPTORS_MAX {
            return Err(FrameError::TooManyDescriptors {
                descriptors: claimed,
            });
        }
        if claimed > 0 {
            // They have come with the frame's first byte, so they are here before its body is.
            let place = self.place;
            let arrived = self
                .batches
                .front()
                .filter(|batch| (batch.from..batch.to).contains(&place))
                .map_or(0, |batch| batch.fds.len());
            if arrived != claimed {
                return Err(FrameError::DescriptorsMismatch { claimed, arrived });
            }
        }
        let Some(body) = rest.get(..length) else {
            return self.incomplete(there.len(), FRAME_HEADER_BYTES + length);
        };
        let message = body::decode(body)?;
        let fds = if claimed > 0 {
            self.batches
                .pop_front()
                .map_or(Vec::new(), |batch| batch.fds)
        } else {
            Vec::new()
        };
        self.used += FRAME_HEADER_BYTES + length;
        self.place += (FRAME_HEADER_BYTES + length) as u64;
        Ok(Some((message, fds)))
    }

    fn incomplete<T>(&self, have: usize, needed: usize) -> Result<Option<T>, FrameError> {
        if have > 0 && self.stream == Stream::Ended {
            return Err(FrameError::Truncated { have, needed });
        }
        Ok(None)
    }

    /// Closes every descriptor that came and forgets every byte.
    fn refuse(&mut self) {
        self.stream = Stream::Refused;
        self.batches.clear();
        self.bytes = Vec::new();
        self.used = 0;
    }
}
