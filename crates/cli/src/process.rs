//! The end of a runtime, to be waited for: its process is the last thing that is left of a run, unless that is an
//! agent's.

use std::os::fd::OwnedFd;
use std::time::Duration;

use dataflow_runtime::client::{OnSilence, Silence};
use dataflow_runtime::registry::FoundRun;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A process of which this one is not the parent.
#[derive(Debug)]
struct Process {
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
    fn of(pid: u32) -> Process {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        Process {
            pid,
            // One that is not there any more needs no waiting for.
            fd: number.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()),
        }
    }

    /// Waits until it has ended; calls `on_silence` again and again while it is stopped.
    fn wait(&self, mut on_silence: OnSilence) {
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

/// How often it is looked whether a dataflow on an agent has ended.
const LOOK_FOR_END: Duration = Duration::from_millis(20);

/// Waits until nothing of a run is left: until its process has ended, or, when that is an agent's, until it has given
/// the run's name back. Calls `on_silence` again and again while the process is stopped.
pub(crate) fn wait_for_end(found: &FoundRun, is_agent: bool, mut on_silence: OnSilence) {
    let process = Process::of(found.pid);
    if !is_agent {
        return process.wait(on_silence);
    }
    let mut looks = 0_u32;
    // A registry that cannot be read any more tells nothing, however long one waits.
    while found.lives().unwrap_or(false) {
        looks += 1;
        if looks.is_multiple_of(50) {
            let silence = Silence::of(found.pid);
            if silence.is_stopped() {
                on_silence(&silence);
            }
        }
        std::thread::sleep(LOOK_FOR_END);
    }
}
