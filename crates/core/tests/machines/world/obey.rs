//! How the world obeys the commands of the machines.

use std::time::Duration;

use dataflow_core::drain::{Afterwards, DrainCommand, DrainEvent, Receiver};
use dataflow_core::flow::{FlowCommand, FlowEvent, Role};
use dataflow_core::lifecycle::{Exit, NodeCommand, NodeEvent};
use dataflow_core::quiesce::QuiescenceWatch;
use dataflow_ids::{EdgeId, Epoch, NodeIndex, Sequence, StopMode};

use super::{Process, Stage, ToDataflow, World};

impl World {
    pub(super) fn obey_flow(&mut self, commands: Vec<FlowCommand>) {
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

    pub(super) fn obey_drain(&mut self, commands: Vec<DrainCommand>) {
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

    pub(super) fn obey_node(&mut self, node: usize, commands: Vec<NodeCommand>) {
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

    pub(super) fn exit(&mut self, node: usize, exit: Exit) {
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
}
