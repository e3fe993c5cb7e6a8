//! The root's task: builds everything, supervises the actors, and takes everything down at the end.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use dataflow_core::broken::{Rule, is_broken};
use dataflow_core::placement::Capabilities;
use dataflow_descriptor::Dataflow;
use dataflow_wire::status::{Phase, Report};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

use super::cast::{Mailboxes, memory};
use super::edges::make_table;
use super::models::ModelTable;
use super::services::ServiceCounts;
use super::statistics::StatisticsTable;
use super::timer::Timers;
use super::topology::Topology;
use super::{Progress, Root, RootEvent, RootRef, clients};
use crate::actors::{ActorName, DataflowMessage};
use crate::controls::Control;
use crate::env::{Env, Task, TaskName, TaskPanicked, WallClock};
use crate::error::RunError;
use crate::logs::LogSink;
use crate::models::Models;
use crate::options::RunOptions;
use crate::process::{Launcher, watched};
use crate::statistics::{EVERY_WHILE_UNREAD, StatisticsThread};
use crate::supervision::{ACTOR_POLICY, Down, Supervisor, Verdict};
use dataflow_wire::event::RunEvent;

/// How long commands that stay are waited for, to read how it ended.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// Everything that a run is started with. All that it knows of the machine stands here.
pub(crate) struct Start {
    pub(crate) dataflow: Dataflow,
    pub(crate) run: String,
    pub(crate) options: RunOptions,
    pub(crate) seed: u64,
    pub(crate) wall_clock: WallClock,
    /// The process that runs it, for people.
    pub(crate) pid: u32,
    /// Whether that process lives on when the dataflow has ended.
    pub(crate) is_hosted: bool,
    pub(crate) launcher: Rc<dyn Launcher>,
    /// Where models come from.
    pub(crate) models: Rc<dyn Models>,
    /// What this machine offers to nodes.
    pub(crate) capabilities: Capabilities,
    /// What the outputs of a node may take that says nothing about it.
    pub(crate) output_memory_bytes: u64,
    pub(crate) listener: Option<UnixListener>,
    /// Where statistics are looked at. `None`: nobody looks at them from outside, and nothing is read for them by
    /// itself.
    pub(crate) statistics: Option<Arc<StatisticsThread>>,
    pub(crate) logs: LogSink,
    pub(crate) events: mpsc::Sender<RunEvent>,
    pub(crate) control: UnboundedReceiver<Control>,
}

/// Begins to accept commands.
fn serve(root: &RootRef) -> Option<Task> {
    let listener = root.listener.clone()?;
    let served = Rc::clone(root);
    Some(root.env.spawn(TaskName::Server, async move {
        if let Err(error) = clients::serve(served, listener).await {
            tracing::error!(%error, "commands cannot reach this run any more");
        }
    }))
}

/// Lets the launcher do its own work.
fn tend(root: &RootRef) -> Task {
    let tending = root.env.launcher().tend();
    root.env.spawn(TaskName::Launcher, tending)
}

/// The root's task, before and while it runs.
pub(crate) struct RootTask {
    root: RootRef,
    supervisor: Supervisor<ActorName>,
    /// Until the actors begin.
    mailboxes: Option<Mailboxes>,
    events: UnboundedReceiver<RootEvent>,
    downs: UnboundedReceiver<Down<ActorName>>,
    panics: UnboundedReceiver<TaskPanicked>,
    control: UnboundedReceiver<Control>,
    /// Accepts commands until this is dropped.
    server: Option<Task>,
    server_panics: u32,
    /// Lets the launcher do its own work until this is dropped.
    tending: Option<Task>,
    tending_panics: u32,
    /// Reads for the statistics until this is dropped.
    folding: Option<Task>,
}

impl RootTask {
    /// Makes what the run needs, on a thread with an event loop. No actor and no task has begun.
    pub(crate) fn new(start: Start) -> Result<RootTask, RunError> {
        let (to_task, events) = unbounded_channel();
        let (to_root, downs) = unbounded_channel();
        let (panicked, panics) = unbounded_channel();
        let env = Env::new(start.seed, start.wall_clock, start.launcher, panicked);
        let topology = Topology::of(&start.dataflow);
        let output_memory_bytes = start.output_memory_bytes;
        let table = make_table(&start.dataflow, &topology, &start.run, output_memory_bytes)?;
        let listener = start.listener.map(|it| watched(OwnedFd::from(it)));
        let listener = listener.transpose().map_err(|source| RunError::System {
            what: "cannot watch the socket for commands",
            source,
        })?;
        let mailboxes = Mailboxes::new(&start.dataflow);
        let memory = memory(
            &env,
            &start.dataflow,
            &start.run,
            start.options.this_machine(),
            start.capabilities,
        );
        let statistics = StatisticsTable::new(&mut memory.statistics_mut(), &env, start.statistics);
        let root = Rc::new(Root {
            memory,
            handles: mailboxes.handles(),
            began: env.now(),
            env,
            run: start.run,
            options: start.options,
            output_memory_bytes,
            pid: start.pid,
            is_hosted: start.is_hosted,
            table: RefCell::new(table),
            models: ModelTable::new(start.models),
            statistics,
            service_counts: ServiceCounts::default(),
            timers: Timers::default(),
            listener: listener.map(Rc::new),
            logs: Rc::new(RefCell::new(start.logs)),
            events: start.events,
            to_task,
            progress: watch::Sender::new(Progress::default()),
            node_changes: watch::Sender::new(0),
            phase: Cell::new(Phase::Starting),
            dataflow: start.dataflow,
            topology,
        });
        Ok(RootTask {
            root,
            supervisor: Supervisor::new(ACTOR_POLICY, to_root),
            mailboxes: Some(mailboxes),
            events,
            downs,
            panics,
            control: start.control,
            server: None,
            server_panics: 0,
            tending: None,
            tending_panics: 0,
            folding: None,
        })
    }

    /// The root, for whoever looks at it.
    pub(crate) fn root(&self) -> &RootRef {
        &self.root
    }

    /// Runs the dataflow to its end.
    pub(crate) async fn run(mut self) -> Result<Report, RunError> {
        if let Some(mailboxes) = self.mailboxes.take() {
            mailboxes.supervise(&self.root, &mut self.supervisor);
        }
        self.server = serve(&self.root);
        self.tending = Some(tend(&self.root));
        self.folding = self.root.fold_now_and_then(Duration::ZERO);
        // What the description says is said once to whoever listens.
        let _ = self.root.events.send(RunEvent::Phase(Phase::Starting));
        self.root.handles.dataflow.fact(DataflowMessage::Up);
        let result = self.supervise().await;
        self.take_down(&result).await;
        result
    }

    /// Goes on until the dataflow has ended, or the runtime cannot go on.
    async fn supervise(&mut self) -> Result<Report, RunError> {
        loop {
            // The end of the run before what has happened, and that before what somebody wishes: only few of the
            // former come, so none keeps another waiting.
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => match event {
                    RootEvent::Rebuild(actor) => {
                        let now = self.root.env.now();
                        self.supervisor.build(now, &actor);
                    }
                    RootEvent::Ended(report) => {
                        self.audit();
                        return Ok(*report);
                    }
                    RootEvent::CannotGoOn(actor) => {
                        return Err(RunError::Actor {
                            actor: actor.to_string(),
                            what: self.supervisor.last_panic(&actor),
                        });
                    }
                },
                Some(down) = self.downs.recv() => self.down(&down)?,
                Some(panic) = self.panics.recv() => self.task_panicked(&panic)?,
                Some(control) = self.control.recv() => self.steer(control),
            }
        }
    }

    /// An actor has ended: another one is built, which adopts what the table holds.
    fn down(&mut self, down: &Down<ActorName>) -> Result<(), RunError> {
        let (now, random) = (self.root.env.now(), self.root.env.random());
        match self.supervisor.down(now, random, down) {
            Verdict::Nothing => Ok(()),
            Verdict::Rebuild {
                after,
                what,
                is_poisoned,
            } => {
                let actor = down.actor;
                tracing::error!(%actor, incarnation = down.incarnation, %what, "actor panicked");
                match actor {
                    ActorName::Node(node) if is_poisoned => self.root.give_up_on(node),
                    // What it was told is lost, and everybody waits for what should have followed.
                    ActorName::Dataflow | ActorName::Scheduler if is_poisoned => {
                        let actor = actor.to_string();
                        return Err(RunError::Actor { actor, what });
                    }
                    _ => {}
                }
                self.root.count_rebuilt(actor);
                self.rebuild_after(actor, after);
                Ok(())
            }
            // A run can do without numbers.
            Verdict::GiveUp { what } if down.actor == ActorName::Stats => {
                tracing::error!(actor = %down.actor, %what, "actor panicked again and again");
                self.root.count_rebuilt(down.actor);
                self.rebuild_after(down.actor, ACTOR_POLICY.backoff_max);
                Ok(())
            }
            Verdict::GiveUp { what } => Err(RunError::Actor {
                actor: down.actor.to_string(),
                what,
            }),
        }
    }

    fn rebuild_after(&self, actor: ActorName, wait: Duration) {
        if is_broken(Rule::ActorIsNotRebuilt) {
            return;
        }
        self.root.later(wait, move |root| {
            // The task hears it unless the run has ended.
            let _ = root.to_task.send(RootEvent::Rebuild(actor));
        });
    }

    /// A task has panicked: another one takes over from the table, once.
    fn task_panicked(&mut self, panicked: &TaskPanicked) -> Result<(), RunError> {
        let TaskPanicked { task, what } = panicked;
        tracing::error!(?task, %what, "task panicked");
        let (name, goes_on) = match *task {
            TaskName::Node(node, epoch) => {
                Root::node_task_panicked(&self.root, node, epoch, what);
                return Ok(());
            }
            // Its connection ends with it, and nothing else does.
            TaskName::Client => return Ok(()),
            TaskName::Pump(node, epoch, place) => {
                let goes_on = self.root.pump_panicked(node, epoch, place);
                (format!("log of {}", self.root.spec(node).id), goes_on)
            }
            TaskName::Model(model) => {
                let goes_on = self.root.model_task_panicked(model);
                ("look at a model".to_owned(), goes_on)
            }
            // A run can do without numbers, and with old ones; and one that panics again and again takes no time of
            // what else there is to do.
            TaskName::Fold => {
                self.folding = self.root.fold_now_and_then(EVERY_WHILE_UNREAD);
                return Ok(());
            }
            TaskName::Server => {
                self.server_panics += 1;
                self.server = serve(&self.root);
                ("server of commands".to_owned(), self.server_panics == 1)
            }
            TaskName::Launcher => {
                self.tending_panics += 1;
                self.tending = Some(tend(&self.root));
                ("launcher".to_owned(), self.tending_panics == 1)
            }
            // It has tried twice.
            TaskName::Timer => ("timer".to_owned(), false),
        };
        if goes_on {
            return Ok(());
        }
        let what = what.clone();
        Err(RunError::Task { task: name, what })
    }

    /// Counts the statistics once more (I-13).
    fn audit(&self) {
        if let Err(error) = self.root.memory.statistics().audit() {
            tracing::error!(%error, "statistics do not add up");
        }
    }

    fn steer(&self, control: Control) {
        let message = match control {
            Control::Stop {
                mode,
                force_after,
                by,
            } => DataflowMessage::Stop {
                mode,
                force_after,
                by,
            },
            Control::Force { by } => DataflowMessage::Force { by },
            Control::Wish { node, wish, kill } => {
                return self.root.wish_if_known(&node, wish, kill);
            }
        };
        self.root.handles.dataflow.fact(message);
    }

    /// Tells everybody how it ended, and leaves nothing behind.
    async fn take_down(&mut self, result: &Result<Report, RunError>) {
        let root = &self.root;
        match result {
            Ok(report) => {
                let report = Box::new(report.clone());
                root.progress
                    .send_modify(|progress| progress.ended = Some(report));
                self.folding.take();
                // Commands that stay let go of it once they have read the end.
                let farewell = async {
                    tokio::join!(root.progress.closed(), root.end_statistics());
                };
                let _ = tokio::time::timeout(FAREWELL_MAX, farewell).await;
            }
            Err(error) => {
                tracing::error!(%error, "the run breaks off");
                root.kill_all();
                self.folding.take();
                root.break_off_statistics().await;
            }
        }
        self.server.take();
        self.tending.take();
        self.folding.take();
        root.let_go_of_models();
        root.env.launcher().close();
        for (actor, counts) in self.supervisor.end() {
            tracing::debug!(%actor, ?counts, "actor ended");
            debug_assert!(counts.balances(), "I-10: {actor} {counts:?}");
        }
    }
}

impl Drop for RootTask {
    fn drop(&mut self) {
        // A run that was given up halfway: actors without an end would keep the root, and all that it holds.
        self.supervisor.end();
        self.root.kill_all();
        self.root.let_go_of_models();
        self.root.env.launcher().close();
    }
}
