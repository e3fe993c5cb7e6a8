//! Starting processes: the parent-death signal follows the thread that spawned, so one long-lived thread does.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::JoinHandle;

use dataflow_shm::child::{ChildConfig, SpawnError, SpawnedChild, spawn};
use tokio::sync::oneshot;

use crate::supervision::panic_text;

/// Why a process was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// The system refused.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// Starting it panicked.
    #[error("starting it panicked: {0}")]
    Panicked(String),
    /// The thread that starts processes is gone.
    #[error("the runtime is ending")]
    Ending,
}

/// Starts processes.
pub(crate) trait Launcher {
    /// Begins to start one; the answer comes when it runs or was refused.
    fn launch(&self, config: ChildConfig) -> oneshot::Receiver<Result<SpawnedChild, LaunchError>>;
}

struct Order {
    config: ChildConfig,
    answer: oneshot::Sender<Result<SpawnedChild, LaunchError>>,
}

/// The real launcher: one thread that lives as long as the run. When it ends, the kernel kills what it started,
/// so it ends last.
pub(crate) struct ThreadLauncher {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl ThreadLauncher {
    /// Starts the thread.
    pub(crate) fn new() -> io::Result<ThreadLauncher> {
        let (orders, received) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("dataflow-spawn".to_owned())
            .spawn(move || work(&received))?;
        Ok(ThreadLauncher {
            orders: Some(orders),
            thread: Some(thread),
        })
    }
}

fn work(orders: &mpsc::Receiver<Order>) {
    while let Ok(Order { config, answer }) = orders.recv() {
        // This thread must not end by a panic: every node would die with it.
        let result = catch_unwind(AssertUnwindSafe(|| spawn(config)));
        let _ = answer.send(match result {
            Ok(result) => result.map_err(LaunchError::from),
            Err(panic) => Err(LaunchError::Panicked(panic_text(&*panic))),
        });
    }
}

impl Launcher for ThreadLauncher {
    fn launch(&self, config: ChildConfig) -> oneshot::Receiver<Result<SpawnedChild, LaunchError>> {
        let (answer, answered) = oneshot::channel();
        if let Some(orders) = &self.orders
            && let Err(mpsc::SendError(order)) = orders.send(Order { config, answer })
        {
            let _ = order.answer.send(Err(LaunchError::Ending));
        }
        answered
    }
}

impl Drop for ThreadLauncher {
    fn drop(&mut self) {
        self.orders.take();
        if let Some(thread) = self.thread.take() {
            // It catches its panics, so it has none to pass on.
            let _ = thread.join();
        }
    }
}
