//! The process of a runtime, to be waited for: the last thing that is left of a run.

use std::os::fd::OwnedFd;

use dataflow_runtime::client::{OnSilence, Silence};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A process of which this one is not the parent.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    /// `None` when it is gone.
    fd: Option<OwnedFd>,
}

/// How often it is looked whether it has been stopped.
const LOOK_AGAIN: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

impl Process {
    /// The process of this number, at this moment.
    pub(crate) fn of(pid: u32) -> Process {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        Process {
            pid,
            // One that is not there any more needs no waiting for.
            fd: number.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()),
        }
    }

    /// Waits until it has ended; calls `on_silence` again and again while it is stopped.
    pub(crate) fn wait(&self, mut on_silence: OnSilence) {
        let Some(process) = &self.fd else { return };
        let mut ended = [PollFd::new(process, PollFlags::IN)];
        loop {
            match poll(&mut ended, Some(&LOOK_AGAIN)) {
                Ok(0) => {}
                Err(Errno::INTR) => continue,
                _ => return,
            }
            let silence = Silence::of(self.pid);
            if silence.is_stopped() {
                on_silence(&silence);
            }
        }
    }
}
