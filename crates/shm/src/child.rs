//! Starting a node's process: with its own group, tied to our life, and nothing inherited that is not meant.

mod busy;
mod error;
mod limits;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::Arc;

use rustix::io::{Errno, FdFlags};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal};

pub use error::SpawnError;
pub use limits::{DescriptorLimit, DescriptorLimitError, raise_descriptor_limit};

/// The first number after standard input, output and error.
const FIRST_OTHER_FD: RawFd = 3;

/// How many descriptors are marked one by one when the kernel cannot mark all of them at once (before 5.11).
const FALLBACK_FD_MAX: RawFd = 65_536;

/// A socket that the child inherits.
#[derive(Debug)]
pub struct ControlSocket {
    /// The child's end. It stays closed on exec in this process and is closed here after the start.
    pub fd: OwnedFd,
    /// The environment variable that tells the child its number.
    pub variable: &'static str,
}

/// What is started, and with what.
#[derive(Debug)]
pub struct ChildConfig {
    /// The program: a path if it has a `/`, else looked for in `PATH`.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// The environment that it begins with.
    pub base: BaseEnvironment,
    /// What is added to that, or removed from it (`None`).
    pub env: BTreeMap<OsString, Option<OsString>>,
    /// Its working folder. A relative `program` is looked up from there.
    pub folder: PathBuf,
    /// The socket it is spoken to through, if it is spoken to.
    pub control: Option<ControlSocket>,
    /// The limit of descriptors it gets back, if this process has raised its own.
    pub descriptor_limit: Option<DescriptorLimit>,
}

/// The environment that a process begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BaseEnvironment {
    /// That of this process.
    #[default]
    Inherited,
    /// This one, and nothing of this process's.
    Only(Arc<BTreeMap<OsString, OsString>>),
}

/// A process that was started.
#[derive(Debug)]
pub struct SpawnedChild {
    /// The process; it is to be waited for. Its number is also that of its process group.
    pub child: Child,
    /// Readable when the process has ended.
    pub pidfd: OwnedFd,
    /// What it prints.
    pub stdout: ChildStdout,
    /// What it complains.
    pub stderr: ChildStderr,
}

/// Starts a process, in a process group of its own, with `/dev/null` as its input.
///
/// It is killed when the *thread* that called this ends: call it from one that lives as long as the children. A program
/// that is open for writing is waited for, a second at most.
///
/// # Errors
///
/// [`SpawnError`] tells a missing folder, a missing program, one that may not be executed and one that is no
/// program apart, and names the path and the remedy.
pub fn spawn(config: ChildConfig) -> Result<SpawnedChild, SpawnError> {
    let ChildConfig {
        program,
        args,
        base,
        env,
        folder,
        control,
        descriptor_limit,
    } = config;
    SpawnError::refuse_what_a_shell_would_guess(&program, &folder)?;
    let mut command = Command::new(&program);
    command
        .args(args)
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let BaseEnvironment::Only(environment) = base {
        command.env_clear().envs(&*environment);
    }
    for (name, value) in env {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let control = match control {
        Some(control) => {
            let fd = out_of_the_way(control.fd)?;
            command.env(control.variable, fd.as_raw_fd().to_string());
            Some(fd)
        }
        None => None,
    };
    let setup = ChildSetup {
        parent: rustix::process::getpid(),
        control: control.as_ref().map(AsRawFd::as_raw_fd),
        descriptor_limit,
    };
    // SAFETY: `in_child` runs between fork and exec of a process that has threads. It makes only system calls:
    // it allocates nothing, takes no lock, and cannot panic. All it needs was copied into `setup` before.
    unsafe { command.pre_exec(move || setup.in_child()) };
    let mut child = busy::until_not_busy(|| command.spawn(), std::thread::sleep)
        .map_err(|error| SpawnError::explain(program, folder, error))?;
    // Only the child's copy lives on, so that the socket ends when the child does.
    drop(control);
    let pidfd = match pidfd_of(&child) {
        Ok(pidfd) => pidfd,
        Err(errno) => {
            // Nobody could tell its end: it must not live on unwatched.
            let _ = child.kill();
            let _ = child.wait();
            return Err(SpawnError::from_resources(errno));
        }
    };
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        unreachable!("both were asked to be pipes");
    };
    Ok(SpawnedChild {
        child,
        pidfd,
        stdout,
        stderr,
    })
}

/// A process that has not been waited for keeps its number, so this names the right one.
fn pidfd_of(child: &Child) -> Result<OwnedFd, Errno> {
    let pid = i32::try_from(child.id()).map_err(|_| Errno::SRCH)?;
    let pid = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty())
}

/// In a process without standard streams the socket can have one of their numbers, which the child's own
/// streams would take.
fn out_of_the_way(fd: OwnedFd) -> Result<OwnedFd, SpawnError> {
    if fd.as_raw_fd() >= FIRST_OTHER_FD {
        return Ok(fd);
    }
    rustix::io::fcntl_dupfd_cloexec(fd.as_fd(), FIRST_OTHER_FD).map_err(SpawnError::from_resources)
}

/// What the child does before it becomes the program.
#[derive(Debug, Clone, Copy)]
struct ChildSetup {
    parent: Pid,
    control: Option<RawFd>,
    descriptor_limit: Option<DescriptorLimit>,
}

impl ChildSetup {
    /// Runs in the child, after the fork. Nothing but system calls.
    fn in_child(self) -> std::io::Result<()> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent can have died before the signal was asked for; then it will never come.
        if rustix::process::getppid() != Some(self.parent) {
            return Err(Errno::SRCH.into());
        }
        // A program stays deaf to a signal that its starter ignores, as a shell does for what it runs in the
        // background. A node must hear a stop, and must be able to wait for children of its own.
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGCHLD] {
            // SAFETY: a system call that sets the default for a signal in this child alone.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        // What this process itself inherited from its starter is not the node's: only 0 to 2 stay, and the
        // control socket. Marked and not closed, since the standard library still reports through one.
        close_on_exec_from(FIRST_OTHER_FD);
        if let Some(control) = self.control {
            // SAFETY: the parent keeps the socket open until the child has started, and a fork inherits it.
            let control = unsafe { std::os::fd::BorrowedFd::borrow_raw(control) };
            rustix::io::fcntl_setfd(control, FdFlags::empty())?;
        }
        if let Some(limit) = self.descriptor_limit {
            let limit = Rlimit {
                current: limit.before(),
                maximum: rustix::process::getrlimit(Resource::Nofile).maximum,
            };
            rustix::process::setrlimit(Resource::Nofile, limit)?;
        }
        Ok(())
    }
}

/// Marks every descriptor of this process, except the standard streams, as closed on exec: what a starter has left
/// open is not for the programs that are started from now on.
pub fn close_inherited_on_exec() {
    close_on_exec_from(FIRST_OTHER_FD);
}

/// Marks every descriptor from `first` on as closed on exec. Only system calls.
fn close_on_exec_from(first: RawFd) {
    // SAFETY: a system call on numbers; it touches no memory, and only this process's own table.
    let all = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first as libc::c_uint,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if all == 0 {
        return;
    }
    // Linux 5.10, or a sandbox that does not know the call.
    for fd in first..FALLBACK_FD_MAX {
        // SAFETY: a system call on a number; one that is not open is answered by an error, which is ignored.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}
