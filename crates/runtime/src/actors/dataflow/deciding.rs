//! One decision of the actor: what the machines say to one message, and what follows.

use std::rc::Rc;

use dataflow_core::Time;
use dataflow_core::drain::{Afterwards, DrainCommand, DrainEvent, Receiver};
use dataflow_core::flow::{CycleIndex, FlowCommand, FlowEvent};
use dataflow_core::quiesce::Verdict;
use dataflow_ids::{EdgeId, Forcer, Sequence};

use super::{DataflowCommand, DataflowMessage, Lead};
use crate::root::RootRef;

/// One decision: the machines, and what follows.
pub(super) struct Deciding<'a> {
    pub(super) root: &'a RootRef,
    pub(super) lead: &'a mut Lead,
    pub(super) now: Time,
    pub(super) commands: Vec<DataflowCommand>,
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

    /// Takes one message.
    pub(super) fn take(&mut self, message: &DataflowMessage) {
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
