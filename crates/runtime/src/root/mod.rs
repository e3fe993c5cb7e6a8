//! The root: the table of processes, sockets, edges and segments, and the task that supervises the actors.
//!
//! It cannot be restarted, so it must not need to be: what becomes of a node or of the dataflow is decided by the
//! machines of `core`, and what they decide on is read here. Decided here is only what concerns the table itself:
//! what a node says is refused, when a segment of the dead is given back, whom to name to a person who waits.
//! Actors borrow what is here for the length of a call, and own none of it.

mod cast;
mod clients;
mod conversation;
mod edges;
mod models;
mod process;
mod pump;
mod segments;
mod services;
mod statistics;
mod status;
mod table;
mod task;
mod telling;
mod timer;
mod topology;
mod usage;
mod waits;
mod welcome;
mod wishes;

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::mpsc;

use dataflow_core::Time;
use dataflow_core::flow::{Because, Phase as FlowPhase};
use dataflow_core::lifecycle::NodeMachine;
use dataflow_core::outcome::Outcome;
use dataflow_core::placement::{Ledger, Requirement};
use dataflow_core::stats::{Book, Transition};
use dataflow_descriptor::{Dataflow, Edge};
use dataflow_ids::stats::RunNumber;
use dataflow_ids::{EdgeId, End, LifeCycle, NodeIndex};
use dataflow_wire::status::{Phase, Report, Waiting};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::actors::{
    ActorName, Committed, DataflowCommand, DataflowMessage, Lead, NodeMessage, SchedulerCommand,
    SchedulerMessage, StatsMessage,
};
use crate::env::Env;
use crate::logs::{LogSink, LogStream};
use crate::options::RunOptions;
use crate::supervision::Handle;
use dataflow_wire::event::RunEvent;

#[cfg(test)]
pub(crate) use clients::converse;
pub(crate) use process::ProcessFact;
pub(crate) use services::Services;
pub(crate) use task::{RootTask, Start};
pub(crate) use timer::Purpose;
pub(crate) use wishes::Aim;

use models::ModelTable;
use services::ServiceCounts;
use statistics::StatisticsTable;
use table::{Process, Table};
use timer::Timers;
use topology::Topology;

/// The root, as actors and tasks hold it.
pub(crate) type RootRef = Rc<Root>;

/// What every actor has decided: it survives them.
pub(crate) struct Memory {
    pub(crate) lead: Committed<Lead, DataflowCommand>,
    nodes: Vec<Committed<NodeMachine, dataflow_core::lifecycle::NodeCommand>>,
    pub(crate) scheduler: Committed<Ledger, SchedulerCommand>,
    statistics: RefCell<Book>,
    run_number: RunNumber,
}

impl Memory {
    /// What a node's actor has decided.
    pub(crate) fn node(
        &self,
        node: NodeIndex,
    ) -> &Committed<NodeMachine, dataflow_core::lifecycle::NodeCommand> {
        &self.nodes[node.0 as usize]
    }

    /// How many nodes there are.
    pub(crate) fn nodes_len(&self) -> u32 {
        // There are far fewer than an index can say.
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    /// The statistics as their keeper has written them.
    pub(crate) fn statistics(&self) -> Ref<'_, Book> {
        self.statistics.borrow()
    }

    /// The number of this run in them.
    pub(crate) fn run_number(&self) -> RunNumber {
        self.run_number
    }

    /// As [`Memory::statistics`], for their keeper.
    pub(crate) fn statistics_mut(&self) -> RefMut<'_, Book> {
        self.statistics.borrow_mut()
    }
}

/// Where to tell the actors something.
pub(crate) struct Handles {
    pub(crate) dataflow: Handle<DataflowMessage>,
    pub(crate) nodes: Vec<Handle<NodeMessage>>,
    pub(crate) scheduler: Handle<SchedulerMessage>,
    pub(crate) stats: Handle<StatsMessage>,
}

impl Handles {
    /// Where to tell a node's actor something.
    pub(crate) fn node(&self, node: NodeIndex) -> &Handle<NodeMessage> {
        &self.nodes[node.0 as usize]
    }

    /// Every actor.
    #[cfg(any(test, feature = "faults"))]
    pub(crate) fn all(&self) -> Vec<Box<dyn crate::actor::AnyActor>> {
        let mut all: Vec<Box<dyn crate::actor::AnyActor>> = vec![
            Box::new(self.dataflow.clone()),
            Box::new(self.scheduler.clone()),
            Box::new(self.stats.clone()),
        ];
        for node in &self.nodes {
            all.push(Box::new(node.clone()));
        }
        all
    }
}

/// What the root's task is told by the rest of the root.
#[derive(Debug)]
enum RootEvent {
    /// It is time to build an actor again.
    Rebuild(ActorName),
    /// The dataflow has ended.
    Ended(Box<Report>),
    /// An actor that the run cannot do without has given up one of its commands.
    CannotGoOn(ActorName),
}

/// What clients that stay are told: the last of it counts.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// Whom the stop waits for, each time it says so.
    waiting: Option<(u64, Vec<Waiting>)>,
    ended: Option<Box<Report>>,
}

/// What belongs to the run and to nobody in particular.
pub(crate) struct Root {
    env: Env,
    dataflow: Dataflow,
    topology: Topology,
    run: String,
    options: RunOptions,
    /// What a node's outputs may take that says nothing.
    output_memory_bytes: u64,
    /// The process that runs it, for people.
    pid: u32,
    /// Whether that process lives on when the dataflow has ended.
    is_hosted: bool,
    table: RefCell<Table>,
    models: ModelTable,
    statistics: StatisticsTable,
    service_counts: ServiceCounts,
    timers: Timers,
    /// Where commands connect to.
    listener: Option<Rc<AsyncFd<OwnedFd>>>,
    logs: Rc<RefCell<LogSink>>,
    events: mpsc::Sender<RunEvent>,
    memory: Memory,
    handles: Handles,
    to_task: UnboundedSender<RootEvent>,
    progress: watch::Sender<Progress>,
    /// Counts what happens to nodes, for who waits for one of them.
    node_changes: watch::Sender<u64>,
    phase: Cell<Phase>,
    began: Time,
}

impl Root {
    /// The world.
    pub(crate) fn env(&self) -> &Env {
        &self.env
    }

    /// What the actors have decided.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Where to tell them something.
    pub(crate) fn handles(&self) -> &Handles {
        &self.handles
    }

    /// What the caller has chosen.
    pub(crate) fn options(&self) -> &RunOptions {
        &self.options
    }

    /// What the description says about a node. Every index comes from the description.
    fn spec(&self, node: NodeIndex) -> &dataflow_descriptor::Node {
        &self.dataflow.nodes[node.0 as usize]
    }

    /// The edges that leave a node.
    fn edges_from(&self, node: NodeIndex) -> impl Iterator<Item = &Edge> + Clone {
        self.topology.edges_from(&self.dataflow, node)
    }

    /// The edges that end in a node.
    fn edges_into(&self, node: NodeIndex) -> impl Iterator<Item = &Edge> + Clone {
        self.topology.edges_into(&self.dataflow, node)
    }

    /// What every node requires.
    pub(crate) fn requirements(&self) -> Vec<(NodeIndex, Requirement)> {
        let nodes = self.dataflow.nodes.iter();
        nodes
            .map(|node| {
                let requirement = Requirement {
                    memory_bytes: node.requires.memory_bytes,
                    cpus: 0,
                    gpu: node.requires.gpu,
                    labels: node.requires.labels.clone(),
                    peer: node.peer.clone(),
                };
                (node.index, requirement)
            })
            .collect()
    }

    /// Writes a line of the runtime into a node's log.
    pub(crate) fn say(&self, node: NodeIndex, line: String) {
        let node = &self.spec(node).id;
        let at = self.env.time_of_day();
        (self.logs.borrow_mut()).line(at, node, LogStream::Runtime, line);
    }

    /// A node has changed its state: everybody who keeps count is told.
    pub(crate) fn node_changed(
        self: &Rc<Self>,
        from: LifeCycle,
        change: Transition,
        end: Option<End>,
        because: Option<String>,
    ) {
        let Transition {
            node, to, epoch, ..
        } = change;
        let id = self.spec(node).id.clone();
        let because = match to {
            LifeCycle::Downloading => because.or_else(|| self.models_awaited_in_words(node)),
            _ => because,
        };
        tracing::info!(node = %id, %from, %to, %epoch, because = because.as_deref(), "node changed");
        let state = to;
        self.handles
            .dataflow
            .fact(DataflowMessage::NodeChanged { node, state, end });
        self.handles.stats.fact(StatsMessage::Transition(change));
        self.node_changes.send_modify(|count| *count += 1);
        if to.is_final() {
            self.retire_all(node);
            let release = SchedulerMessage::Release { node };
            self.handles.scheduler.fact(release);
        }
        // A caller that listens no more is no reason to stop.
        let _ = self.events.send(RunEvent::State {
            node: id,
            from,
            to,
            epoch,
            because,
        });
    }

    /// The dataflow stands here now.
    pub(crate) fn phase_is(&self, phase: FlowPhase) {
        let phase = match phase {
            FlowPhase::Starting => Phase::Starting,
            FlowPhase::Running => Phase::Running,
            FlowPhase::Stopping => Phase::Stopping,
            FlowPhase::Ended => Phase::Ended,
        };
        if self.phase.replace(phase) != phase {
            tracing::info!(%phase, "phase changed");
            let _ = self.events.send(RunEvent::Phase(phase));
        }
    }

    /// Whether everything has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.phase.get() == Phase::Ended
    }

    /// Every token of an edge has come back.
    pub(crate) fn edge_drained(&self, edge: EdgeId) {
        if let Some(row) = self.table.borrow_mut().edge_mut(edge) {
            row.is_drained = true;
        }
        tracing::debug!(%edge, "edge drained");
    }

    /// Tells everybody who listens whom the stop waits for.
    pub(crate) fn say_waiting(&self) {
        let waiting = self.waiting(&self.readings());
        if waiting.is_empty() {
            return;
        }
        self.progress.send_modify(|progress| {
            let count = progress.waiting.as_ref().map_or(0, |(count, _)| *count);
            progress.waiting = Some((count + 1, waiting.clone()));
        });
        let _ = self.events.send(RunEvent::Waiting(waiting));
    }

    /// Every node has ended.
    pub(crate) fn ended(&self, outcome: Outcome, because: &Because) {
        let report = Box::new(self.report(outcome, because));
        // The task ends at the first of these.
        let _ = self.to_task.send(RootEvent::Ended(report));
    }

    /// An actor that the run cannot do without has panicked twice over one of its commands: the run is over.
    pub(crate) fn cannot_go_on(&self, actor: ActorName) {
        // The task ends at the first of these.
        let _ = self.to_task.send(RootEvent::CannotGoOn(actor));
    }

    /// A message to a node's actor was dead-lettered, because it made the actor panic twice. Its process ends, and the
    /// actor is told again what it may have missed. If that cannot be told again, the dataflow ends.
    pub(crate) fn give_up_on(&self, node: NodeIndex) {
        let why = "the runtime's own actor for this node panicked twice over one thing".to_owned();
        tracing::error!(node = %self.spec(node).id, "node given up");
        self.say(node, why.clone());
        let epoch = self.table.borrow().node(node).process.epoch();
        let lead = &self.handles.dataflow;
        let is_killed = self.signal_group(node, epoch, rustix::process::Signal::KILL);
        if !is_killed && !self.can_be_told_again(node) {
            lead.fact(DataflowMessage::UpFailed { node, why });
        }
        self.handles.node(node).fact(NodeMessage::Adopt);
        lead.fact(DataflowMessage::Retell { node });
    }

    /// Whether a node without a process waits for nothing but what the table and the leader know: the end of that
    /// process, or of the tokens of its outputs, or its models. A wait, a placement, a start is gone with the message that said it.
    fn can_be_told_again(&self, node: NodeIndex) -> bool {
        let machine = self.memory.node(node).read();
        let table = self.table.borrow();
        let is_in_table = match &table.node(node).process {
            Process::Failed { epoch, .. } | Process::Reaped { epoch, .. } => {
                machine.has_process() && machine.epoch() == *epoch
            }
            Process::None | Process::Starting { .. } | Process::Running(_) => false,
        };
        machine.end().is_some() || is_in_table || machine.state() == LifeCycle::Downloading
    }
}
