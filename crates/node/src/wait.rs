//! Sleeping until a descriptor is readable, a moment has come, or a signal arrives.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// What a caller that was interrupted by a signal wants.
///
/// The kernel interrupts a wait when a signal's handler has run. Most programs go on; an interpreter that
/// keeps its signals for later (Python) must be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSignal {
    /// Wait on.
    GoOn,
    /// Give up: the call ends with its `Interrupted` error.
    GiveUp,
}

/// Asked whenever a signal has interrupted a wait, or may have come while an input was watched without sleep.
pub type SignalHook<'a> = dyn FnMut() -> OnSignal + 'a;

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// One of the descriptors is readable.
    Readable,
    /// The moment has come.
    TimedOut,
    /// A signal arrived.
    Signal,
}

/// Waits until one of `fds` is readable, at most until `until`.
///
/// `Errno::BADF`: this process's own program has closed one of them.
pub(crate) fn wait(fds: &[BorrowedFd<'_>], until: Option<Instant>) -> Result<Woken, Errno> {
    let timeout = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
    match fds {
        // The usual case needs no list.
        [one] => wait_for(&mut [readable(*one)], timeout),
        many => wait_for(
            &mut many.iter().copied().map(readable).collect::<Vec<_>>(),
            timeout,
        ),
    }
}

fn wait_for(fds: &mut [PollFd<'_>], timeout: Option<Timespec>) -> Result<Woken, Errno> {
    match poll(fds, timeout.as_ref()) {
        Ok(0) => Ok(Woken::TimedOut),
        // Said at once, and for ever: whoever takes it for a wake-up looks and looks again.
        Ok(_) if fds.iter().any(|fd| fd.revents().contains(PollFlags::NVAL)) => Err(Errno::BADF),
        Ok(_) => Ok(Woken::Readable),
        Err(Errno::INTR) => Ok(Woken::Signal),
        Err(errno) => Err(errno),
    }
}

fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, PollFlags::IN)
}

/// A `Duration` as the kernel takes it.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        // More than the kernel can count is for ever.
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
