//! `DataflowActor`: the run, the order of its start, its stop and its drain.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::broken::{Rule, is_broken};
use dataflow_core::drain::{Afterwards, DrainCommand, DrainEvent, DrainLedger, Receiver};
use dataflow_core::flow::{CycleIndex, CycleMember, FlowCommand, FlowEvent, FlowMachine};
use dataflow_core::models::{Needs, Standing};
use dataflow_core::quiesce::{QuiescenceWatch, Verdict};
use dataflow_ids::{
    EdgeId, End, Epoch, Forcer, LifeCycle, ModelIndex, NodeIndex, Sequence, StopMode,
};

use super::ActorName;
use super::node::NodeMessage;
use super::scheduler::SchedulerMessage;
use crate::root::{Purpose, RootRef};
use crate::supervision::Behaviour;

/// After this long, a stop says whom it waits for.
pub(crate) const WAITING_FIRST: Duration = Duration::from_secs(1);
/// From then on, it says so this often.
pub(crate) const WAITING_AGAIN: Duration = Duration::from_secs(3);
/// How long before that the nodes are asked for how long their user's code has run.
pub(crate) const ASKED_AHEAD: Duration = Duration::from_millis(100);
/// How often a cycle is looked at that may be at rest. Only while nothing comes into it any more.
const CYCLE_LOOK: Duration = Duration::from_millis(100);

/// What the run's actor may be told.
#[derive(Debug, Clone)]
pub(crate) enum DataflowMessage {
    /// Bring the dataflow up.
    Up,
    /// How the placement went: fine, or which node has no place and why.
    Placed {
        result: Result<(), (NodeIndex, String)>,
    },
    /// A model has come to its end: it is there, or cannot be had and why.
    ModelChanged {
        model: ModelIndex,
        result: Result<(), String>,
    },
    /// A node has changed its state.
    NodeChanged {
        node: NodeIndex,
        state: LifeCycle,
        end: Option<End>,
    },
    /// A node could not be brought up.
    UpFailed { node: NodeIndex, why: String },
    /// An edge's sender has ended for good.
    EdgeClosed { edge: EdgeId, upto: Sequence },
    /// A node's library was welcomed: it can be asked about tokens.
    Connected { node: NodeIndex, epoch: Epoch },
    /// A node is dead, and the edges to it are repaired.
    ReceiverDied { node: NodeIndex, epoch: Epoch },
    /// A receiver says which tokens it owes.
    Ack(DrainEvent),
    /// It is time to ask again for tokens.
    DrainTick,
    /// It is time to look at a cycle.
    CycleLook { cycle: CycleIndex },
    /// A person wants the dataflow to stop.
    Stop {
        mode: StopMode,
        force_after: Option<Duration>,
        by: &'static str,
    },
    /// A person wants it killed.
    Force { by: Forcer },
    /// It is time to say whom the stop waits for.
    WaitingLook,
    /// The time that a person has set for the stop is over.
    ForceDue,
    /// A node's actor may have missed something: tell it again what stands.
    Retell { node: NodeIndex },
}

crate::message_kinds!(DataflowMessage {
    Up,
    Placed,
    ModelChanged,
    NodeChanged,
    UpFailed,
    EdgeClosed,
    Connected,
    ReceiverDied,
    Ack,
    DrainTick,
    CycleLook,
    Stop,
    Force,
    WaitingLook,
    ForceDue,
    Retell,
});

/// What the run's actor knows. The machines are copied when they change, not with every message.
#[derive(Debug, Clone)]
pub(crate) struct Lead {
    pub(crate) flow: Rc<FlowMachine>,
    pub(crate) drain: Rc<DrainLedger>,
    pub(crate) needs: Rc<Needs>,
    watches: BTreeMap<CycleIndex, QuiescenceWatch>,
    pub(crate) stop_began: Option<Time>,
    force_at: Option<Time>,
    is_up_begun: bool,
    is_ended: bool,
}

impl Lead {
    pub(crate) fn new(flow: FlowMachine, drain: DrainLedger, needs: Needs) -> Lead {
        Lead {
            flow: Rc::new(flow),
            drain: Rc::new(drain),
            needs: Rc::new(needs),
            watches: BTreeMap::new(),
            stop_began: None,
            force_at: None,
            is_up_begun: false,
            is_ended: false,
        }
    }
}

/// What the run's actor has to do.
#[derive(Debug, Clone)]
pub(crate) enum DataflowCommand {
    /// Ask the scheduler for a place for every node.
    Place,
    /// Tell every node that it is placed.
    TellPlaced,
    /// Want every model that some node needs.
    WantModels,
    /// Tell a node how it stands with its models, if that is known.
    TellModels { node: NodeIndex },
    /// Tell a node that no peer has what it needs.
    TellNoPlace { node: NodeIndex, why: String },
    /// What the order of the dataflow asks for.
    Flow(FlowCommand),
    /// What the conversation about tokens asks for.
    Drain(DrainCommand),
    /// A receiver is there now: ask it what was not asked before.
    AskAgain { node: NodeIndex, epoch: Epoch },
    /// Say `ForceDue` at this moment.
    ForceAt(Time),
    /// Say whom the stop waits for, and come back.
    SayWaiting,
    /// Come back to look at a cycle.
    LookAgain { cycle: CycleIndex },
    /// Tell a node's actor again what stands. Every fact may be told twice.
    Retell { node: NodeIndex },
}

/// The actor that leads the run.
pub(crate) struct DataflowActor {
    root: RootRef,
}

/// One decision: the machines, and what follows.
struct Deciding<'a> {
    root: &'a RootRef,
    lead: &'a mut Lead,
    now: Time,
    commands: Vec<DataflowCommand>,
}

impl DataflowActor {
    pub(crate) fn new(root: RootRef) -> DataflowActor {
        DataflowActor { root }
    }

    fn perform(&self) {
        let committed = &self.root.memory().lead;
        if committed.perform(|command| self.perform_one(command)) > 0 {
            self.root.cannot_go_on(ActorName::Dataflow);
        }
        self.root.phase_is(committed.read().flow.phase());
    }

    fn perform_one(&self, command: DataflowCommand) {
        let root = &self.root;
        let this = || root.handles().dataflow.clone();
        match command {
            DataflowCommand::Place => {
                let nodes = root.requirements();
                root.handles()
                    .scheduler
                    .fact(SchedulerMessage::Place { nodes });
            }
            DataflowCommand::TellPlaced => self.tell_all(|| NodeMessage::Placed),
            DataflowCommand::WantModels => {
                let wanted = root.memory().lead.read().needs.wanted();
                root.want_models(&wanted);
            }
            DataflowCommand::TellModels { node } => self.tell_models(node),
            DataflowCommand::TellNoPlace { node, why } => {
                let handle = root.handles().node(node);
                handle.fact(NodeMessage::NoPlace { why });
            }
            DataflowCommand::Flow(command) => self.perform_flow(command),
            DataflowCommand::Drain(DrainCommand::SendRequest {
                edge,
                epoch,
                upto,
                attempt,
            }) => root.send_release_request(edge, epoch, upto, attempt),
            DataflowCommand::Drain(DrainCommand::WakeAt(at)) => {
                let this = this();
                root.arm(Purpose::DrainTick, at, move |_| {
                    this.fact(DataflowMessage::DrainTick);
                });
            }
            DataflowCommand::Drain(DrainCommand::Drained { edge }) => root.edge_drained(edge),
            DataflowCommand::AskAgain { node, epoch } => {
                let lead = root.memory().lead.read();
                for waiting in lead.drain.waiting() {
                    if root.target_of(waiting.edge) == Some(node) && waiting.epoch == epoch {
                        root.send_release_request(
                            waiting.edge,
                            epoch,
                            waiting.upto,
                            waiting.attempts,
                        );
                    }
                }
            }
            DataflowCommand::ForceAt(at) => {
                let this = this();
                root.arm(Purpose::Force, at, move |_| {
                    this.fact(DataflowMessage::ForceDue);
                });
            }
            DataflowCommand::SayWaiting => {
                root.say_waiting();
                self.look_who_waits_after(WAITING_AGAIN);
            }
            DataflowCommand::Retell { node } => self.retell(node),
            DataflowCommand::LookAgain { cycle } => {
                let this = this();
                let at = root.env().now().after(CYCLE_LOOK);
                root.arm(Purpose::CycleLook(cycle), at, move |_| {
                    this.fact(DataflowMessage::CycleLook { cycle });
                });
            }
        }
    }

    fn look_who_waits_after(&self, wait: Duration) {
        let root = &self.root;
        let asks_at = root.env().now().after(wait.saturating_sub(ASKED_AHEAD));
        root.arm(Purpose::SayWaiting, asks_at, move |root| {
            root.ask_how_busy();
            let this = root.handles().dataflow.clone();
            let at = root.env().now().after(ASKED_AHEAD);
            root.arm(Purpose::SayWaiting, at, move |_| {
                this.fact(DataflowMessage::WaitingLook);
            });
        });
    }

    fn tell_models(&self, node: NodeIndex) {
        let this = self.root.handles().node(node);
        match self.root.memory().lead.read().needs.standing(node) {
            Standing::Waiting => {}
            Standing::Ready => this.fact(NodeMessage::ModelsReady),
            Standing::Failed { why } => this.fact(NodeMessage::ModelsFailed { why }),
        }
    }

    fn retell(&self, node: NodeIndex) {
        let root = &self.root;
        let lead = root.memory().lead.read();
        let this = root.handles().node(node);
        if lead.flow.stopping().is_some() {
            this.fact(NodeMessage::StopBegun);
        }
        if let Some(command) = lead.flow.told_to_stop(node) {
            self.perform_flow(command);
        }
        if let Some(by) = lead.flow.forced() {
            this.fact(NodeMessage::Force { by });
        }
        self.tell_models(node);
        // These two are looked at again by whoever takes them.
        this.fact(NodeMessage::InputsClosed);
        let mut outputs = root.edge_ids_from(node).into_iter();
        if outputs.all(|edge| lead.drain.is_drained(edge)) {
            this.fact(NodeMessage::OutputsDrained);
        }
    }

    fn perform_flow(&self, command: FlowCommand) {
        let root = &self.root;
        // Each of these is told a node a few times in its life, so it takes the lane that cannot refuse.
        let tell = |node: NodeIndex, message| root.handles().node(node).fact(message);
        match command {
            FlowCommand::StartNode { node } => tell(node, NodeMessage::Start),
            FlowCommand::Up => {}
            FlowCommand::StopBegun => {
                self.tell_all(|| NodeMessage::StopBegun);
                // Who waits for a model ends now; who has it needs the fetch no more.
                root.let_go_of_models();
                self.look_who_waits_after(WAITING_FIRST);
            }
            FlowCommand::StopNode { node, mode } => {
                let upto = Vec::new();
                tell(node, NodeMessage::Stop { mode, upto });
            }
            FlowCommand::StopCycle { members, .. } => {
                // All of them are read before the first member is told.
                let told: Vec<_> = members
                    .into_iter()
                    .map(|CycleMember { node, inner }| (node, root.last_sequences(&inner)))
                    .collect();
                for (node, mut upto) in told {
                    if is_broken(Rule::CycleStopsAtOnce) {
                        for (_, upto) in &mut upto {
                            *upto = Sequence::NONE;
                        }
                    }
                    let mode = StopMode::Graceful;
                    tell(node, NodeMessage::Stop { mode, upto });
                }
            }
            FlowCommand::WatchCycle { cycle } => {
                let this = root.handles().dataflow.clone();
                this.fact(DataflowMessage::CycleLook { cycle });
            }
            FlowCommand::InputsClosed { node } => tell(node, NodeMessage::InputsClosed),
            FlowCommand::OutputsDrained { node } => tell(node, NodeMessage::OutputsDrained),
            FlowCommand::ForceAll { by } => self.tell_all(|| NodeMessage::Force { by }),
            FlowCommand::Ended { outcome, because } => root.ended(outcome, &because),
        }
    }

    fn tell_all(&self, message: impl Fn() -> NodeMessage) {
        for handle in &self.root.handles().nodes {
            handle.fact(message());
        }
    }
}

impl Deciding<'_> {
    fn flow(&mut self, event: FlowEvent) {
        let commands = Rc::make_mut(&mut self.lead.flow).handle(event);
        for command in &commands {
            match command {
                FlowCommand::StopBegun => {
                    self.lead.stop_began = Some(self.now);
                    if let Some(wait) = self.root.options().force_after {
                        self.force_at(self.now.after(wait));
                    }
                }
                FlowCommand::WatchCycle { cycle } => {
                    self.lead.watches.entry(*cycle).or_default();
                }
                FlowCommand::StopCycle { cycle, .. } => {
                    self.lead.watches.remove(cycle);
                }
                FlowCommand::Ended { .. } => self.lead.is_ended = true,
                _ => {}
            }
        }
        self.commands
            .extend(commands.into_iter().map(DataflowCommand::Flow));
    }

    fn drain(&mut self, event: DrainEvent) {
        let commands = Rc::make_mut(&mut self.lead.drain).handle(self.now, event);
        let drained: Vec<EdgeId> = commands
            .iter()
            .filter_map(|command| match command {
                DrainCommand::Drained { edge } => Some(*edge),
                _ => None,
            })
            .collect();
        self.commands
            .extend(commands.into_iter().map(DataflowCommand::Drain));
        for edge in drained {
            self.flow(FlowEvent::EdgeDrained { edge });
        }
    }

    /// Of several wishes the earliest counts.
    fn force_at(&mut self, at: Time) {
        if self.lead.force_at.is_none_or(|known| at < known) {
            self.lead.force_at = Some(at);
            self.commands.push(DataflowCommand::ForceAt(at));
        }
    }

    fn look_at_cycle(&mut self, cycle: CycleIndex) {
        if !self.lead.watches.contains_key(&cycle) {
            return;
        }
        let Some(members) = self.lead.flow.graph().cycles().get(cycle.0) else {
            return;
        };
        let reading = self.root.read_cycle(members);
        let watch = self.lead.watches.entry(cycle).or_default();
        match watch.observe(reading) {
            Verdict::Quiescent => {
                self.lead.watches.remove(&cycle);
                self.flow(FlowEvent::Quiescent { cycle });
            }
            Verdict::Moving => self.commands.push(DataflowCommand::LookAgain { cycle }),
        }
    }

    fn take(&mut self, message: &DataflowMessage) {
        match message {
            DataflowMessage::Up => {
                if !std::mem::replace(&mut self.lead.is_up_begun, true) {
                    self.commands.push(DataflowCommand::Place);
                }
            }
            DataflowMessage::Placed { result: Ok(()) } => {
                self.commands.push(DataflowCommand::TellPlaced);
                if !self.lead.needs.wanted().is_empty() && self.lead.stop_began.is_none() {
                    self.commands.push(DataflowCommand::WantModels);
                }
                self.flow(FlowEvent::Start);
            }
            DataflowMessage::Placed {
                result: Err((node, why)),
            } => self.commands.push(DataflowCommand::TellNoPlace {
                node: *node,
                why: why.clone(),
            }),
            DataflowMessage::ModelChanged { model, result } => {
                let needs = Rc::make_mut(&mut self.lead.needs);
                let told = match result {
                    Ok(()) => needs.ready(*model),
                    Err(why) => needs.failed(*model, why.clone()),
                };
                let told = told.into_iter();
                (self.commands).extend(told.map(|node| DataflowCommand::TellModels { node }));
            }
            DataflowMessage::NodeChanged { node, state, end } => self.flow(FlowEvent::NodeState {
                node: *node,
                state: *state,
                end: end.clone(),
            }),
            DataflowMessage::UpFailed { node, why } => self.flow(FlowEvent::UpFailed {
                node: *node,
                why: why.clone(),
            }),
            DataflowMessage::EdgeClosed { edge, upto } => {
                self.flow(FlowEvent::EdgeClosed { edge: *edge });
                let receiver = self.root.receiver_of(*edge, *upto);
                self.drain(DrainEvent::CloseEdge {
                    edge: *edge,
                    upto: *upto,
                    receiver,
                });
            }
            DataflowMessage::Connected { node, epoch } => {
                for edge in self.root.edge_ids_into(*node) {
                    self.drain(DrainEvent::ReceiverStarted {
                        edge,
                        epoch: *epoch,
                    });
                }
                self.commands.push(DataflowCommand::AskAgain {
                    node: *node,
                    epoch: *epoch,
                });
            }
            DataflowMessage::ReceiverDied { node, epoch } => {
                let closed: Vec<(EdgeId, Sequence)> = self
                    .lead
                    .drain
                    .waiting()
                    .map(|waiting| (waiting.edge, waiting.upto))
                    .collect();
                for (edge, upto) in closed {
                    if self.root.target_of(edge) != Some(*node) {
                        continue;
                    }
                    let afterwards = match self.root.receiver_of(edge, upto) {
                        Receiver::Gone => Afterwards::Gone,
                        Receiver::Restarting { queued, .. } => Afterwards::Restart { queued },
                        // A later incarnation is there already; it is asked by its own epoch.
                        Receiver::Alive { .. } => continue,
                    };
                    self.drain(DrainEvent::ReceiverDied {
                        edge,
                        epoch: *epoch,
                        afterwards,
                    });
                }
            }
            DataflowMessage::Ack(event) => self.drain(event.clone()),
            DataflowMessage::DrainTick => self.drain(DrainEvent::Tick),
            DataflowMessage::CycleLook { cycle } => self.look_at_cycle(*cycle),
            DataflowMessage::Stop {
                mode,
                force_after,
                by,
            } => {
                self.flow(FlowEvent::Stop {
                    mode: *mode,
                    by: (*by).to_owned(),
                });
                if let Some(wait) = force_after {
                    self.force_at(self.now.after(*wait));
                }
            }
            DataflowMessage::Force { by } => self.flow(FlowEvent::Force { by: *by }),
            DataflowMessage::WaitingLook => {
                if !self.lead.is_ended {
                    self.commands.push(DataflowCommand::SayWaiting);
                }
            }
            DataflowMessage::Retell { node } => {
                self.commands.push(DataflowCommand::Retell { node: *node });
            }
            DataflowMessage::ForceDue => {
                if self.lead.force_at.is_some_and(|at| at <= self.now) {
                    let by = Forcer::ForceAfter;
                    self.flow(FlowEvent::Force { by });
                }
            }
        }
    }
}

impl Behaviour for DataflowActor {
    type Message = DataflowMessage;

    fn begin(&mut self) {
        self.perform();
    }

    fn handle(&mut self, message: &DataflowMessage) {
        let root = &self.root;
        root.memory().lead.decide(|lead| {
            let mut deciding = Deciding {
                root,
                lead,
                now: root.env().now(),
                commands: Vec::new(),
            };
            deciding.take(message);
            deciding.commands
        });
        self.perform();
    }
}
