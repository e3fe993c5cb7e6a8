//! From messages to a stream: whole frames, with the descriptors at their first byte.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::Serialize;

use super::FRAME_DESCRIPTORS_MAX;
use super::body::{self, EncodeError};

/// Why a frame could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The message cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// More descriptors were given than a frame may have.
    #[error("a frame carries at most {FRAME_DESCRIPTORS_MAX} descriptors, {given} were given")]
    TooManyDescriptors {
        /// How many.
        given: usize,
    },
    /// The other side has closed.
    #[error("the other side of the control socket has closed")]
    Closed,
    /// The kernel holds too many descriptors that were sent and not yet received.
    #[error(
        "too many descriptors are on their way: raise the limit with `ulimit -n`, or start fewer nodes at \
         once"
    )]
    TooManyOnTheWay,
    /// The kernel refused.
    #[error("writing to the control socket failed: {errno}")]
    Failed {
        /// What the kernel said.
        errno: Errno,
    },
}

impl SendError {
    fn from_errno(errno: Errno) -> Self {
        match errno {
            Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => SendError::Closed,
            Errno::TOOMANYREFS => SendError::TooManyOnTheWay,
            errno => SendError::Failed { errno },
        }
    }
}

/// Why a frame was not taken into the queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnqueueError {
    /// The message cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// More descriptors were given than a frame may have.
    #[error("a frame carries at most {FRAME_DESCRIPTORS_MAX} descriptors, {given} were given")]
    TooManyDescriptors {
        /// How many.
        given: usize,
    },
    /// The other side does not read.
    #[error(
        "{queued_bytes} bytes wait for the other side to read them, the limit is {bytes_max}: its control \
         thread is stopped or stuck"
    )]
    Full {
        /// How many bytes wait.
        queued_bytes: usize,
        /// How many may.
        bytes_max: usize,
    },
}

/// Whether everything is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// The queue is empty.
    All,
    /// The socket takes no more now: wait until it can be written to.
    WouldBlock,
}

/// Sends one frame whole, and waits as long as the other side does not read.
///
/// # Errors
///
/// [`SendError`] when the message cannot be encoded, or the other side has closed. After an error of the
/// kernel a part of the frame may have gone: close the stream then.
pub fn send<Fd: AsFd, T: Serialize>(
    fd: Fd,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), SendError> {
    let Some(count) = descriptor_count(descriptors.len()) else {
        return Err(SendError::TooManyDescriptors {
            given: descriptors.len(),
        });
    };
    let frame = body::encode_frame_with(message, count)?;
    let mut sent = 0;
    while sent < frame.len() {
        match send_some(&fd, &frame, sent, descriptors) {
            Ok(bytes) => sent += bytes,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_until_writable(&fd)?,
            Err(errno) => return Err(SendError::from_errno(errno)),
        }
    }
    Ok(())
}

fn wait_until_writable<Fd: AsFd>(fd: &Fd) -> Result<(), SendError> {
    match poll(&mut [PollFd::new(fd, PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(SendError::from_errno(errno)),
    }
}

fn descriptor_count(count: usize) -> Option<u8> {
    u8::try_from(count)
        .ok()
        .filter(|_| count <= FRAME_DESCRIPTORS_MAX)
}

/// One `sendmsg` of `frame[sent..]`; the descriptors go with the first byte of the frame only.
fn send_some<Fd: AsFd>(
    fd: &Fd,
    frame: &[u8],
    sent: usize,
    descriptors: &[BorrowedFd<'_>],
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FRAME_DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if sent == 0 && !descriptors.is_empty() {
        let pushed = control.push(SendAncillaryMessage::ScmRights(descriptors));
        debug_assert!(pushed, "the space is made for the most descriptors allowed");
    }
    let slices = [IoSlice::new(&frame[sent..])];
    sendmsg(fd, &slices, &mut control, SendFlags::NOSIGNAL)
}

/// A whole frame that carries no descriptors, encoded once for all who get it. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFrame(Arc<Vec<u8>>);

impl EncodedFrame {
    /// Encodes a message.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the message is longer than a frame may be, or has no encoding.
    pub fn of<T: Serialize>(message: &T) -> Result<EncodedFrame, EncodeError> {
        Ok(EncodedFrame(Arc::new(body::encode_frame(message)?)))
    }

    /// How long it is, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// A frame that waits.
#[derive(Debug)]
struct Pending {
    frame: Arc<Vec<u8>>,
    sent: usize,
    /// Closed as soon as the frame's first byte has gone.
    descriptors: Vec<OwnedFd>,
}

/// A bounded queue of frames for a socket that must not be waited for.
#[derive(Debug)]
pub struct FrameWriter {
    queue: VecDeque<Pending>,
    queued_bytes: usize,
    bytes_max: usize,
}

impl FrameWriter {
    /// A queue that takes up to `bytes_max` bytes of frames.
    pub fn new(bytes_max: usize) -> Self {
        FrameWriter {
            queue: VecDeque::new(),
            queued_bytes: 0,
            bytes_max,
        }
    }

    /// Appends a message. Nothing is sent before [`FrameWriter::flush`].
    ///
    /// # Errors
    ///
    /// [`EnqueueError`] when the message cannot be encoded or the queue is full; the queue is then as it was,
    /// and the descriptors are closed.
    pub fn enqueue<T: Serialize>(
        &mut self,
        message: &T,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), EnqueueError> {
        let Some(count) = descriptor_count(descriptors.len()) else {
            return Err(EnqueueError::TooManyDescriptors {
                given: descriptors.len(),
            });
        };
        let frame = body::encode_frame_with(message, count)?;
        self.append(Arc::new(frame), descriptors)
    }

    /// As [`FrameWriter::enqueue`], for a frame that is encoded already.
    ///
    /// # Errors
    ///
    /// [`EnqueueError::Full`] when the queue is full; it is then as it was.
    pub fn enqueue_encoded(&mut self, frame: EncodedFrame) -> Result<(), EnqueueError> {
        self.append(frame.0, Vec::new())
    }

    fn append(
        &mut self,
        frame: Arc<Vec<u8>>,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), EnqueueError> {
        if self.queued_bytes.saturating_add(frame.len()) > self.bytes_max {
            return Err(EnqueueError::Full {
                queued_bytes: self.queued_bytes,
                bytes_max: self.bytes_max,
            });
        }
        self.queued_bytes += frame.len();
        self.queue.push_back(Pending {
            frame,
            sent: 0,
            descriptors,
        });
        Ok(())
    }

    /// Sends as much as the socket takes. The socket must be nonblocking.
    ///
    /// # Errors
    ///
    /// [`SendError`] when the other side has closed or the kernel refuses: the stream is to be closed then.
    pub fn flush<Fd: AsFd>(&mut self, fd: Fd) -> Result<Flushed, SendError> {
        while let Some(pending) = self.queue.front_mut() {
            let borrowed: Vec<BorrowedFd<'_>> =
                pending.descriptors.iter().map(OwnedFd::as_fd).collect();
            match send_some(&fd, &pending.frame, pending.sent, &borrowed) {
                Ok(bytes) => {
                    drop(borrowed);
                    pending.descriptors.clear();
                    pending.sent += bytes;
                    self.queued_bytes -= bytes;
                    if pending.sent == pending.frame.len() {
                        self.queue.pop_front();
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Flushed::WouldBlock),
                Err(errno) => return Err(SendError::from_errno(errno)),
            }
        }
        Ok(Flushed::All)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many bytes wait.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }
}
