//! A process of this machine: watched, signalled, reaped.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::rc::Rc;

use dataflow_core::lifecycle::Exit;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::unix::AsyncFd;

use super::launcher::Guard;
use super::readiness::watched;
use super::seam::{LocalFuture, Process, WatchError};
use super::speaker::Speaker;
use super::usage::Usage;

/// A child, the leader of its own group.
pub(super) struct ChildProcess {
    /// Also the number of its group. Valid until it is reaped.
    pid: Pid,
    child: RefCell<Child>,
    pidfd: AsyncFd<OwnedFd>,
    /// The number of the control socket's other end, by which its holders are known.
    control_inode: u64,
    /// The process that speaks, when it is another one than the one that was started.
    speaker: RefCell<Option<Rc<Speaker>>>,
    guard: Rc<Guard>,
    exit: Cell<Option<Exit>>,
}

impl ChildProcess {
    /// Takes over a child, which ends if that is not possible.
    pub(super) fn new(
        mut child: Child,
        pidfd: OwnedFd,
        control_inode: u64,
        guard: Rc<Guard>,
    ) -> io::Result<ChildProcess> {
        let made = pid_of(&child).and_then(|pid| Ok((pid, watched(pidfd)?)));
        match made {
            Ok((pid, pidfd)) => {
                guard.add(pid);
                Ok(ChildProcess {
                    pid,
                    child: RefCell::new(child),
                    pidfd,
                    control_inode,
                    speaker: RefCell::new(None),
                    guard,
                    exit: Cell::new(None),
                })
            }
            Err(error) => {
                if let Ok(pid) = pid_of(&child) {
                    let _ = kill_process_group(pid, Signal::KILL);
                }
                let _ = child.kill();
                // It was killed, so this does not last.
                let _ = child.wait();
                Err(error)
            }
        }
    }
}

fn pid_of(child: &Child) -> io::Result<Pid> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::other("its number is none"))
}

impl Process for ChildProcess {
    fn ended(&self) -> LocalFuture<'_, ()> {
        Box::pin(async {
            if self.pidfd.readable().await.is_err() {
                // The event loop is ending, and the run with it.
                pending::<()>().await;
            }
        })
    }

    fn speaks(&self, pid: u32) -> Result<(), WatchError> {
        let speaker = Speaker::find(self.pid, pid, self.control_inode)?;
        *self.speaker.borrow_mut() = speaker.map(Rc::new);
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        if self.exit.get().is_some() {
            return;
        }
        if let Err(errno) = kill_process_group(self.pid, signal) {
            tracing::debug!(pid = %self.pid, %errno, "signal not sent");
        }
        if let Some(speaker) = &*self.speaker.borrow() {
            speaker.signal_outside(self.pid, signal);
        }
    }

    fn rest_ended(&self) -> LocalFuture<'_, ()> {
        let speaker = self.speaker.borrow().clone();
        Box::pin(async move {
            if let Some(speaker) = speaker {
                speaker.ended().await;
            }
        })
    }

    fn reap(&self) -> Exit {
        if let Some(exit) = self.exit.get() {
            return exit;
        }
        self.guard.remove(self.pid);
        // It has ended or was killed, so this does not last.
        let exit = (self.child.borrow_mut().wait()).map_or(Exit::Code(-1), exit_of);
        self.exit.set(Some(exit));
        exit
    }

    fn group(&self) -> Option<u32> {
        let pid = self.pid.as_raw_nonzero().get();
        // Reaped, its number may be anybody's.
        (self.exit.get().is_none()).then(|| pid.unsigned_abs())
    }

    fn usage(&self) -> Option<Usage> {
        self.group().and_then(Usage::of_process)
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // A start that was given up, or a run: nobody would learn its end, so it must not live on.
        if self.exit.get().is_none() {
            self.signal(Signal::KILL);
            self.reap();
        }
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        // Only a stopped or continued process has neither, and those are not waited for.
        (None, None) => Exit::Code(-1),
    }
}
