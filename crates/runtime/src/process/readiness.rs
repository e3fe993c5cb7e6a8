//! Descriptors that the event loop watches.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// Lets the event loop watch a descriptor.
#[expect(
    deprecated,
    reason = "tokio's successor is unsafe because a type could give away another descriptor than it owns; an \
              OwnedFd cannot, and unsafe code stays in `shm`"
)]
pub(crate) fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}
