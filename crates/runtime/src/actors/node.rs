//! `NodeActor`: the life of one node, its process and its restarts.

use dataflow_core::lifecycle::{Exit, Kill, NodeCommand, NodeEvent, Wish};
use dataflow_core::stats::Transition;
use dataflow_ids::{EdgeId, Epoch, Forcer, NodeIndex, Sequence, StopMode};

use super::ActorName;
use super::dataflow::DataflowMessage;
use crate::root::{Aim, ProcessFact, RootRef};
use crate::supervision::{Behaviour, Reply};

/// What a node's actor may be told.
#[derive(Debug, Clone)]
pub(crate) enum NodeMessage {
    /// What the node needs is reserved.
    Placed,
    /// No peer has what the node needs.
    NoPlace { why: String },
    /// Start it, as soon as its models are there.
    Start,
    /// Its models are there.
    ModelsReady,
    /// One of its models cannot be had.
    ModelsFailed { why: String },
    /// Its process runs.
    Spawned { epoch: Epoch, pid: u32 },
    /// Its process could not be started.
    SpawnFailed { epoch: Epoch, cause: String },
    /// Its library was welcomed.
    Connected { epoch: Epoch },
    /// Its library says that it is ready.
    Ready { epoch: Epoch },
    /// Its library says that messages flow.
    Running { epoch: Epoch },
    /// Its process was reaped.
    Exited { epoch: Epoch, exit: Exit },
    /// Its user's code has seen the stop.
    StopDelivered { epoch: Epoch },
    /// A backoff is over.
    BackoffElapsed { epoch: Epoch },
    /// The dataflow's stop has begun.
    StopBegun,
    /// Stop it.
    Stop {
        mode: StopMode,
        upto: Vec<(EdgeId, Sequence)>,
    },
    /// Every sender of its edges has ended for good. It concerns the node only once nothing is left to read.
    InputsClosed,
    /// Nobody owes a token of its outputs.
    OutputsDrained,
    /// Kill it, on a person's word.
    Force { by: Forcer },
    /// A person wants it to stop and its outputs to stay open. Who waits for that hears what to wait for.
    Park {
        kill: Option<Kill>,
        heard: Option<Reply<Aim>>,
    },
    /// A person wants it started again. Who waits for that hears what to wait for.
    Restart {
        kill: Option<Kill>,
        heard: Option<Reply<Aim>>,
    },
    /// A message was dead-lettered, perhaps one about its process: look into the table.
    Adopt,
}

crate::message_kinds!(NodeMessage {
    Placed,
    NoPlace,
    Start,
    ModelsReady,
    ModelsFailed,
    Spawned,
    SpawnFailed,
    Connected,
    Ready,
    Running,
    Exited,
    StopDelivered,
    BackoffElapsed,
    StopBegun,
    Stop,
    InputsClosed,
    OutputsDrained,
    Force,
    Park,
    Restart,
    Adopt,
});

impl NodeMessage {
    /// What it means to the machine; `Adopt` has to be looked up.
    fn event(&self) -> Option<NodeEvent> {
        Some(match *self {
            NodeMessage::Placed => NodeEvent::Placed,
            NodeMessage::NoPlace { ref why } => NodeEvent::NoPlace { why: why.clone() },
            NodeMessage::Start => NodeEvent::Start,
            NodeMessage::ModelsReady => NodeEvent::ModelsReady,
            NodeMessage::ModelsFailed { ref why } => NodeEvent::ModelsFailed { why: why.clone() },
            NodeMessage::Spawned { epoch, pid } => NodeEvent::Spawned { epoch, pid },
            NodeMessage::SpawnFailed { epoch, ref cause } => NodeEvent::SpawnFailed {
                epoch,
                cause: cause.clone(),
            },
            NodeMessage::Connected { epoch } => NodeEvent::Connected { epoch },
            NodeMessage::Ready { epoch } => NodeEvent::Ready { epoch },
            NodeMessage::Running { epoch } => NodeEvent::Running { epoch },
            NodeMessage::Exited { epoch, exit } => NodeEvent::Exited { epoch, exit },
            NodeMessage::StopDelivered { epoch } => NodeEvent::StopDelivered { epoch },
            NodeMessage::BackoffElapsed { epoch } => NodeEvent::BackoffElapsed { epoch },
            NodeMessage::StopBegun => NodeEvent::StopBegun,
            NodeMessage::Stop { mode, ref upto } => NodeEvent::Stop {
                mode,
                upto: upto.clone(),
            },
            NodeMessage::InputsClosed => NodeEvent::InputsClosed,
            NodeMessage::OutputsDrained => NodeEvent::OutputsDrained,
            NodeMessage::Force { by } => NodeEvent::Force { by },
            NodeMessage::Park { kill, .. } => NodeEvent::Park { kill },
            NodeMessage::Restart { kill, .. } => NodeEvent::Restart { kill },
            NodeMessage::Adopt => return None,
        })
    }

    /// The wish of a person, and where to say that it was heard, if somebody waits for that.
    fn wish(&self) -> Option<(Wish, &Reply<Aim>)> {
        match self {
            NodeMessage::Park { heard, .. } => Some((Wish::Park, heard.as_ref()?)),
            NodeMessage::Restart { heard, .. } => Some((Wish::Restart, heard.as_ref()?)),
            _ => None,
        }
    }
}

/// The actor of one node. It owns nothing: the process, the edges and what it decided are the root's.
pub(crate) struct NodeActor {
    root: RootRef,
    node: NodeIndex,
}

impl NodeActor {
    pub(crate) fn new(root: RootRef, node: NodeIndex) -> NodeActor {
        NodeActor { root, node }
    }

    fn take(&self, event: NodeEvent) {
        let now = self.root.env().now();
        let committed = self.root.memory().node(self.node);
        committed.decide(|machine| machine.handle(now, event));
        self.perform();
    }

    /// Takes an event; before the end of a process, that nothing more will come for the node, if that is so.
    fn take_after_its_inputs(&self, event: NodeEvent) {
        if matches!(event, NodeEvent::Exited { .. }) && self.root.is_all_read(self.node) {
            self.take(NodeEvent::InputsClosed);
        }
        self.take(event);
    }

    /// What the table says about the process, whatever was heard of it.
    fn adopted(&self) -> Option<NodeEvent> {
        let (epoch, fact) = self.root.process_fact(self.node)?;
        Some(match fact {
            ProcessFact::Spawned { pid } => NodeEvent::Spawned { epoch, pid },
            ProcessFact::Connected => NodeEvent::Connected { epoch },
            ProcessFact::SpawnFailed { cause } => NodeEvent::SpawnFailed { epoch, cause },
            ProcessFact::Exited { exit } => NodeEvent::Exited { epoch, exit },
        })
    }

    fn perform(&self) {
        let committed = self.root.memory().node(self.node);
        if committed.perform(|command| self.perform_one(command)) > 0 {
            self.root.cannot_go_on(ActorName::Node(self.node));
        }
    }

    fn perform_one(&self, command: NodeCommand) {
        let (root, node) = (&self.root, self.node);
        let lead = &root.handles().dataflow;
        match command {
            NodeCommand::Spawn { epoch } => root.spawn_node(node, epoch),
            NodeCommand::SendStop { epoch, mode, upto } => root.send_stop(node, epoch, mode, upto),
            NodeCommand::SendPause { epoch } => root.send_pause(node, epoch),
            NodeCommand::Terminate { epoch } => root.terminate(node, epoch),
            NodeCommand::Kill { epoch } => root.kill(node, epoch),
            NodeCommand::ArmBackoff { epoch, after } => {
                let handle = root.handles().node(node).clone();
                root.later(after, move |_| {
                    handle.fact(NodeMessage::BackoffElapsed { epoch });
                });
            }
            NodeCommand::Repair { epoch } => {
                root.repair(node);
                lead.fact(DataflowMessage::ReceiverDied { node, epoch });
            }
            NodeCommand::MarkReady => root.mark_ready(node),
            NodeCommand::CloseInputs => {
                root.close_inputs(node);
                let epoch = root.memory().node(node).read().epoch();
                lead.fact(DataflowMessage::ReceiverDied { node, epoch });
            }
            NodeCommand::CloseOutputs => {
                for (edge, upto) in root.close_outputs(node) {
                    lead.fact(DataflowMessage::EdgeClosed { edge, upto });
                }
            }
            NodeCommand::Report {
                from,
                to,
                epoch,
                sequence,
                end,
                because,
            } => {
                let change = Transition {
                    node,
                    to,
                    epoch,
                    sequence,
                    at: root.env().now(),
                };
                root.node_changed(from, change, end, because);
            }
            NodeCommand::FailUp { why } => lead.fact(DataflowMessage::UpFailed { node, why }),
        }
    }
}

impl Behaviour for NodeActor {
    type Message = NodeMessage;

    /// Performs what an earlier incarnation did not get to. What it was told and did not handle is still in the
    /// mailbox, so there is nothing else to catch up with.
    fn begin(&mut self) {
        self.perform();
    }

    fn handle(&mut self, message: &NodeMessage) {
        match message {
            // What is queued is kept for the next incarnation, so there may have to be one. Whether it has
            // been read is looked at again when the process ends.
            NodeMessage::InputsClosed if !self.root.is_all_read(self.node) => {}
            message => {
                if let Some(event) = message.event().or_else(|| self.adopted()) {
                    self.take_after_its_inputs(event);
                }
                if let Some((wish, heard)) = message.wish() {
                    heard.send(self.root.aim(self.node, wish));
                }
            }
        }
    }
}
