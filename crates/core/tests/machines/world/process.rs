//! The nodes' processes: what their libraries and their users' code do.

use dataflow_core::drain::DrainEvent;
use dataflow_core::flow::Role;
use dataflow_core::lifecycle::{Exit, NodeEvent};
use dataflow_ids::{EdgeId, Sequence, StopMode};

use super::{Cycles, Edge, QUEUED_MAX, Stage, ToDataflow, World};

impl World {
    /// A process does one thing, as its library and its user's code would.
    pub(super) fn process_step(&mut self, node: usize) {
        let crashes = self.crashes > 0 && self.chance(40);
        let it = &mut self.nodes[node];
        let Some(process) = &mut it.process else {
            return;
        };
        let epoch = process.epoch;
        if crashes {
            self.crashes -= 1;
            return self.exit(node, Exit::Code(1));
        }
        match process.stage {
            Stage::Spawned => {
                process.stage = Stage::Connected;
                it.mailbox.push_back(NodeEvent::Connected { epoch });
                for (edge, id) in self.edges.iter().zip((0..).map(EdgeId)) {
                    if edge.target == node {
                        let started = DrainEvent::ReceiverStarted { edge: id, epoch };
                        self.mailbox.push_back(ToDataflow::Drain(started));
                    }
                }
            }
            Stage::Connected => {
                process.stage = Stage::Ready;
                it.mailbox.push_back(NodeEvent::Ready { epoch });
            }
            Stage::Ready => {
                let stop = process.stop.clone();
                self.live(node, stop);
            }
        }
    }

    fn live(&mut self, node: usize, stop: Option<(StopMode, Vec<(EdgeId, Sequence)>)>) {
        let inputs: Vec<usize> = (0..self.edges.len())
            .filter(|edge| self.edges[*edge].target == node)
            .collect();
        let upto = match &stop {
            Some((StopMode::Now, _)) => return self.exit(node, Exit::Code(0)),
            Some((StopMode::Graceful, upto)) => upto.clone(),
            None => Vec::new(),
        };
        if inputs.is_empty() {
            if stop.is_some() || self.nodes[node].messages == 0 {
                self.exit(node, Exit::Code(0));
            } else if self.send(node) {
                self.nodes[node].messages -= 1;
            }
            return;
        }
        let limit = |edge: usize| {
            let named = upto.iter().find(|(id, _)| id.0 as usize == edge);
            named.map(|(_, upto)| upto.0)
        };
        let may_take = |edge: usize, edges: &[Edge]| {
            let (edge, limit) = (&edges[edge], limit(edge));
            edge.queued() > 0 && limit.is_none_or(|limit| edge.taken + edge.dropped < limit)
        };
        let readable: Vec<usize> = inputs
            .iter()
            .copied()
            .filter(|edge| may_take(*edge, &self.edges))
            .collect();
        if !readable.is_empty() {
            // No input starves another one.
            let edge = readable[self.pick(readable.len())];
            // It sends what follows from a message before it is done with it.
            if self.is_silent(node) {
                self.edges[edge].taken += 1;
            } else if self.send(node) {
                self.edges[edge].taken += 1;
                self.nodes[node].messages = self.nodes[node].messages.saturating_sub(1);
            }
            return;
        }
        // Everything up to the limit, or up to the end of the edge, has been taken.
        let has_all = |edge: &usize| {
            self.edges[*edge].closed_at.is_some() || (stop.is_some() && limit(*edge).is_some())
        };
        if inputs.iter().all(has_all) {
            self.exit(node, Exit::Code(0));
        }
    }

    /// Whether this member of a cycle has sent all that it will.
    fn is_silent(&self, node: usize) -> bool {
        self.cycles == Cycles::Dying && self.is_member(node) && self.nodes[node].messages == 0
    }

    fn is_member(&self, node: usize) -> bool {
        matches!(self.flow.graph().roles()[node], Role::Member(_))
    }

    /// Sends on every edge from this node; says whether the first `send` is past its barrier.
    fn send(&mut self, node: usize) -> bool {
        let outputs = || self.edges.iter().filter(|edge| edge.source == node);
        if !outputs().all(|edge| edge.receiver_ready || edge.receiver_gone) {
            return false;
        }
        let is_full = outputs().any(|edge| edge.queued() >= QUEUED_MAX);
        if is_full {
            // `block` waits; a cycle drops.
            return self.is_member(node);
        }
        for edge in self.edges.iter_mut().filter(|edge| edge.source == node) {
            edge.sent += 1;
            edge.dropped += u64::from(edge.receiver_gone);
        }
        true
    }
}
