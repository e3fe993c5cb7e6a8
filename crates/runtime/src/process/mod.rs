//! The seam to processes: what the runtime asks of whoever starts them, and the real one who does.

mod child;
mod guardian;
mod launcher;
mod pipe;
mod readiness;
mod seam;
mod socket;
mod spares;
mod spawner;
mod speaker;
mod stat;
mod usage;

pub use launcher::ProcessLauncher;
pub use seam::{
    CONTROL_QUEUE_BYTES_MAX, Control, ControlError, Frame, LaunchError, LaunchOrder, Launched,
    Launcher, LocalFuture, OutputPipe, Process, WatchError,
};
pub use usage::Usage;

pub(crate) use readiness::watched;
pub(crate) use socket::{FramedSocket, MovingSocket};
pub(crate) use stat::Stat;
