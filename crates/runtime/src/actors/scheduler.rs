//! `SchedulerActor`: which peer a node runs on, and what is promised there.

use dataflow_core::placement::{Ledger, Requirement};
use dataflow_ids::NodeIndex;

use super::ActorName;
use super::dataflow::DataflowMessage;
use crate::root::RootRef;
use crate::supervision::Behaviour;

/// What the scheduler may be told.
#[derive(Debug, Clone)]
pub(crate) enum SchedulerMessage {
    /// Reserve what all these nodes require, or nothing. The answer is `DataflowMessage::Placed`.
    Place {
        nodes: Vec<(NodeIndex, Requirement)>,
    },
    /// Give back what was reserved for a node.
    Release { node: NodeIndex },
}

crate::message_kinds!(SchedulerMessage { Place, Release });

/// What the scheduler has to do.
#[derive(Debug, Clone)]
pub(crate) enum SchedulerCommand {
    /// Say how the placement went.
    Answer(Result<(), (NodeIndex, String)>),
}

/// The actor that owns the ledger of reserved capabilities. One peer for now: this machine.
pub(crate) struct SchedulerActor {
    root: RootRef,
}

impl SchedulerActor {
    pub(crate) fn new(root: RootRef) -> SchedulerActor {
        SchedulerActor { root }
    }

    fn perform(&self) {
        let committed = &self.root.memory().scheduler;
        let given_up = committed.perform(|command| match command {
            SchedulerCommand::Answer(result) => {
                let lead = &self.root.handles().dataflow;
                lead.fact(DataflowMessage::Placed { result });
            }
        });
        if given_up > 0 {
            self.root.cannot_go_on(ActorName::Scheduler);
        }
    }
}

impl Behaviour for SchedulerActor {
    type Message = SchedulerMessage;

    fn begin(&mut self) {
        self.perform();
    }

    fn handle(&mut self, message: &SchedulerMessage) {
        self.root.memory().scheduler.decide(|ledger| match message {
            SchedulerMessage::Place { nodes } => {
                let result = place(ledger, nodes);
                vec![SchedulerCommand::Answer(result)]
            }
            SchedulerMessage::Release { node } => {
                ledger.release(*node);
                Vec::new()
            }
        });
        self.perform();
    }
}

/// All, or nothing and the first node that has no place.
fn place(
    ledger: &mut Ledger,
    nodes: &[(NodeIndex, Requirement)],
) -> Result<(), (NodeIndex, String)> {
    for (place, (node, requirement)) in nodes.iter().enumerate() {
        if let Err(infeasible) = ledger.reserve(*node, requirement.clone()) {
            for (placed, _) in &nodes[..place] {
                ledger.release(*placed);
            }
            return Err((*node, infeasible.to_string()));
        }
    }
    Ok(())
}
