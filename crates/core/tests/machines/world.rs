//! A small simulated runtime: processes that live and die, edges that count, actors with mailboxes. It obeys
//! the commands of the real machines, in an order that a seed picks, and sometimes performs them twice.

mod obey;
mod process;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::drain::{DrainEvent, DrainLedger};
use dataflow_core::flow::{CycleIndex, FlowEdge, FlowEvent, FlowMachine, Graph, Phase};
use dataflow_core::lifecycle::{Needs, NodeEvent, NodeMachine, NodeSettings, Program};
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
