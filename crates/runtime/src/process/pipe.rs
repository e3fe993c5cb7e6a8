//! The read end of a pipe that a process prints into.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

use super::readiness::watched;
use super::seam::{LocalFuture, OutputPipe};

/// A pipe that is never waited for.
pub(super) struct Pipe(AsyncFd<OwnedFd>);

impl Pipe {
    /// Takes over the read end.
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Pipe> {
        let flags = rustix::fs::fcntl_getfl(&pipe)?;
        rustix::fs::fcntl_setfl(&pipe, flags | rustix::fs::OFlags::NONBLOCK)?;
        Ok(Pipe(watched(pipe)?))
    }
}

impl OutputPipe for Pipe {
    fn read<'a>(&'a self, into: &'a mut [u8]) -> LocalFuture<'a, io::Result<usize>> {
        Box::pin(async move {
            loop {
                let mut ready = self.0.readable().await?;
                match self.read_there(into) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                    read => return read,
                }
            }
        })
    }

    fn read_there(&self, into: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| {
            rustix::io::read(self.0.get_ref(), &mut *into)
        })?)
    }
}
