//! One eventfd per waiter: how a side that sleeps is woken.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

/// Why an eventfd could not be made, shared or used.
#[derive(Debug, thiserror::Error)]
pub enum EventFdError {
    /// The process, or the machine, has no descriptor left.
    #[error(
        "no descriptor is left for a wake-up ({errno}): raise the limit with `ulimit -n`, or run fewer \
         nodes and edges"
    )]
    NoDescriptor {
        /// What the kernel said.
        errno: Errno,
    },
    /// The kernel refused for another reason.
    #[error("the kernel refused a wake-up descriptor: {errno}")]
    Refused {
        /// What the kernel said.
        errno: Errno,
    },
}

impl EventFdError {
    fn from_errno(errno: Errno) -> Self {
        match errno {
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => EventFdError::NoDescriptor { errno },
            errno => EventFdError::Refused { errno },
        }
    }
}

/// A wake-up of this process has found its descriptor closed.
static FOUND_CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether this process's own program has closed a descriptor of ours, as far as a wake-up has met it. Whoever was
/// to be woken by it sleeps on, so the process had better end than go on.
#[inline]
pub fn descriptors_were_closed() -> bool {
    FOUND_CLOSED.load(Ordering::Relaxed)
}

/// A counter in the kernel that a waiter polls. Nonblocking, closed on exec.
///
/// To wait, poll [`EventFd::as_fd`] for input with `rustix::event::poll`, then [`EventFd::drain`] it before
/// the condition is looked at again.
#[derive(Debug)]
pub struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    /// Makes one, with nothing to read.
    ///
    /// # Errors
    ///
    /// [`EventFdError`] when the kernel has no descriptor or no memory for it.
    pub fn new() -> Result<Self, EventFdError> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(EventFdError::from_errno)?;
        Ok(EventFd { fd })
    }

    /// Adopts a descriptor that a peer has passed.
    ///
    /// The descriptor is made nonblocking: whatever it really is, and whatever the peer did to it, neither
    /// [`EventFd::notify`] nor [`EventFd::drain`] can then hang (I-3).
    ///
    /// # Errors
    ///
    /// [`EventFdError::Refused`] when the descriptor cannot be made nonblocking.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, EventFdError> {
        let flags = rustix::fs::fcntl_getfl(&fd).map_err(EventFdError::from_errno)?;
        if !flags.contains(rustix::fs::OFlags::NONBLOCK) {
            rustix::fs::fcntl_setfl(&fd, flags | rustix::fs::OFlags::NONBLOCK)
                .map_err(EventFdError::from_errno)?;
        }
        Ok(EventFd { fd })
    }

    /// Another descriptor of the same counter.
    ///
    /// # Errors
    ///
    /// [`EventFdError::NoDescriptor`] when the process has none left.
    pub fn try_clone(&self) -> Result<Self, EventFdError> {
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 3).map_err(EventFdError::from_errno)?;
        Ok(EventFd { fd })
    }

    /// Wakes the waiter. Never blocks and never fails: a counter that is full is a waiter that has been
    /// woken already, and a descriptor that is no eventfd is its owner's own loss. One that this process has
    /// closed behind our back is remembered ([`descriptors_were_closed`]).
    pub fn notify(&self) {
        loop {
            match rustix::io::write(&self.fd, &1u64.to_ne_bytes()) {
                Err(Errno::INTR) => {}
                Err(Errno::BADF) => return FOUND_CLOSED.store(true, Ordering::Relaxed),
                // Every other error means that there is nobody to wake.
                _ => return,
            }
        }
    }

    /// Forgets every wake-up so far; gives whether there was one.
    pub fn drain(&self) -> bool {
        let mut count = [0u8; 8];
        loop {
            match rustix::io::read(&self.fd, &mut count) {
                Ok(read) => return read > 0,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// The descriptor itself, to be passed on.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn readable(eventfd: &EventFd) -> bool {
        let mut fds = [PollFd::new(eventfd, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&now)).unwrap() == 1
    }

    #[test]
    fn a_notified_eventfd_is_readable_until_it_is_drained() {
        let eventfd = EventFd::new().unwrap();
        assert!(!readable(&eventfd));
        assert!(!eventfd.drain());
        eventfd.notify();
        eventfd.notify();
        assert!(readable(&eventfd));
        assert!(eventfd.drain());
        assert!(!readable(&eventfd));
    }

    #[test]
    fn a_clone_wakes_the_original() {
        let eventfd = EventFd::new().unwrap();
        let clone = EventFd::from_fd(eventfd.try_clone().unwrap().into_fd()).unwrap();
        drop(eventfd.try_clone().unwrap());
        clone.notify();
        assert!(eventfd.drain());
    }

    #[test]
    fn a_full_counter_does_not_block_the_notifier() {
        let eventfd = EventFd::new().unwrap();
        rustix::io::write(&eventfd, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        eventfd.notify();
        assert!(eventfd.drain());
    }

    #[test]
    fn a_blocking_eventfd_of_a_peer_is_made_nonblocking() {
        let blocking = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let eventfd = EventFd::from_fd(blocking).unwrap();
        assert!(
            !eventfd.drain(),
            "an empty counter must not hold the drainer"
        );
    }
}
