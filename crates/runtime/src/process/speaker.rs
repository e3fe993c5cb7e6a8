//! The process that speaks for a node, when it is another one than the one that was started: the child of a wrapper.
//!
//! It has the node's edges mapped, so they are repaired only after its end, and it may have left the process group
//! that was started (`setsid`, `setpgid`). So it is held by a descriptor of its own, and believed to be the speaker
//! only if it has the control socket.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;

use super::readiness::watched;
use super::stat::Stat;

/// A living process, until its descriptor says otherwise.
#[derive(Debug)]
pub(super) struct Speaker {
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
}

impl Speaker {
    /// The process `says`, if it is another one than `started` and has the socket with this number open. Only
    /// processes of this user let themselves be looked into.
    ///
    /// # Errors
    ///
    /// When no descriptor is left for it, or the event loop refuses.
    pub(super) fn find(started: Pid, says: u32, control_inode: u64) -> io::Result<Option<Speaker>> {
        let Some(pid) = i32::try_from(says).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        if pid == started {
            return Ok(None);
        }
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(errno @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => return Err(errno.into()),
            // No such process, or the number of something else: a node in a namespace of its own says numbers
            // that mean nothing here.
            Err(_) => return Ok(None),
        };
        // Looked at after its descriptor was opened: a number that is given to another process meanwhile is no
        // holder of the socket.
        if !holds(pid, control_inode) {
            tracing::warn!(%pid, "process that speaks for a node not found");
            return Ok(None);
        }
        Ok(Some(Speaker {
            pid,
            pidfd: watched(pidfd)?,
        }))
    }

    /// Waits for its end, however long that takes.
    pub(super) async fn ended(&self) {
        // An error means that the event loop is ending, and the run with it.
        let _ = self.pidfd.readable().await;
    }

    /// Sends it a signal, unless its group was sent that already.
    pub(super) fn signal_outside(&self, group: Pid, signal: Signal) {
        if group_of(self.pid) == Some(group.as_raw_nonzero().get().unsigned_abs()) {
            return;
        }
        if let Err(errno) = pidfd_send_signal(self.pidfd.get_ref(), signal) {
            tracing::debug!(pid = %self.pid, %errno, "signal not sent");
        }
    }
}

fn holds(pid: Pid, inode: u64) -> bool {
    let socket = format!("socket:[{inode}]");
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    open.flatten()
        .any(|entry| fs::read_link(entry.path()).is_ok_and(|leads_to| leads_to == *socket))
}

/// The group of a process. (`getpgid` of rustix takes the group 0 of kernel threads for impossible.)
fn group_of(pid: Pid) -> Option<u32> {
    Stat::of(pid.as_raw_nonzero().get().unsigned_abs()).map(|stat| stat.group)
}
