//! The machine that starts a dataflow, stops it in order, and knows when and how it has ended.

use std::sync::Arc;

use dataflow_ids::{EdgeId, End, Forcer, LifeCycle, NodeIndex, OnFailure, StopMode};

use super::events::{Because, FlowCommand, FlowEvent, Phase};
use super::graph::{CycleIndex, CycleMember, Graph, Role, place};
use crate::broken::{Rule, is_broken};
use crate::outcome::Outcome;

/// Starts a dataflow, stops it in order, and knows when it has ended.
///
/// In a graceful stop only sources are told to stop, and cycles as one when nothing comes into them from
/// outside any more. Every other node ends because its inputs close, after it has seen all that was sent to it.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowMachine {
    /// Shared by all copies: it never changes.
    graph: Arc<Graph>,
    on_failure: OnFailure,
    nodes: Vec<Node>,
    /// In the order of their ids, so that a copy is cheap.
    edges: Vec<(EdgeId, Edge)>,
    cycles: Vec<CycleState>,
    phase: Phase,
    is_started: bool,
    /// How it is being stopped, once it is.
    stopping: Option<StopMode>,
    forced: Option<Forcer>,
    because: Because,
    /// Nodes that have not been up yet.
    not_up: usize,
    /// Nodes that are not final yet.
    not_final: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Node {
    state: LifeCycle,
    end: Option<End>,
    was_up: bool,
    /// Edges to it whose senders have not ended for good.
    open_inputs: usize,
    /// Edges from it of which tokens may be owed.
    undrained_outputs: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Edge {
    Open,
    Closed,
    Drained,
}

#[derive(Debug, Clone, PartialEq)]
struct CycleState {
    /// Edges from outside whose senders have not ended for good.
    open_outer: usize,
    is_stopped: bool,
}

impl FlowMachine {
    /// The machine of a dataflow whose nodes are all declared.
    #[must_use]
    pub fn new(graph: Graph, on_failure: OnFailure) -> Self {
        let mut nodes = vec![
            Node {
                state: LifeCycle::Declared,
                end: None,
                was_up: false,
                open_inputs: 0,
                undrained_outputs: 0,
            };
            graph.roles.len()
        ];
        for edge in graph.edges.values() {
            nodes[place(edge.target)].open_inputs += 1;
            nodes[place(edge.source)].undrained_outputs += 1;
        }
        FlowMachine {
            on_failure,
            edges: graph.edges.keys().map(|edge| (*edge, Edge::Open)).collect(),
            cycles: graph
                .cycles
                .iter()
                .map(|cycle| CycleState {
                    open_outer: cycle.outer.len(),
                    is_stopped: false,
                })
                .collect(),
            phase: Phase::Starting,
            is_started: false,
            stopping: None,
            forced: None,
            because: Because::AllEnded,
            not_up: nodes.len(),
            not_final: nodes.len(),
            nodes,
            graph: Arc::new(graph),
        }
    }

    /// The graph it was made of.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Where the dataflow stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// How it is being stopped, once it is.
    #[must_use]
    pub fn stopping(&self) -> Option<StopMode> {
        self.stopping
    }

    /// What has ended it or is about to.
    #[must_use]
    pub fn because(&self) -> &Because {
        &self.because
    }

    /// Who wanted it killed, if anybody did.
    #[must_use]
    pub fn forced(&self) -> Option<Forcer> {
        self.forced
    }

    /// What a node that has not ended was told to make it stop, if it was: to tell it again when it may have missed
    /// that.
    #[must_use]
    pub fn told_to_stop(&self, node: NodeIndex) -> Option<FlowCommand> {
        let role = *self.graph.roles.get(place(node))?;
        if self.nodes[place(node)].end.is_some() {
            return None;
        }
        match (self.stopping, role) {
            (Some(mode @ StopMode::Now), _) | (Some(mode), Role::Source) => {
                Some(FlowCommand::StopNode { node, mode })
            }
            (_, Role::Member(cycle)) if self.cycles[cycle.0].is_stopped => {
                let members = self.graph.cycles[cycle.0].members.iter();
                Some(FlowCommand::StopCycle {
                    cycle,
                    members: members.filter(|it| it.node == node).cloned().collect(),
                })
            }
            _ => None,
        }
    }

    /// Takes one event; gives what must be done, in order.
    pub fn handle(&mut self, event: FlowEvent) -> Vec<FlowCommand> {
        let mut commands = Vec::new();
        if self.phase == Phase::Ended {
            return commands;
        }
        match event {
            FlowEvent::Start => self.start(&mut commands),
            FlowEvent::NodeState { node, state, end } => {
                self.node_state(node, state, end, &mut commands);
            }
            FlowEvent::UpFailed { node, why } => {
                let because = Because::UpFailed { node, why };
                self.stop(StopMode::Graceful, because, &mut commands);
            }
            FlowEvent::EdgeClosed { edge } => self.edge_closed(edge, &mut commands),
            FlowEvent::EdgeDrained { edge } => {
                self.edge_closed(edge, &mut commands);
                self.edge_drained(edge, &mut commands);
            }
            FlowEvent::Quiescent { cycle } => {
                if self
                    .cycles
                    .get(cycle.0)
                    .is_some_and(|it| it.open_outer == 0)
                {
                    self.stop_cycle(cycle, &mut commands);
                }
            }
            FlowEvent::Stop { mode, by } => {
                self.stop(mode, Because::Asked { by }, &mut commands);
            }
            FlowEvent::Force { by } => self.force(by, &mut commands),
        }
        self.end_if_all_have(&mut commands);
        commands
    }

    fn start(&mut self, commands: &mut Vec<FlowCommand>) {
        if self.is_started || self.stopping.is_some() {
            return;
        }
        self.is_started = true;
        let order = self.graph.start_order.iter();
        commands.extend(order.map(|node| FlowCommand::StartNode { node: *node }));
    }

    fn node_state(
        &mut self,
        index: NodeIndex,
        state: LifeCycle,
        end: Option<End>,
        commands: &mut Vec<FlowCommand>,
    ) {
        let Some(node) = self.nodes.get_mut(place(index)) else {
            return;
        };
        // A fact that was told late: an end is the last word.
        if node.state.is_final() || (node.end.is_some() && end.is_none()) {
            return;
        }
        let was_ended = node.end.is_some();
        let was_draining = node.state == LifeCycle::Draining;
        node.state = state;
        if end.is_some() {
            node.end = end;
        }
        // Somebody who is parked is where a person wants him.
        let is_up = matches!(
            state,
            LifeCycle::Ready | LifeCycle::Running | LifeCycle::Parked
        );
        if is_up && !node.was_up {
            node.was_up = true;
            self.not_up -= 1;
        }
        if state.is_final() {
            self.not_final -= 1;
        }
        if state == LifeCycle::Draining && !was_draining && node.undrained_outputs == 0 {
            commands.push(FlowCommand::OutputsDrained { node: index });
        }
        if !was_ended
            && self.on_failure == OnFailure::Stop
            && self.stopping.is_none()
            && let Some(End::Crashed { how }) = &node.end
        {
            let because = Because::NodeFailed {
                node: index,
                how: how.clone(),
            };
            self.stop(StopMode::Graceful, because, commands);
        }
        if self.not_up == 0 && self.phase == Phase::Starting {
            self.phase = Phase::Running;
            commands.push(FlowCommand::Up);
        }
    }

    /// Moves an edge from one state to the next; says whether it was there.
    fn step(&mut self, edge: EdgeId, from: Edge, to: Edge) -> bool {
        let Ok(place) = self.edges.binary_search_by_key(&edge, |(id, _)| *id) else {
            return false;
        };
        let stands = &mut self.edges[place].1;
        let is_there = *stands == from;
        if is_there {
            *stands = to;
        }
        is_there
    }

    fn edge_closed(&mut self, edge: EdgeId, commands: &mut Vec<FlowCommand>) {
        if !self.step(edge, Edge::Open, Edge::Closed) {
            return;
        }
        let target = self.graph.edges[&edge].target;
        let node = &mut self.nodes[place(target)];
        node.open_inputs -= 1;
        if node.open_inputs == 0 {
            commands.push(FlowCommand::InputsClosed { node: target });
        }
        if let Role::Member(cycle) = self.graph.roles[place(target)]
            && self.graph.cycles[cycle.0].outer.contains(&edge)
        {
            let state = &mut self.cycles[cycle.0];
            state.open_outer -= 1;
            if state.open_outer == 0 {
                match self.stopping {
                    None => commands.push(FlowCommand::WatchCycle { cycle }),
                    Some(_) => self.stop_cycle(cycle, commands),
                }
            }
        }
    }

    fn edge_drained(&mut self, edge: EdgeId, commands: &mut Vec<FlowCommand>) {
        if !self.step(edge, Edge::Closed, Edge::Drained) {
            return;
        }
        let source = self.graph.edges[&edge].source;
        let node = &mut self.nodes[place(source)];
        node.undrained_outputs -= 1;
        if node.undrained_outputs == 0 && node.state == LifeCycle::Draining {
            commands.push(FlowCommand::OutputsDrained { node: source });
        }
    }

    fn stop_cycle(&mut self, cycle: CycleIndex, commands: &mut Vec<FlowCommand>) {
        let state = &mut self.cycles[cycle.0];
        if state.is_stopped {
            return;
        }
        state.is_stopped = true;
        let members: Vec<CycleMember> = self.graph.cycles[cycle.0]
            .members
            .iter()
            .filter(|member| self.nodes[place(member.node)].end.is_none())
            .cloned()
            .collect();
        if !members.is_empty() {
            commands.push(FlowCommand::StopCycle { cycle, members });
        }
    }

    /// Begins a stop, or makes it stronger.
    fn stop(&mut self, mode: StopMode, because: Because, commands: &mut Vec<FlowCommand>) {
        if self.stopping.is_some_and(|known| known >= mode) {
            return;
        }
        if self.stopping.is_none() {
            self.phase = Phase::Stopping;
            self.because = because;
            commands.push(FlowCommand::StopBegun);
        }
        self.stopping = Some(mode);
        let nodes = (0..).map(NodeIndex).zip(&self.nodes);
        commands.extend(
            nodes
                .zip(&self.graph.roles)
                .filter(|((_, node), role)| {
                    let is_told = mode == StopMode::Now || **role == Role::Source;
                    node.end.is_none() && (is_told || is_broken(Rule::EverybodyIsTold))
                })
                .map(|((node, _), _)| FlowCommand::StopNode { node, mode }),
        );
        if mode == StopMode::Graceful {
            for cycle in 0..self.cycles.len() {
                if self.cycles[cycle].open_outer == 0 {
                    self.stop_cycle(CycleIndex(cycle), commands);
                }
            }
        } else {
            self.forget_cycles();
        }
    }

    /// Every member has been told to stop for itself.
    fn forget_cycles(&mut self) {
        for cycle in &mut self.cycles {
            cycle.is_stopped = true;
        }
    }

    fn force(&mut self, by: Forcer, commands: &mut Vec<FlowCommand>) {
        if self.forced.is_some() {
            return;
        }
        self.forced = Some(by);
        if self.stopping.is_none() {
            self.phase = Phase::Stopping;
            self.because = Because::Forced { by };
            commands.push(FlowCommand::StopBegun);
        }
        self.stopping = Some(StopMode::Now);
        self.forget_cycles();
        commands.push(FlowCommand::ForceAll { by });
    }

    fn end_if_all_have(&mut self, commands: &mut Vec<FlowCommand>) {
        let is_begun = self.is_started || self.stopping.is_some();
        if self.not_final == 0 && is_begun {
            self.phase = Phase::Ended;
            let ends = Outcome::of(self.nodes.iter().filter_map(|node| node.end.as_ref()));
            // A node that never came up may have ended well: it was told to stop before it was started.
            let at_least = match self.because {
                Because::UpFailed { .. } => Outcome::Failed,
                _ => Outcome::Drained,
            };
            commands.push(FlowCommand::Ended {
                outcome: ends.max(at_least),
                because: self.because.clone(),
            });
        }
    }
}
