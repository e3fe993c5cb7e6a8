//! What the actor does: one command after the other.

use std::time::Duration;

use dataflow_core::broken::{Rule, is_broken};
use dataflow_core::drain::DrainCommand;
use dataflow_core::flow::{CycleMember, FlowCommand};
use dataflow_core::models::Standing;
use dataflow_ids::{NodeIndex, Sequence, StopMode};

use super::{
    ASKED_AHEAD, CYCLE_LOOK, DataflowActor, DataflowCommand, DataflowMessage, WAITING_AGAIN,
    WAITING_FIRST,
};
use crate::actors::{NodeMessage, SchedulerMessage};
use crate::root::Purpose;

impl DataflowActor {
    /// Performs one command. Each may be performed twice.
    pub(super) fn perform_one(&self, command: DataflowCommand) {
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
