//! What the actors have instead of the world: a clock, a random source, a launcher, a place to spawn tasks.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::SystemTime;

use dataflow_core::Time;
use dataflow_core::random::Random;
use dataflow_ids::{Epoch, ModelIndex, NodeIndex};
use tokio::sync::mpsc::UnboundedSender;

use crate::process::Launcher;
use crate::supervision::panic_text;

/// Which task, so that the root knows what a panic in it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskName {
    /// Anything that belongs to one incarnation of a node: its start, its socket, its end.
    Node(NodeIndex, Epoch),
    /// One of the pipes of one incarnation of a node.
    Pump(NodeIndex, Epoch, usize),
    /// A wait of the root or of an actor.
    Timer,
    /// What the launcher has to do by itself.
    Launcher,
    /// The socket for commands.
    Server,
    /// One connection on it.
    Client,
    /// Looks how a model stands.
    Model(ModelIndex),
    /// Reads for the statistics what they cannot be told.
    Fold,
}

/// A task has panicked. Nothing else of the runtime is touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskPanicked {
    pub(crate) task: TaskName,
    pub(crate) what: String,
}

/// The system's time of day: for what is outside of a run, and for a run that has no other.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that asks for it"
)]
pub(crate) fn system_time() -> SystemTime {
    SystemTime::now()
}

/// The machine's monotonic clock in nanoseconds: what the nodes stamp their messages with.
pub(crate) fn machine_now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (now.tv_sec as u64).saturating_mul(1_000_000_000) + now.tv_nsec as u64
}

/// What tells the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WallClock {
    /// The system's clock, which a person may set.
    System,
    /// This moment when the run is made, and then as tokio's clock goes.
    Beginning(SystemTime),
}

/// The world, as the runtime uses it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Env {
    start: tokio::time::Instant,
    wall_clock: WallClock,
    random: Rc<RefCell<Random>>,
    launcher: Rc<dyn Launcher>,
    panics: UnboundedSender<TaskPanicked>,
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env")
    }
}

impl Env {
    /// The world from now on. Panics of tasks go to `panics`.
    pub(crate) fn new(
        seed: u64,
        wall_clock: WallClock,
        launcher: Rc<dyn Launcher>,
        panics: UnboundedSender<TaskPanicked>,
    ) -> Env {
        Env {
            start: tokio::time::Instant::now(),
            wall_clock,
            random: Rc::new(RefCell::new(Random::new(seed))),
            launcher,
            panics,
        }
    }

    /// The moment, on tokio's clock.
    pub(crate) fn now(&self) -> Time {
        Time(self.start.elapsed())
    }

    /// The time of day, to be shown and written down.
    pub(crate) fn time_of_day(&self) -> SystemTime {
        match self.wall_clock {
            WallClock::System => system_time(),
            WallClock::Beginning(beginning) => beginning + self.start.elapsed(),
        }
    }

    /// The next number of the run's random source.
    pub(crate) fn random(&self) -> u64 {
        self.random.borrow_mut().draw()
    }

    /// Starts processes.
    pub(crate) fn launcher(&self) -> &dyn Launcher {
        &*self.launcher
    }

    /// Waits until `at`.
    pub(crate) async fn sleep_until(&self, at: Time) {
        tokio::time::sleep_until(self.start + at.0).await;
    }

    /// Runs a future on the control arbiter. A panic in it becomes an event for the root.
    pub(crate) fn spawn(&self, task: TaskName, future: impl Future<Output = ()> + 'static) -> Task {
        let panics = self.panics.clone();
        spawn_guarded(future, move |what| {
            // A root that is gone has ended the run.
            let _ = panics.send(TaskPanicked { task, what });
        })
    }
}

/// Runs a future on the current arbiter. If it panics, `panicked` hears what it said.
pub(crate) fn spawn_guarded(
    future: impl Future<Output = ()> + 'static,
    panicked: impl FnOnce(String) + 'static,
) -> Task {
    let guarded = async move {
        let mut future = pin!(future);
        let mut panicked = Some(panicked);
        poll_fn(
            |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
                Ok(poll) => poll,
                Err(panic) => {
                    if let Some(panicked) = panicked.take() {
                        panicked(panic_text(&*panic));
                    }
                    Poll::Ready(())
                }
            },
        )
        .await;
    };
    #[expect(clippy::disallowed_methods, reason = "this is the one way to spawn")]
    let handle = actix_rt::spawn(guarded);
    Task(Some(handle))
}

/// A running task. Dropping it aborts the task.
#[derive(Debug)]
#[must_use = "dropping it aborts the task: keep it, or detach it"]
pub(crate) struct Task(Option<tokio::task::JoinHandle<()>>);

impl Task {
    /// Lets the task run to its end by itself.
    pub(crate) fn detach(mut self) {
        self.0.take();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.abort();
        }
    }
}
