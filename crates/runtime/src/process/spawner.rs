//! The thread that spawns: the parent-death signal follows the thread, so one long-lived thread does it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::JoinHandle;

use dataflow_shm::child::{ChildConfig, SpawnedChild, spawn};
use tokio::sync::oneshot;

use super::seam::LaunchError;
use crate::supervision::panic_text;

struct Order {
    config: ChildConfig,
    answer: oneshot::Sender<Result<SpawnedChild, LaunchError>>,
}

/// One thread that lives as long as the run. When it ends, the kernel kills what it has started, so it ends last.
pub(super) struct Spawner {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Spawner {
    /// Starts the thread.
    pub(super) fn new() -> io::Result<Spawner> {
        let (orders, received) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("dataflow-spawn".to_owned())
            .spawn(move || work(&received))?;
        Ok(Spawner {
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Begins to start a process; the answer comes when it runs or was refused, and none comes when the thread is
    /// gone.
    pub(super) fn spawn(
        &self,
        config: ChildConfig,
    ) -> oneshot::Receiver<Result<SpawnedChild, LaunchError>> {
        let (answer, answered) = oneshot::channel();
        if let Some(orders) = &self.orders
            && let Err(mpsc::SendError(order)) = orders.send(Order { config, answer })
        {
            let _ = order.answer.send(Err(LaunchError::Ending));
        }
        answered
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

impl Drop for Spawner {
    fn drop(&mut self) {
        self.orders.take();
        if let Some(thread) = self.thread.take() {
            // It catches its panics, so it has none to pass on.
            let _ = thread.join();
        }
    }
}
