//! The process of a runtime, to be waited for: the last thing that is left of a run.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A process of which this one is not the parent.
#[derive(Debug)]
pub(crate) struct Process(Option<OwnedFd>);

impl Process {
    /// The process of this number, at this moment.
    pub(crate) fn of(pid: u32) -> Process {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        // One that is not there any more needs no waiting for.
        Process(pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()))
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&self) {
        let Some(process) = &self.0 else { return };
        let mut ended = [PollFd::new(process, PollFlags::IN)];
        while poll(&mut ended, None) == Err(Errno::INTR) {}
    }
}
