//! The real launcher: processes of this machine, spoken to through socketpairs, watched through pidfds.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use dataflow_shm::child::{ControlSocket, DescriptorLimit, SpawnedChild};
use dataflow_wire::node::CONTROL_FD_VARIABLE;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::Pid;
use tokio::sync::Notify;

use super::child::ChildProcess;
use super::guardian::Guardian;
use super::pipe::Pipe;
use super::seam::{
    CONTROL_QUEUE_BYTES_MAX, LaunchError, LaunchOrder, Launched, Launcher, LocalFuture,
};
use super::socket::FramedSocket;
use super::spares::Spares;
use super::spawner::Spawner;

/// How soon the guardian is told again what its pipe had no room for.
const GUARDIAN_PAUSE: Duration = Duration::from_millis(100);

/// Starts real processes. Each has a group of its own, and ends with the runtime, however that ends.
pub struct ProcessLauncher {
    inner: Rc<Inner>,
}

struct Inner {
    spawner: RefCell<Option<Spawner>>,
    guard: Rc<Guard>,
    spares: Rc<Spares>,
    descriptor_limit: Option<DescriptorLimit>,
}

impl ProcessLauncher {
    /// Starts the thread that spawns, and the guardian of what nodes have forked. Children get back the limit of
    /// descriptors that they would have had, if this process has raised its own.
    ///
    /// # Errors
    ///
    /// What the system said when there is no thread left. Without a guardian it goes on, and warns.
    pub fn new(descriptor_limit: Option<DescriptorLimit>) -> io::Result<ProcessLauncher> {
        Ok(ProcessLauncher {
            inner: Rc::new(Inner {
                spawner: RefCell::new(Some(Spawner::new()?)),
                guard: Rc::new(Guard::new()),
                spares: Rc::new(Spares::new()),
                descriptor_limit,
            }),
        })
    }
}

impl std::fmt::Debug for ProcessLauncher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProcessLauncher")
    }
}

impl Launcher for ProcessLauncher {
    fn launch(&self, order: LaunchOrder) -> LocalFuture<'static, Result<Launched, LaunchError>> {
        let inner = Rc::clone(&self.inner);
        Box::pin(async move { inner.launch(order).await })
    }

    fn tend(&self) -> LocalFuture<'static, ()> {
        let guard = Rc::clone(&self.inner.guard);
        Box::pin(async move { guard.tend().await })
    }

    fn has_reserve(&self) -> bool {
        self.inner.spares.refill()
    }

    fn close(&self) {
        self.inner.guard.guardian.borrow_mut().take();
        let spawner = self.inner.spawner.borrow_mut().take();
        drop(spawner);
    }
}

impl Inner {
    async fn launch(&self, order: LaunchOrder) -> Result<Launched, LaunchError> {
        let no_control = |errno: Errno| LaunchError::NoControl {
            source: errno.into(),
        };
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(no_control)?;
        rustix::io::ioctl_fionbio(&ours, true).map_err(no_control)?;
        let control_inode = rustix::fs::fstat(&theirs).map_err(no_control)?.st_ino;
        let mut config = order.program;
        config.control = Some(ControlSocket {
            fd: theirs,
            variable: CONTROL_FD_VARIABLE,
        });
        config.descriptor_limit = self.descriptor_limit;
        let answer = match &*self.spawner.borrow() {
            Some(spawner) => spawner.spawn(config),
            None => return Err(LaunchError::Ending),
        };
        let spawned = answer.await.unwrap_or(Err(LaunchError::Ending))?;
        self.install(ours, control_inode, spawned.take())
            .map_err(|source| LaunchError::NotWatched { source })
    }

    /// Takes over a process that runs. It ends if that is not possible.
    fn install(
        &self,
        control: OwnedFd,
        control_inode: u64,
        spawned: SpawnedChild,
    ) -> io::Result<Launched> {
        let SpawnedChild {
            child,
            pidfd,
            stdout,
            stderr,
        } = spawned;
        let pid = child.id();
        let guard = Rc::clone(&self.guard);
        let process = ChildProcess::new(child, pidfd, control_inode, guard)?;
        let spares = Rc::clone(&self.spares);
        let control = FramedSocket::with_spares(control, CONTROL_QUEUE_BYTES_MAX, spares)?;
        Ok(Launched {
            pid,
            process: Rc::new(process),
            control: Rc::new(control),
            stdout: Box::new(Pipe::new(stdout.into())?),
            stderr: Box::new(Pipe::new(stderr.into())?),
        })
    }
}

/// The guardian, and whoever tells it again what it could not take.
pub(super) struct Guard {
    guardian: RefCell<Option<Guardian>>,
    is_behind: Notify,
}

impl Guard {
    fn new() -> Guard {
        let guardian = Guardian::new()
            .inspect_err(|error| {
                tracing::warn!(%error, "children of nodes would outlive a runtime that is killed");
            })
            .ok();
        Guard {
            guardian: RefCell::new(guardian),
            is_behind: Notify::new(),
        }
    }

    /// A group is to end with the runtime.
    pub(super) fn add(&self, group: Pid) {
        self.tell(|guardian| guardian.add(group));
    }

    /// A group has ended, before its number is given to another.
    pub(super) fn remove(&self, group: Pid) {
        self.tell(|guardian| guardian.remove(group));
    }

    /// Tells the guardian something, now or as soon as it listens. Gives whether it is behind.
    fn tell(&self, tell: impl FnOnce(&mut Guardian)) -> bool {
        let mut guardian = self.guardian.borrow_mut();
        let Some(guardian) = &mut *guardian else {
            return false;
        };
        tell(guardian);
        let is_behind = guardian.is_behind();
        if is_behind {
            self.is_behind.notify_one();
        }
        is_behind
    }

    async fn tend(&self) {
        loop {
            self.is_behind.notified().await;
            tokio::time::sleep(GUARDIAN_PAUSE).await;
            // If it still is, this has given the next notice, too.
            self.tell(Guardian::flush);
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, kill_process};

    use super::*;

    #[test]
    fn a_guardian_that_stood_still_is_told_the_rest_when_it_goes_on() {
        actix_rt::System::new().block_on(async {
            let guard = Guard::new();
            let pid = (guard.guardian.borrow().as_ref()).and_then(Guardian::pid);
            let pid = pid.unwrap();
            kill_process(pid, Signal::STOP).unwrap();
            // Numbers above the largest that a process can have.
            for number in 5_000_000.. {
                let group = Pid::from_raw(number).unwrap();
                guard.add(group);
                if guard.tell(|guardian| guardian.remove(group)) {
                    break;
                }
            }
            kill_process(pid, Signal::CONT).unwrap();
            let is_behind = || guard.guardian.borrow().as_ref().unwrap().is_behind();
            let mut tend = std::pin::pin!(guard.tend());
            while is_behind() {
                tokio::select! {
                    biased;
                    () = &mut tend => unreachable!("it goes on for ever"),
                    () = tokio::task::yield_now() => {}
                }
            }
            let same = (guard.guardian.borrow().as_ref()).and_then(Guardian::pid);
            assert_eq!(same, Some(pid), "it was not given up");
        });
    }
}
