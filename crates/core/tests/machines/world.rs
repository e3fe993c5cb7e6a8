//! A small simulated runtime: processes that live and die, edges that count, actors with mailboxes. It obeys
//! the commands of the real machines, in an order that a seed picks, and sometimes performs them twice.

mod process;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::drain::{Afterwards, DrainCommand, DrainEvent, DrainLedger, Receiver};
use dataflow_core::flow::{
    CycleIndex, FlowCommand, FlowEdge, FlowEvent, FlowMachine, Graph, Phase, Role,
};
use dataflow_core::lifecycle::{
    Exit, Needs, NodeCommand, NodeEvent, NodeMachine, NodeSettings, Program,
};
use dataflow_core::outcome::Outcome;
use dataflow_core::quiesce::{
    Activity, CycleReading, EdgePosition, MemberReading, QuiescenceWatch, Verdict,
};
use dataflow_core::random::Random;
use dataflow_ids::{EdgeId, Epoch, NodeIndex, OnFailure, RestartPolicy, Sequence, StopMode};

/// What the world does to its dataflow.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) nodes: u32,
    pub(crate) edges: Vec<(u32, u32)>,
    pub(crate) seed: u64,
    pub(crate) on_failure: OnFailure,
    pub(crate) restart: RestartPolicy,
    /// How many processes may crash.
    pub(crate) crashes: u32,
    /// How many messages each source sends before it returns by itself.
    pub(crate) messages: u64,
    /// Whether messages go round in cycles without end.
    pub(crate) cycles: Cycles,
    /// What is asked for, and after how many steps.
    pub(crate) wishes: Vec<(u32, FlowEvent)>,
}

/// What the members of cycles do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cycles {
    /// Each message that comes in makes one that goes out.
    Endless,
    /// Each member sends only so many messages.
    Dying,
}

/// What the dataflow actor receives, in one queue.
enum ToDataflow {
    Flow(FlowEvent),
    Drain(DrainEvent),
}

struct Process {
    epoch: Epoch,
    stage: Stage,
    stop: Option<(StopMode, Vec<(EdgeId, Sequence)>)>,
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Stage {
    Spawned,
    Connected,
    Ready,
}

struct Node {
    machine: NodeMachine,
    mailbox: VecDeque<NodeEvent>,
    process: Option<Process>,
    spawned: BTreeSet<Epoch>,
    messages: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Edge {
    pub(crate) source: usize,
    pub(crate) target: usize,
    pub(crate) sent: u64,
    pub(crate) taken: u64,
    pub(crate) dropped: u64,
    pub(crate) closed_at: Option<u64>,
    receiver_ready: bool,
    receiver_gone: bool,
}

impl Edge {
    fn queued(&self) -> u64 {
        self.sent - self.taken - self.dropped
    }
}

pub(crate) struct World {
    random: Random,
    now: Time,
    pub(crate) flow: FlowMachine,
    ledger: DrainLedger,
    mailbox: VecDeque<ToDataflow>,
    nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    backoffs: Vec<(usize, Epoch)>,
    watches: Vec<(CycleIndex, QuiescenceWatch)>,
    crashes: u32,
    cycles: Cycles,
    pub(crate) was_up: bool,
    pub(crate) outcome: Option<Outcome>,
    asked_now: bool,
}

/// More queued messages than this and a sender skips one, so that a cycle does not grow without end.
const QUEUED_MAX: u64 = 5;

impl World {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut random = Random::new(scenario.seed);
        let edges = (0..).zip(&scenario.edges).map(|(edge, pair)| FlowEdge {
            edge: EdgeId(edge),
            source: NodeIndex(pair.0),
            target: NodeIndex(pair.1),
        });
        let graph = Graph::new(scenario.nodes, &edges.collect::<Vec<_>>()).expect("nodes exist");
        let nodes = (0..scenario.nodes).map(|node| {
            let has_edges = scenario.edges.iter().any(|it| it.0 == node || it.1 == node);
            let program = if has_edges {
                Program::UsesLibrary
            } else {
                Program::MayLackLibrary
            };
            Node {
                machine: NodeMachine::new(NodeSettings {
                    program,
                    restart: scenario.restart,
                    seed: random.draw(),
                    needs: Needs::Nothing,
                }),
                mailbox: VecDeque::from([NodeEvent::Placed]),
                process: None,
                spawned: BTreeSet::new(),
                messages: scenario.messages,
            }
        });
        let nodes = nodes.collect();
        let edge = |pair: &(u32, u32)| Edge {
            source: pair.0 as usize,
            target: pair.1 as usize,
            ..Edge::default()
        };
        World {
            now: Time::START,
            flow: FlowMachine::new(graph, scenario.on_failure),
            ledger: DrainLedger::new(random.draw()),
            mailbox: VecDeque::new(),
            nodes,
            edges: scenario.edges.iter().map(edge).collect(),
            backoffs: Vec::new(),
            watches: Vec::new(),
            crashes: scenario.crashes,
            cycles: scenario.cycles,
            was_up: false,
            outcome: None,
            asked_now: false,
            random,
        }
    }

    pub(crate) fn ask(&mut self, event: FlowEvent) {
        self.asked_now |= matches!(
            event,
            FlowEvent::Stop {
                mode: StopMode::Now,
                ..
            } | FlowEvent::Force { .. }
        );
        self.mailbox.push_back(ToDataflow::Flow(event));
    }

    /// A person wants something of one node.
    pub(crate) fn wish(&mut self, node: u32, event: NodeEvent) {
        self.tell(NodeIndex(node), event);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.flow.phase() == Phase::Ended
    }

    pub(crate) fn machines(&self) -> impl Iterator<Item = &NodeMachine> {
        self.nodes.iter().map(|node| &node.machine)
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.random.draw().is_multiple_of(one_in)
    }

    fn pick(&mut self, count: usize) -> usize {
        (self.random.draw() % count as u64) as usize
    }

    /// One thing happens somewhere.
    pub(crate) fn step(&mut self) {
        let count = self.nodes.len();
        match self.pick(10) {
            0..=2 => self.dataflow_step(),
            3..=5 => {
                let node = self.pick(count);
                self.node_step(node);
            }
            6..=7 => {
                let node = self.pick(count);
                self.process_step(node);
            }
            8 if !self.backoffs.is_empty() => {
                let place = self.pick(self.backoffs.len());
                let (node, epoch) = self.backoffs.swap_remove(place);
                let elapsed = NodeEvent::BackoffElapsed { epoch };
                self.nodes[node].mailbox.push_back(elapsed);
            }
            8 => self.watch_step(),
            _ => {
                self.now = self.now.after(Duration::from_millis(20));
                if self.ledger.wake_at().is_some_and(|at| at <= self.now) {
                    self.mailbox.push_back(ToDataflow::Drain(DrainEvent::Tick));
                }
            }
        }
    }

    fn dataflow_step(&mut self) {
        match self.mailbox.pop_front() {
            Some(ToDataflow::Flow(event)) => {
                let before = self.flow.clone();
                let commands = self.flow.handle(event.clone());
                self.obey_flow(commands);
                if self.chance(10) && !self.is_over() {
                    // The shell panicked before it kept the new state, and is told the event again.
                    self.flow = before;
                    let commands = self.flow.handle(event);
                    self.obey_flow(commands);
                }
            }
            Some(ToDataflow::Drain(event)) => {
                let before = self.ledger.clone();
                let commands = self.ledger.handle(self.now, event.clone());
                self.obey_drain(commands);
                if self.chance(10) {
                    self.ledger = before;
                    let commands = self.ledger.handle(self.now, event);
                    self.obey_drain(commands);
                }
            }
            None => {}
        }
    }

    fn node_step(&mut self, node: usize) {
        let Some(event) = self.nodes[node].mailbox.pop_front() else {
            return;
        };
        // As the runtime does: what is queued when its senders end is for another incarnation.
        let is_all_read = self.is_all_read(node);
        match event {
            NodeEvent::InputsClosed if !is_all_read => return,
            NodeEvent::Exited { .. } if is_all_read => {
                let machine = &mut self.nodes[node].machine;
                let commands = machine.handle(self.now, NodeEvent::InputsClosed);
                self.obey_node(node, commands);
            }
            _ => {}
        }
        let before = self.nodes[node].machine.clone();
        let commands = self.nodes[node].machine.handle(self.now, event.clone());
        self.obey_node(node, commands);
        if self.chance(10) {
            self.nodes[node].machine = before;
            let commands = self.nodes[node].machine.handle(self.now, event);
            self.obey_node(node, commands);
        }
    }

    /// Whether the senders of its edges have ended for good, and nothing is left of what they sent.
    fn is_all_read(&self, node: usize) -> bool {
        let mut inputs = self
            .edges
            .iter()
            .filter(|edge| edge.target == node)
            .peekable();
        inputs.peek().is_some() && inputs.all(|edge| edge.closed_at.is_some() && edge.queued() == 0)
    }

    fn obey_flow(&mut self, commands: Vec<FlowCommand>) {
        for command in commands {
            match command {
                FlowCommand::StartNode { node } => self.tell(node, NodeEvent::Start),
                FlowCommand::Up => self.was_up = true,
                FlowCommand::StopBegun => self.tell_all(&NodeEvent::StopBegun),
                FlowCommand::StopNode { node, mode } => {
                    let role = self.flow.graph().roles()[node.0 as usize];
                    assert!(
                        role == Role::Source || (mode == StopMode::Now && self.asked_now),
                        "{node:?} ({role:?}) was told to stop"
                    );
                    let upto = Vec::new();
                    self.tell(node, NodeEvent::Stop { mode, upto });
                }
                FlowCommand::StopCycle { cycle, members } => {
                    for edge in &self.flow.graph().cycles()[cycle.0].outer {
                        let edge = &self.edges[edge.0 as usize];
                        assert!(edge.closed_at.is_some(), "the cycle may still be sent to");
                    }
                    self.watches.retain(|(watched, _)| *watched != cycle);
                    for member in members {
                        let sent = |edge: &EdgeId| Sequence(self.edges[edge.0 as usize].sent);
                        let upto = member.inner.iter().map(|edge| (*edge, sent(edge)));
                        let upto = upto.collect();
                        let mode = StopMode::Graceful;
                        self.tell(member.node, NodeEvent::Stop { mode, upto });
                    }
                }
                FlowCommand::WatchCycle { cycle } => {
                    self.watches.push((cycle, QuiescenceWatch::new()));
                }
                FlowCommand::InputsClosed { node } => self.tell(node, NodeEvent::InputsClosed),
                FlowCommand::OutputsDrained { node } => {
                    for (edge, id) in self.edges.iter().zip((0..).map(EdgeId)) {
                        let is_its_own = edge.source == node.0 as usize;
                        assert!(!is_its_own || self.ledger.is_drained(id));
                    }
                    self.tell(node, NodeEvent::OutputsDrained);
                }
                FlowCommand::ForceAll { by } => self.tell_all(&NodeEvent::Force { by }),
                FlowCommand::Ended { outcome, .. } => {
                    assert!(self.machines().all(|machine| machine.state().is_final()));
                    self.outcome = Some(outcome);
                }
            }
        }
    }

    fn obey_drain(&mut self, commands: Vec<DrainCommand>) {
        for command in commands {
            match command {
                DrainCommand::SendRequest { edge, epoch, .. } => {
                    let ack = self.ack(edge, epoch);
                    self.mailbox.extend(ack.map(ToDataflow::Drain));
                }
                DrainCommand::WakeAt(_) => {}
                DrainCommand::Drained { edge } => {
                    let drained = FlowEvent::EdgeDrained { edge };
                    self.mailbox.push_back(ToDataflow::Flow(drained));
                }
            }
        }
    }

    /// What a receiver's library answers, if it is there and the answer is not lost.
    fn ack(&mut self, id: EdgeId, epoch: Epoch) -> Option<DrainEvent> {
        if self.chance(4) {
            return None;
        }
        let edge = &self.edges[id.0 as usize];
        let process = self.nodes[edge.target].process.as_ref()?;
        (process.epoch == epoch && process.stage >= Stage::Connected).then(|| DrainEvent::Ack {
            edge: id,
            epoch,
            released_upto: Sequence(edge.taken + edge.dropped),
            queued: edge.queued(),
            held: Vec::new(),
            busy_for: Duration::ZERO,
        })
    }

    fn obey_node(&mut self, node: usize, commands: Vec<NodeCommand>) {
        for command in commands {
            match command {
                NodeCommand::Spawn { epoch } => {
                    if self.nodes[node].spawned.insert(epoch) {
                        self.spawn(node, epoch);
                    }
                }
                NodeCommand::SendStop { epoch, mode, upto } => {
                    self.send_stop(node, epoch, mode, upto)
                }
                NodeCommand::SendPause { epoch } => {
                    let nothing = |id: usize| (EdgeId(id as u32), Sequence::NONE);
                    let inputs = (0..self.edges.len()).filter(|id| self.edges[*id].target == node);
                    let upto = inputs.map(nothing).collect();
                    self.send_stop(node, epoch, StopMode::Graceful, upto);
                }
                NodeCommand::Terminate { epoch } => self.signal(node, epoch, 15),
                NodeCommand::Kill { epoch } => self.signal(node, epoch, 9),
                NodeCommand::ArmBackoff { epoch, .. } => self.backoffs.push((node, epoch)),
                NodeCommand::Repair { epoch } => {
                    assert!(
                        self.nodes[node].process.is_none()
                            || self.nodes[node].machine.epoch() > epoch
                    );
                    self.died(node, epoch, false);
                }
                NodeCommand::MarkReady => {
                    for edge in self.edges.iter_mut().filter(|edge| edge.target == node) {
                        edge.receiver_ready = true;
                    }
                }
                NodeCommand::CloseInputs => {
                    for edge in self.edges.iter_mut().filter(|edge| edge.target == node) {
                        edge.receiver_gone = true;
                        edge.dropped += edge.queued();
                    }
                    let epoch = self.nodes[node].machine.epoch();
                    self.died(node, epoch, true);
                }
                NodeCommand::CloseOutputs => self.close_outputs(node),
                NodeCommand::Report { to, end, .. } => {
                    let node = NodeIndex(node as u32);
                    let state = FlowEvent::NodeState {
                        node,
                        state: to,
                        end,
                    };
                    self.mailbox.push_back(ToDataflow::Flow(state));
                }
                NodeCommand::FailUp { why } => {
                    let node = NodeIndex(node as u32);
                    let failed = FlowEvent::UpFailed { node, why };
                    self.mailbox.push_back(ToDataflow::Flow(failed));
                }
            }
        }
    }

    fn spawn(&mut self, node: usize, epoch: Epoch) {
        let it = &mut self.nodes[node];
        it.process = Some(Process {
            epoch,
            stage: Stage::Spawned,
            stop: None,
        });
        it.mailbox.push_back(NodeEvent::Spawned { epoch, pid: 1 });
    }

    fn send_stop(
        &mut self,
        node: usize,
        epoch: Epoch,
        mode: StopMode,
        upto: Vec<(EdgeId, Sequence)>,
    ) {
        if let Some(process) = &mut self.nodes[node].process
            && process.epoch == epoch
            && process.stop.as_ref().is_none_or(|(known, _)| *known < mode)
        {
            process.stop = Some((mode, upto));
        }
    }

    fn signal(&mut self, node: usize, epoch: Epoch, signal: i32) {
        if let Some(process) = &self.nodes[node].process
            && process.epoch == epoch
        {
            self.exit(node, Exit::Signal(signal));
        }
    }

    fn exit(&mut self, node: usize, exit: Exit) {
        let process = self.nodes[node].process.take().expect("lives");
        let epoch = process.epoch;
        self.nodes[node]
            .mailbox
            .push_back(NodeEvent::Exited { epoch, exit });
    }

    fn died(&mut self, node: usize, epoch: Epoch, is_final: bool) {
        for (edge, id) in self.edges.iter().zip((0..).map(EdgeId)) {
            if edge.target == node {
                let afterwards = if is_final {
                    Afterwards::Gone
                } else {
                    Afterwards::Restart {
                        queued: edge.queued(),
                    }
                };
                let edge = id;
                let died = DrainEvent::ReceiverDied {
                    edge,
                    epoch,
                    afterwards,
                };
                self.mailbox.push_back(ToDataflow::Drain(died));
            }
        }
    }

    fn close_outputs(&mut self, node: usize) {
        for place in 0..self.edges.len() {
            if self.edges[place].source != node {
                continue;
            }
            let edge = &mut self.edges[place];
            edge.closed_at = Some(edge.sent);
            let target = &self.nodes[edge.target].machine;
            let epoch = target.epoch();
            let receiver = if edge.receiver_gone {
                Receiver::Gone
            } else if target.has_process() {
                Receiver::Alive { epoch }
            } else {
                Receiver::Restarting {
                    epoch,
                    queued: edge.queued(),
                }
            };
            let upto = Sequence(edge.sent);
            let edge = EdgeId(place as u32);
            self.mailbox
                .push_back(ToDataflow::Flow(FlowEvent::EdgeClosed { edge }));
            self.mailbox
                .push_back(ToDataflow::Drain(DrainEvent::CloseEdge {
                    edge,
                    upto,
                    receiver,
                }));
        }
    }

    fn tell(&mut self, node: NodeIndex, event: NodeEvent) {
        self.nodes[node.0 as usize].mailbox.push_back(event);
    }

    fn tell_all(&mut self, event: &NodeEvent) {
        for node in &mut self.nodes {
            node.mailbox.push_back(event.clone());
        }
    }

    fn watch_step(&mut self) {
        for place in 0..self.watches.len() {
            let cycle = self.watches[place].0;
            let members = &self.flow.graph().cycles()[cycle.0].members;
            let mut reading = CycleReading::default();
            for member in members {
                let node = &self.nodes[member.node.0 as usize];
                if node.machine.end().is_some() {
                    continue;
                }
                let is_ready = node
                    .process
                    .as_ref()
                    .is_some_and(|process| process.stage == Stage::Ready);
                reading.members.push(MemberReading {
                    node: member.node,
                    activity: if is_ready {
                        Activity::Idle
                    } else {
                        Activity::Busy
                    },
                });
            }
            for (edge, id) in self.edges.iter().zip((0..).map(EdgeId)) {
                if members
                    .iter()
                    .any(|member| member.node.0 as usize == edge.target)
                {
                    reading.edges.push(EdgePosition {
                        edge: id,
                        sent: Sequence(edge.sent),
                        head: edge.taken,
                        queued: edge.queued(),
                    });
                }
            }
            if self.watches[place].1.observe(reading) == Verdict::Quiescent {
                let quiescent = FlowEvent::Quiescent { cycle };
                self.mailbox.push_back(ToDataflow::Flow(quiescent));
            }
        }
    }
}
