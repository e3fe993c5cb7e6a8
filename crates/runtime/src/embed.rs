//! A run inside an event loop that the caller has: in a program of its own, or in a test on virtual time.
//!
//! Everything happens on the calling thread, which must be one of an actix system. Several runs can share it. What a
//! run knows of the world stands in its [`Surroundings`]: under a paused clock, and with a launcher that is as
//! predictable, everything that a run does follows from its seed.

use std::rc::Rc;
use std::sync::mpsc;
use std::time::SystemTime;

use dataflow_core::placement::Capabilities;
use dataflow_core::stats::AuditMismatch;
use dataflow_descriptor::Dataflow;
use dataflow_ids::EdgeId;
use dataflow_shm::edge::EdgeReading;
use dataflow_wire::status::{DataflowStatus, Report};
use tokio::sync::mpsc::unbounded_channel;

use crate::controls::Controls;
use crate::env::WallClock;
use crate::error::RunError;
use crate::logs::LogSink;
use crate::models::Models;
use crate::options::RunOptions;
use crate::process::Launcher;
use crate::root::{RootRef, RootTask, Start};
pub use crate::supervision::Counts;
use dataflow_wire::event::RunEvent;

/// The world of an embedded run.
pub struct Surroundings {
    /// Starts the nodes. Closed when the run has ended.
    pub launcher: Rc<dyn Launcher>,
    /// Where models come from: [`NoModels`](crate::models::NoModels) for nodes that need none.
    pub models: Rc<dyn Models>,
    /// The seed of every random choice. It counts, and not that of the options.
    pub seed: u64,
    /// The run's name: part of the names of its memory, and the nodes' `DATAFLOW_RUN`.
    pub run: String,
    /// The process that runs it, as the status says it to people.
    pub pid: u32,
    /// What this machine offers to nodes.
    pub capabilities: Capabilities,
    /// What the outputs of a node may take that says nothing about it, in bytes.
    pub output_memory_bytes: u64,
    /// Choices that are not part of the description.
    pub options: RunOptions,
    /// The time of day at which the run is made. From there it goes as tokio's clock does.
    pub begins_at: SystemTime,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("run", &self.run)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// Makes a run of a checked description. Nothing is started before [`Embedded::run`]; dropped before that, it leaves
/// nothing behind. The nodes' programs are not looked for: that is the launcher's business.
///
/// There are no log files and no socket for commands: lines only become [`RunEvent::Log`].
///
/// # Errors
///
/// [`RunError`] when the system has no descriptor or no memory left for the edges.
///
/// # Panics
///
/// On a thread without a tokio runtime.
pub fn embed(
    dataflow: Dataflow,
    surroundings: Surroundings,
    events: mpsc::Sender<RunEvent>,
) -> Result<Embedded, RunError> {
    let (to_root, control) = unbounded_channel();
    let task = RootTask::new(Start {
        dataflow,
        run: surroundings.run,
        options: surroundings.options,
        seed: surroundings.seed,
        wall_clock: WallClock::Beginning(surroundings.begins_at),
        pid: surroundings.pid,
        is_hosted: false,
        launcher: surroundings.launcher,
        models: surroundings.models,
        capabilities: surroundings.capabilities,
        output_memory_bytes: surroundings.output_memory_bytes,
        listener: None,
        statistics: None,
        logs: LogSink::without_files(events.clone()),
        events: events.clone(),
        control,
    })?;
    Ok(Embedded {
        task,
        controls: Controls::new(to_root),
        events,
    })
}

/// A run that was made and has not begun.
pub struct Embedded {
    task: RootTask,
    controls: Controls,
    events: mpsc::Sender<RunEvent>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Embedded")
    }
}

impl Embedded {
    /// Steers the run, from any thread.
    #[must_use]
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// Looks at the run, also after its end.
    #[must_use]
    pub fn inspector(&self) -> Inspector {
        Inspector {
            root: Rc::clone(self.task.root()),
        }
    }

    /// Lets the statistics of the run be kept as those of one that is not embedded: edges, actors and models are read once
    /// a second of the run's clock, and members are counted again. Otherwise edges are read when somebody asks, and at
    /// the end.
    pub fn fold_statistics(&self) {
        self.task.root().fold_statistics();
    }

    /// Runs the dataflow to its end, on a thread of an actix system. Dropped before that, it ends every process.
    ///
    /// # Errors
    ///
    /// [`RunError`] when the runtime itself cannot go on; everything that it had started has been killed. A node's
    /// failure is no such error: the report says it.
    pub async fn run(self) -> Result<Report, RunError> {
        let report = self.task.run().await?;
        // A caller that listens no more knows it from the answer.
        let _ = self.events.send(RunEvent::Ended(Box::new(report.clone())));
        Ok(report)
    }
}

/// Looks at a run and changes nothing in it: no actor is asked, nothing is counted. It keeps the memory of the run's
/// edges until it is dropped.
#[derive(Clone)]
pub struct Inspector {
    root: RootRef,
}

impl std::fmt::Debug for Inspector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inspector")
    }
}

impl Inspector {
    /// How the dataflow stands.
    #[must_use]
    pub fn status(&self) -> DataflowStatus {
        self.root.status(&self.root.read_edges())
    }

    /// What has become of the messages to each actor, with its name.
    #[must_use]
    pub fn mailboxes(&self) -> Vec<(String, Counts)> {
        self.root.mailboxes()
    }

    /// Counts the statistics once more.
    ///
    /// # Errors
    ///
    /// [`AuditMismatch`] when a sum is not that of its members (I-13).
    pub fn audit(&self) -> Result<(), AuditMismatch> {
        self.root.memory().statistics().audit()
    }

    /// What the header of every edge says, in the order of the description.
    #[must_use]
    pub fn readings(&self) -> Vec<(EdgeId, EdgeReading)> {
        self.root.edge_readings()
    }

    /// How many segments of nodes the run holds.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.root.segments()
    }

    /// Every actor of the run, to strike at it. It is the one thing here that changes something.
    #[cfg(any(test, feature = "faults"))]
    #[must_use]
    pub fn actors(&self) -> Vec<Box<dyn crate::actor::AnyActor>> {
        self.root.handles().all()
    }

    /// To see whether anybody still holds the run.
    #[cfg(test)]
    pub(crate) fn root_weak(&self) -> std::rc::Weak<crate::root::Root> {
        Rc::downgrade(&self.root)
    }
}
