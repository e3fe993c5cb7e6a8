//! `StatsActor`: all statistics, kept as things happen.

use std::collections::BTreeMap;
use std::rc::Rc;

use dataflow_core::lifecycle::{shortest_way, transition_allowed};
use dataflow_core::stats::{Audited, Book, EdgeFacts, ProcessFacts, Transition};
use dataflow_ids::stats::{EdgeKey, NodeKey};
use dataflow_ids::{EdgeId, Epoch, LifeCycle, NodeIndex};

use crate::root::{RootRef, Services};
use crate::supervision::Behaviour;

/// What the keeper of statistics may be told.
#[derive(Debug, Clone)]
pub(crate) enum StatsMessage {
    /// A node has changed its state.
    Transition(Transition),
    /// What the headers of edges said, because somebody reads.
    EdgesRead(Vec<(EdgeId, EdgeFacts)>),
    /// How what serves the dataflow stands.
    ServicesRead(Box<Services>),
    /// What processes of nodes use.
    ProcessesRead(Vec<(NodeIndex, ProcessFacts)>),
    /// What the auditor has counted again in all.
    Audited(Audited),
    /// All that was read has been told: readers are to see it. It is asked for so many times with this.
    Publish(u64),
}

crate::message_kinds!(StatsMessage {
    Transition,
    EdgesRead,
    ServicesRead,
    ProcessesRead,
    Audited,
    Publish,
});

/// The actor that keeps the statistics. Readers look at what it has written and never enter it.
///
/// They are changed in place: a copy of all of them for each change would cost a large dataflow its start. A
/// member's own numbers are the facts, of which sums are made; every message may be handled twice.
pub(crate) struct StatsActor {
    root: RootRef,
    /// Nodes whose state here was another one than it is, when everything that was told had been heard.
    behind: BTreeMap<NodeIndex, (LifeCycle, Epoch)>,
}

/// The fewest changes that lead from a state to where a node is now, in a later incarnation if it is the same one.
fn way(from: LifeCycle, to: LifeCycle) -> Vec<LifeCycle> {
    if from != to {
        return shortest_way(from, to);
    }
    let nexts = LifeCycle::ALL.into_iter();
    let rounds = nexts
        .filter(|next| *next != from && transition_allowed(from, *next))
        .map(|next| [vec![next], shortest_way(next, to)].concat())
        .filter(|round| round.last() == Some(&to));
    rounds.min_by_key(Vec::len).unwrap_or_default()
}

impl StatsActor {
    pub(crate) fn new(root: RootRef) -> StatsActor {
        StatsActor {
            root,
            behind: BTreeMap::new(),
        }
    }

    /// A change of state that made this actor panic twice is lost, and those that follow on it are not allowed. What lies
    /// in between is made up for by the fewest changes that lead there.
    ///
    /// It is told at once what a node has decided, and hears it before this, unless it had this in hand when it panicked,
    /// or the node's actor panicked in between. So who is behind for the second time has lost something, and who has
    /// come to its end does not get any further.
    fn catch_up(&mut self, book: &mut Book) {
        if self.root.handles().stats.has_facts() {
            return;
        }
        let memory = self.root.memory();
        let (run, at) = (memory.run_number(), self.root.env().now());
        let mut behind = BTreeMap::new();
        for node in (0..memory.nodes_len()).map(NodeIndex) {
            let committed = memory.node(node);
            if committed.is_pending() {
                continue;
            }
            let machine = committed.read();
            let (to, epoch) = (machine.state(), machine.epoch());
            let Some(kept) = book.node(NodeKey { run, node }) else {
                continue;
            };
            let stood = (kept.state, kept.epoch);
            if stood == (to, epoch) {
                continue;
            }
            if self.behind.get(&node) != Some(&stood) && !to.is_final() {
                behind.insert(node, stood);
                continue;
            }
            tracing::warn!(node = node.0, from = %kept.state, %to, "change of state was lost");
            for to in way(kept.state, to) {
                let step = Transition {
                    node,
                    to,
                    epoch,
                    at,
                };
                if let Err(error) = book.transition(run, step) {
                    tracing::error!(%error, node = node.0, "transition refused");
                }
            }
        }
        self.behind = behind;
    }
}

impl Behaviour for StatsActor {
    type Message = StatsMessage;

    /// An earlier incarnation may have panicked between a member's number and its sum.
    fn begin(&mut self) {
        self.root.memory().statistics_mut().recount();
    }

    fn handle(&mut self, message: &StatsMessage) {
        let root = Rc::clone(&self.root);
        let memory = root.memory();
        let (run, mut statistics) = (memory.run_number(), memory.statistics_mut());
        match message {
            StatsMessage::Transition(transition) => {
                if let Err(error) = statistics.transition(run, *transition) {
                    tracing::error!(%error, node = transition.node.0, "transition refused");
                }
            }
            StatsMessage::EdgesRead(readings) => {
                for (edge, facts) in readings {
                    let edge = EdgeKey { run, edge: *edge };
                    if let Err(error) = statistics.edge_read(edge, facts) {
                        tracing::error!(%error, "reading refused");
                    }
                }
            }
            StatsMessage::ServicesRead(services) => {
                statistics.actors(services.actors.clone());
                statistics.downloads(services.downloads.clone());
                if let Some(pool) = services.pool {
                    statistics.pool(pool);
                }
                for (node, facts) in &services.processes {
                    let node = NodeKey { run, node: *node };
                    if let Err(error) = statistics.process_read(node, facts) {
                        tracing::error!(%error, "reading refused");
                    }
                }
            }
            StatsMessage::ProcessesRead(readings) => {
                for (node, facts) in readings {
                    let node = NodeKey { run, node: *node };
                    if let Err(error) = statistics.process_read(node, facts) {
                        tracing::error!(%error, "reading refused");
                    }
                }
            }
            StatsMessage::Audited(audited) => {
                let more = root.take_found(*audited);
                statistics.audited(more.recounted, more.mismatches);
            }
            StatsMessage::Publish(asked) => {
                self.catch_up(&mut statistics);
                self.root.publish_statistics(&mut statistics, *asked);
            }
        }
        root.statistics_changed(&mut statistics);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_leads_to_where_a_node_is_also_if_it_was_there_an_incarnation_before() {
        use LifeCycle::{Placed, Ready, Running, Starting, Stopping};
        assert_eq!(way(Placed, Running), [Starting, Ready, Running]);
        assert_eq!(way(Running, Running), [Stopping, Starting, Ready, Running]);
        for state in LifeCycle::ALL {
            let round = way(state, state);
            let steps = std::iter::once(&state).chain(&round).zip(&round);
            for (from, to) in steps {
                assert!(transition_allowed(*from, *to), "{state}: {round:?}");
            }
            assert!(round.last().is_none_or(|last| *last == state), "{state}");
        }
    }
}
