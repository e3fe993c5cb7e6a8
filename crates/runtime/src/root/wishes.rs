//! What a person wants of one node while the dataflow goes on: told to its actor, and followed until it is so.

use dataflow_core::lifecycle::{Kill, Refusal, Wish};
use dataflow_ids::{Epoch, Forcer, LifeCycle, NodeId, NodeIndex};
use dataflow_wire::client::NodeRefusal;
use dataflow_wire::status::{NodeStatus, Waiting, WaitingFor};

use super::{Root, RootRef};
use crate::actors::NodeMessage;
use crate::supervision::Reply;

/// What is awaited once the actor of a node has heard a wish.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aim {
    wish: Wish,
    /// The incarnation that is to be parked, or to be ready.
    epoch: Epoch,
}

impl Root {
    /// The node of that name.
    pub(super) fn node_named(&self, name: &NodeId) -> Option<NodeIndex> {
        let mut nodes = self.dataflow.nodes.iter();
        Some(nodes.find(|node| node.id == *name)?.index)
    }

    /// Why a wish would change nothing.
    pub(super) fn refuses(&self, node: NodeIndex, wish: Wish) -> Option<NodeRefusal> {
        // Its own machine may not have heard yet that the dataflow stops.
        let is_stopping = self.memory.lead.read().flow.stopping().is_some();
        let machine = self.memory.node(node).read();
        if let Some(end) = machine.end() {
            return Some(NodeRefusal::Ended { end: end.clone() });
        }
        match machine.refuses(wish) {
            Some(Refusal::NotStarted) if !is_stopping => Some(NodeRefusal::NotStarted),
            Some(_) => Some(NodeRefusal::Stopping),
            None => is_stopping.then_some(NodeRefusal::Stopping),
        }
    }

    /// What a node's actor is told, and where it says that it has heard. A kill is for the incarnation of this moment.
    pub(super) fn wish_message(
        &self,
        node: NodeIndex,
        wish: Wish,
        kill: Option<Forcer>,
        heard: Option<Reply<Aim>>,
    ) -> NodeMessage {
        let epoch = self.memory.node(node).read().epoch();
        let kill = kill.map(|by| Kill { epoch, by });
        match wish {
            Wish::Park => NodeMessage::Park { kill, heard },
            Wish::Restart => NodeMessage::Restart { kill, heard },
        }
    }

    /// Passes a wish on. What the node cannot do is said in its log.
    pub(super) fn wish_if_known(&self, node: &NodeId, wish: Wish, kill: Option<Forcer>) {
        let Some(index) = self.node_named(node) else {
            tracing::warn!(%node, ?wish, "no such node");
            return;
        };
        if let Some(refusal) = self.refuses(index, wish) {
            tracing::info!(%node, ?wish, ?refusal, "wish refused");
        }
        let message = self.wish_message(index, wish, kill, None);
        // Somebody embeds this runtime and wishes faster than the node's actor hears.
        if self.handles().node(index).tell(message).is_err() {
            tracing::warn!(%node, ?wish, "wish dropped: too many wait already");
        }
    }

    /// What is to be awaited, as the wish was heard at this moment.
    pub(crate) fn aim(&self, node: NodeIndex, wish: Wish) -> Aim {
        let machine = self.memory.node(node).read();
        let epoch = match (wish, machine.state()) {
            (
                Wish::Restart,
                LifeCycle::Stopping
                | LifeCycle::Declared
                | LifeCycle::Placed
                | LifeCycle::Downloading,
            ) => machine.epoch().next(),
            _ => machine.epoch(),
        };
        Aim { wish, epoch }
    }

    /// How the node stands, if it has come where it was to go, or cannot come there any more.
    pub(super) fn arrived(&self, node: NodeIndex, aim: Aim) -> Option<NodeStatus> {
        let machine = self.memory.node(node).read();
        let is_there = machine.end().is_some()
            || machine.state() == LifeCycle::Parked
            || match aim.wish {
                Wish::Park => machine.epoch() > aim.epoch,
                Wish::Restart => machine.is_ready() && machine.epoch() >= aim.epoch,
            };
        is_there.then(|| NodeStatus {
            // The statistics hear of it later.
            state: machine.state(),
            ..self.status_of(node)
        })
    }

    /// Whom somebody waits for who wants a node to end, or to be ready.
    pub(super) fn waiting_for_node(&self, node: NodeIndex) -> Vec<Waiting> {
        if self.memory.node(node).read().state() == LifeCycle::Stopping {
            return self.waiting_for_exit(node, &self.readings());
        }
        let status = self.status_of(node);
        vec![Waiting {
            what: WaitingFor::Ready {
                because: status.in_words(),
            },
            node: status.node,
            pid: status.pid,
            busy_for: None,
        }]
    }

    /// Asks how busy a node is, if it is waited for to end.
    pub(super) fn ask_before_waiting(self: &RootRef, node: NodeIndex) {
        if self.memory.node(node).read().state() == LifeCycle::Stopping {
            self.ask_how_busy_it_is(node);
        }
    }
}
