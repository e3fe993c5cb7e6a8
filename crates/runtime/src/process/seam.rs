//! What the runtime asks of whoever starts the processes of nodes. It holds a process through these traits alone.
//!
//! The real one is [`ProcessLauncher`](super::ProcessLauncher); the test kit has one without any process. Both pass
//! one conformance suite, which says the same as the comments here.

use std::future::{Future, pending};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;

use dataflow_core::lifecycle::Exit;
use dataflow_ids::{Epoch, NodeId, NodeIndex};
use dataflow_shm::child::{ChildConfig, SpawnError};
use dataflow_wire::frame::{EnqueueError, FrameError, ReceiveError};
use dataflow_wire::node::{ToNode, ToRuntime};
use rustix::process::Signal;

use super::usage::Usage;

/// How much may wait for a node to read it, in bytes. A node that reads never has so much waiting.
pub const CONTROL_QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A future of the one thread that everything runs on.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Starts processes.
pub trait Launcher {
    /// Starts one. It begins when the future is polled; dropping the future gives the start up.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] when nothing was started. It says what to do.
    fn launch(&self, order: LaunchOrder) -> LocalFuture<'static, Result<Launched, LaunchError>>;

    /// What the launcher itself has to do while the run goes on. The run polls it until it ends, and begins it
    /// once more if it panics.
    fn tend(&self) -> LocalFuture<'static, ()> {
        Box::pin(pending())
    }

    /// Takes back the descriptors that it keeps in reserve for what comes in conversations, if it had to give them
    /// up. Gives whether they are there: without them, the next descriptor that a node sends can be lost.
    fn has_reserve(&self) -> bool {
        true
    }

    /// The run has ended: nothing more will be launched. Closing twice is closing once.
    fn close(&self);
}

/// What is to be started.
#[derive(Debug)]
pub struct LaunchOrder {
    /// Whose process it is.
    pub node: NodeId,
    /// The node's place in the description.
    pub index: NodeIndex,
    /// The incarnation.
    pub epoch: Epoch,
    /// The program, without its control socket and without a limit: those are the launcher's.
    pub program: ChildConfig,
}

/// A process that was started, and everything that leads to it.
pub struct Launched {
    /// Its number, for people and for a comparison with what its library says. Never 0.
    pub pid: u32,
    /// The process.
    pub process: Rc<dyn Process>,
    /// The conversation with its library.
    pub control: Rc<dyn Control>,
    /// What it prints.
    pub stdout: Box<dyn OutputPipe>,
    /// What it complains.
    pub stderr: Box<dyn OutputPipe>,
}

impl std::fmt::Debug for Launched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launched")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// A process that was started, and whoever else speaks for its node.
pub trait Process {
    /// Waits until the process that was started has ended; it is not reaped by that. May be awaited again, by many,
    /// and given up.
    fn ended(&self) -> LocalFuture<'_, ()>;

    /// A process says that it speaks for this node. If it is another one than the one that was started (a wrapper's
    /// child), and if it can be found and has the conversation open, it is held until it has ended, too.
    ///
    /// # Errors
    ///
    /// [`WatchError`] when it cannot be held for want of descriptors or by the event loop's refusal.
    fn speaks(&self, pid: u32) -> Result<(), WatchError>;

    /// Sends a signal to the process's group, and to whoever speaks for it outside of that. Nothing happens to a
    /// group that has ended. Not to be called after [`Process::reap`].
    fn signal(&self, signal: Signal);

    /// Waits until whoever speaks for the process has ended, too. At once if nobody else does.
    fn rest_ended(&self) -> LocalFuture<'_, ()>;

    /// Takes note of how it ended, and gives its number back to the system. To be called after [`Process::ended`],
    /// or after SIGKILL was sent: then this waits until the kernel has ended it. Calling again gives the same.
    fn reap(&self) -> Exit;

    /// The group that it leads on this machine, until it is reaped; `None` for a process that is none of this machine's.
    fn group(&self) -> Option<u32> {
        None
    }

    /// What it uses, and has used if it has ended; without others of its group, except those that it has waited for.
    /// `None` once it is reaped, or if nobody knows.
    fn usage(&self) -> Option<Usage> {
        None
    }
}

/// A process that speaks for a node cannot be held.
#[derive(Debug, thiserror::Error)]
#[error("the process that speaks cannot be watched: {source}")]
pub struct WatchError {
    /// What the system said.
    #[from]
    pub source: io::Error,
}

/// The conversation with a node's library.
pub trait Control {
    /// The next frame with its descriptors; `None` when the other side has closed and everything was read. May be
    /// given up without losing a frame. One reader at a time.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when reading failed or what came is no frame; nothing can be read after that.
    fn next(&self) -> LocalFuture<'_, Result<Option<Frame>, ControlError>>;

    /// As [`Control::next`], for what is there at this moment: `None` also when nothing is. What was said before
    /// the end of a process is there when [`Process::ended`] says so.
    ///
    /// # Errors
    ///
    /// As [`Control::next`].
    fn next_there(&self) -> Result<Option<Frame>, ControlError>;

    /// Sends a frame, or queues it. A side that has closed takes frames as the dead do: its end is learned
    /// elsewhere.
    ///
    /// # Errors
    ///
    /// [`EnqueueError`] when the frame is none, or [`CONTROL_QUEUE_BYTES_MAX`] bytes wait already. Nothing was
    /// queued then.
    fn send(&self, frame: &ToNode, descriptors: Vec<OwnedFd>) -> Result<(), EnqueueError>;

    /// Sends what was queued, whenever the other side takes it. Goes on until it is dropped, or nothing can be sent
    /// any more.
    fn write_queued(&self) -> LocalFuture<'_, ()>;

    /// How much waits to be sent, in bytes.
    fn queued_bytes(&self) -> usize;

    /// Nothing more is said from here; the other side can still be heard.
    fn finish(&self);

    /// Waits until the other side has closed, in every process that had it. Needs somebody in [`Control::next`] or
    /// [`Control::discard_rest`].
    fn ended(&self) -> LocalFuture<'_, ()>;

    /// Reads on and forgets what comes, until the other side has closed.
    fn discard_rest(&self) -> LocalFuture<'_, ()>;
}

/// What a node says, and the descriptors that came with it.
pub type Frame = (ToRuntime, Vec<OwnedFd>);

/// Why a conversation gives nothing more.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Reading failed.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// What came is no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The event loop refused.
    #[error("the event loop refused the socket: {0}")]
    Loop(#[from] io::Error),
}

/// What a process prints, as bytes.
pub trait OutputPipe {
    /// Waits until something is there and gives how many bytes of it were read; 0 at the end. May be given up
    /// without losing a byte.
    ///
    /// # Errors
    ///
    /// What the system said; the pipe gives nothing more then.
    fn read<'a>(&'a self, into: &'a mut [u8]) -> LocalFuture<'a, io::Result<usize>>;

    /// As [`OutputPipe::read`], without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when nothing is there; else as [`OutputPipe::read`].
    fn read_there(&self, into: &mut [u8]) -> io::Result<usize>;
}

/// Why a process was not started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The system refused.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// There is no socket to speak to it through.
    #[error("no control socket can be made for it: {source}; raise the limit with `ulimit -n`")]
    NoControl {
        /// What the system said.
        source: io::Error,
    },
    /// It was started, and ended again, because its end could not be learned.
    #[error("the runtime cannot watch it: {source}")]
    NotWatched {
        /// What the system said.
        source: io::Error,
    },
    /// Starting it panicked.
    #[error("starting it panicked: {0}")]
    Panicked(String),
    /// Nothing is started any more.
    #[error("the runtime is ending")]
    Ending,
}
