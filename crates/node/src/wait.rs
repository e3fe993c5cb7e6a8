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
pub(crate) fn wait(fds: &[BorrowedFd<'_>], until: Option<Instant>) -> Result<Woken, Errno> {
    let timeout = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
    let result = match fds {
        // The usual case needs no list.
        [one] => poll(&mut [readable(*one)], timeout.as_ref()),
        many => poll(
            &mut many.iter().copied().map(readable).collect::<Vec<_>>(),
            timeout.as_ref(),
        ),
    };
    match result {
        Ok(0) => Ok(Woken::TimedOut),
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
