//! A stream socket of frames that nobody waits for: nonblocking, with a bounded queue of what is to be sent.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use dataflow_wire::frame::{
    EncodedFrame, EnqueueError, Flushed, FrameReader, FrameWriter, ReceiveError, Received,
    SendError,
};
use dataflow_wire::node::ToNode;
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use super::readiness::watched;
use super::seam::{Control, ControlError, Frame, LocalFuture};
use super::spares::Spares;

/// How long a writer waits when the kernel holds too many descriptors that are on their way.
const DESCRIPTORS_PAUSE: Duration = Duration::from_millis(10);

/// One end of a conversation on its way to another thread: with what has come and was not read yet, and what waits to be
/// sent.
#[derive(Debug)]
pub(crate) struct MovingSocket {
    fd: OwnedFd,
    reader: FrameReader,
    writer: FrameWriter,
}

/// One end of a conversation.
#[derive(Debug)]
pub(crate) struct FramedSocket {
    fd: AsyncFd<OwnedFd>,
    reader: RefCell<FrameReader>,
    writer: RefCell<FrameWriter>,
    /// For what comes with descriptors.
    spares: Option<Rc<Spares>>,
    ended: Cell<bool>,
    /// Nothing can be sent any more.
    is_broken: Cell<bool>,
    /// Something is to be sent that the socket did not take at once, or the socket is closed.
    to_write: Notify,
    written: Notify,
    end: Notify,
}

impl FramedSocket {
    /// Takes over a nonblocking socket. At most `queue_bytes_max` bytes wait to be sent.
    pub(crate) fn new(fd: OwnedFd, queue_bytes_max: usize) -> io::Result<FramedSocket> {
        Ok(FramedSocket {
            fd: watched(fd)?,
            reader: RefCell::new(FrameReader::new()),
            writer: RefCell::new(FrameWriter::new(queue_bytes_max)),
            spares: None,
            ended: Cell::new(false),
            is_broken: Cell::new(false),
            to_write: Notify::new(),
            written: Notify::new(),
            end: Notify::new(),
        })
    }

    /// As [`FramedSocket::new`], for a conversation in which descriptors come.
    pub(super) fn with_spares(
        fd: OwnedFd,
        queue_bytes_max: usize,
        spares: Rc<Spares>,
    ) -> io::Result<FramedSocket> {
        let socket = FramedSocket::new(fd, queue_bytes_max)?;
        Ok(FramedSocket {
            spares: Some(spares),
            ..socket
        })
    }

    /// Lets the conversation go on on another thread. This one says and hears nothing of it any more; it must not be
    /// closed, but dropped.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left. The conversation can go on here.
    pub(crate) fn leave(&self) -> io::Result<MovingSocket> {
        let fd = rustix::io::fcntl_dupfd_cloexec(self.fd.get_ref(), 0)?;
        self.has_ended();
        Ok(MovingSocket {
            fd,
            reader: self.reader.replace(FrameReader::new()),
            writer: self.writer.replace(FrameWriter::new(0)),
        })
    }

    /// Goes on with a conversation on this thread.
    ///
    /// # Errors
    ///
    /// When the event loop of this thread does not watch its socket.
    pub(crate) fn arrive(moving: MovingSocket) -> io::Result<FramedSocket> {
        let MovingSocket { fd, reader, writer } = moving;
        let socket = FramedSocket::new(fd, 0)?;
        let is_empty = writer.is_empty();
        socket.reader.replace(reader);
        socket.writer.replace(writer);
        if !is_empty {
            socket.to_write.notify_one();
        }
        Ok(socket)
    }

    fn receive(&self) -> Result<Received, ReceiveError> {
        if let Some(spares) = &self.spares {
            spares.make_room();
        }
        self.reader.borrow_mut().receive(self.fd.get_ref())
    }

    /// The next frame; `None` when the other side has closed and everything was read.
    pub(crate) async fn next<T: DeserializeOwned>(
        &self,
    ) -> Result<Option<(T, Vec<OwnedFd>)>, ControlError> {
        loop {
            if let Some(frame) = self.reader.borrow_mut().next()? {
                return Ok(Some(frame));
            }
            if self.ended.get() {
                return Ok(None);
            }
            let mut ready = self.fd.readable().await?;
            match self.receive()? {
                Received::Bytes(_) => {}
                Received::WouldBlock => ready.clear_ready(),
                Received::End => self.has_ended(),
            }
        }
    }

    /// The next frame that is there at this moment, without waiting.
    fn next_there<T: DeserializeOwned>(&self) -> Result<Option<(T, Vec<OwnedFd>)>, ControlError> {
        loop {
            if let Some(frame) = self.reader.borrow_mut().next()? {
                return Ok(Some(frame));
            }
            if self.ended.get() {
                return Ok(None);
            }
            match self.receive()? {
                Received::Bytes(_) => {}
                Received::WouldBlock => return Ok(None),
                Received::End => self.has_ended(),
            }
        }
    }

    fn has_ended(&self) {
        self.ended.set(true);
        self.end.notify_waiters();
    }

    /// Reads on after a refusal, and forgets what comes, until the other side has closed.
    async fn discard_rest(&self) {
        let mut bytes = [0; 4096];
        while !self.ended.get() {
            let Ok(mut ready) = self.fd.readable().await else {
                return;
            };
            match rustix::io::read(self.fd.get_ref(), &mut bytes) {
                Err(Errno::AGAIN) => ready.clear_ready(),
                Ok(1..) | Err(Errno::INTR) => {}
                Ok(0) | Err(_) => self.has_ended(),
            }
        }
    }

    /// Waits until the other side has closed, in every process that had it. Needs somebody who reads.
    async fn ended(&self) {
        loop {
            let end = self.end.notified();
            if self.ended.get() {
                return;
            }
            end.await;
        }
    }

    /// Sends a frame now, or queues it. A side that has closed takes frames as the dead do: its end is learned
    /// elsewhere.
    pub(crate) fn send<T: Serialize>(
        &self,
        message: &T,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), EnqueueError> {
        self.send_with(|writer| writer.enqueue(message, descriptors))
    }

    /// As [`FramedSocket::send`], for a frame that is encoded already.
    pub(crate) fn send_encoded(&self, frame: EncodedFrame) -> Result<(), EnqueueError> {
        self.send_with(|writer| writer.enqueue_encoded(frame))
    }

    fn send_with(
        &self,
        enqueue: impl FnOnce(&mut FrameWriter) -> Result<(), EnqueueError>,
    ) -> Result<(), EnqueueError> {
        let mut writer = self.writer.borrow_mut();
        let was_empty = writer.is_empty();
        enqueue(&mut writer)?;
        if was_empty && !matches!(writer.flush(self.fd.get_ref()), Ok(Flushed::All)) {
            self.to_write.notify_one();
        }
        Ok(())
    }

    /// Sends what the socket did not take at once, whenever it can. Ends when the socket cannot be written any
    /// more.
    pub(crate) async fn write_queued(&self) -> Result<(), ControlError> {
        loop {
            if self.writer.borrow().is_empty() {
                self.written.notify_waiters();
                self.to_write.notified().await;
                continue;
            }
            let mut ready = self.fd.writable().await?;
            let flushed = self.writer.borrow_mut().flush(self.fd.get_ref());
            match flushed {
                Ok(Flushed::All) => {}
                Ok(Flushed::WouldBlock) => ready.clear_ready(),
                Err(SendError::TooManyOnTheWay) => tokio::time::sleep(DESCRIPTORS_PAUSE).await,
                Err(_) => {
                    self.is_broken.set(true);
                    self.written.notify_waiters();
                    return Ok(());
                }
            }
        }
    }

    /// Waits until nothing is queued, or until nothing can be sent any more. Needs somebody in
    /// [`FramedSocket::write_queued`].
    pub(crate) async fn flushed(&self) {
        loop {
            let written = self.written.notified();
            if self.writer.borrow().is_empty() || self.is_broken.get() {
                return;
            }
            written.await;
        }
    }

    /// The process that has connected.
    ///
    /// # Errors
    ///
    /// When the socket is none of this machine's.
    pub(crate) fn other_pid(&self) -> io::Result<u32> {
        let peer = rustix::net::sockopt::socket_peercred(self.fd.get_ref())?;
        Ok(peer.pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// How much waits to be sent, in bytes.
    fn queued_bytes(&self) -> usize {
        self.writer.borrow().queued_bytes()
    }

    /// Closes both directions, for every process that has the other end.
    pub(crate) fn close(&self) {
        // A socket that is not connected any more is closed already.
        let _ = shutdown(self.fd.get_ref(), Shutdown::Both);
    }

    /// Closes what this side sends; the other side can still be read.
    fn finish(&self) {
        let _ = shutdown(self.fd.get_ref(), Shutdown::Write);
    }
}

impl Control for FramedSocket {
    fn next(&self) -> LocalFuture<'_, Result<Option<Frame>, ControlError>> {
        Box::pin(FramedSocket::next(self))
    }

    fn next_there(&self) -> Result<Option<Frame>, ControlError> {
        FramedSocket::next_there(self)
    }

    fn send(&self, frame: &ToNode, descriptors: Vec<OwnedFd>) -> Result<(), EnqueueError> {
        FramedSocket::send(self, frame, descriptors)
    }

    fn write_queued(&self) -> LocalFuture<'_, ()> {
        Box::pin(async {
            // What cannot be sent any more is learned from the end of the process.
            let _ = FramedSocket::write_queued(self).await;
        })
    }

    fn queued_bytes(&self) -> usize {
        FramedSocket::queued_bytes(self)
    }

    fn finish(&self) {
        FramedSocket::finish(self);
    }

    fn ended(&self) -> LocalFuture<'_, ()> {
        Box::pin(FramedSocket::ended(self))
    }

    fn discard_rest(&self) -> LocalFuture<'_, ()> {
        Box::pin(FramedSocket::discard_rest(self))
    }
}
