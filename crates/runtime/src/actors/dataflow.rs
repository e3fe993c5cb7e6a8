//! `DataflowActor`: the run, the order of its start, its stop and its drain.

mod deciding;
mod performing;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::drain::{DrainCommand, DrainEvent, DrainLedger};
use dataflow_core::flow::{CycleIndex, FlowCommand, FlowMachine};
use dataflow_core::models::Needs;
use dataflow_core::quiesce::QuiescenceWatch;
use dataflow_ids::{
    EdgeId, End, Epoch, Forcer, LifeCycle, ModelIndex, NodeIndex, Sequence, StopMode,
};

use self::deciding::Deciding;
use super::ActorName;
use crate::root::RootRef;
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
