//! The thread that spawns: the parent-death signal follows the thread, so one long-lived thread does it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::JoinHandle;

use dataflow_shm::child::{ChildConfig, SpawnedChild, spawn};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::oneshot;

use super::seam::LaunchError;
use crate::supervision::panic_text;

struct Order {
    config: ChildConfig,
    answer: oneshot::Sender<Result<Spawned, LaunchError>>,
}

/// A process that runs, on its way to whoever has ordered it. If that one has gone, it ends: nobody would learn its
/// end, and it would live as long as this thread.
pub(super) struct Spawned(Option<SpawnedChild>);

impl Spawned {
    /// Takes it over.
    pub(super) fn take(mut self) -> SpawnedChild {
        self.0.take().expect("it is taken once, by value")
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        let Some(SpawnedChild { mut child, .. }) = self.0.take() else {
            return;
        };
        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.kill();
        // It was killed, so this does not last.
        let _ = child.wait();
    }
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
    ) -> oneshot::Receiver<Result<Spawned, LaunchError>> {
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
            Ok(Ok(child)) => Ok(Spawned(Some(child))),
            Ok(Err(error)) => Err(error.into()),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use dataflow_shm::child::BaseEnvironment;

    use super::*;

    fn shell(script: &str, folder: &Path) -> ChildConfig {
        ChildConfig {
            program: "/bin/sh".into(),
            base: BaseEnvironment::Inherited,
            args: ["-c", script].map(Into::into).to_vec(),
            env: BTreeMap::new(),
            folder: folder.to_path_buf(),
            control: None,
            descriptor_limit: None,
        }
    }

    #[test]
    fn a_process_that_nobody_takes_over_ends() {
        let place = tempfile::tempdir().unwrap();
        let spawner = Spawner::new().unwrap();
        let script = "echo $$ > pid; mv pid is-there; exec sleep 1000";
        let answer = spawner.spawn(shell(script, place.path()));
        let pid = loop {
            match std::fs::read_to_string(place.path().join("is-there")) {
                Ok(pid) => break pid,
                Err(_) => std::thread::yield_now(),
            }
        };
        drop(answer);
        // The thread may have had it in hand still; it comes to the next order after that.
        let next = spawner.spawn(shell("exit 0", place.path()));
        assert!(next.blocking_recv().unwrap().is_ok());
        assert!(!Path::new("/proc").join(pid.trim()).exists());
    }
}
