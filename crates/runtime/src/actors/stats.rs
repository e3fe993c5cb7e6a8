//! `StatsActor`: all statistics, kept as things happen.

use std::collections::BTreeMap;
use std::rc::Rc;

use dataflow_core::lifecycle::shortest_way;
use dataflow_core::stats::{Audited, Book, EdgeFacts, ProcessFacts, Transition};
use dataflow_ids::stats::{EdgeKey, NodeKey};
use dataflow_ids::{EdgeId, LifeCycle, NodeIndex};

use crate::root::{RootRef, Services};
use crate::supervision::Behaviour;

/// What the keeper of statistics may be told.
#[derive(Debug, Clone)]
pub(crate) enum StatsMessage {
    /// A node has changed its state.
    Transition(Transition),
    /// What the headers of edges said, because somebody looked.
    EdgesRead(Vec<(EdgeId, EdgeFacts)>),
    /// How what serves the dataflow stands.
    ServicesRead(Box<Services>),
    /// What processes of nodes use.
    ProcessesRead(Vec<(NodeIndex, ProcessFacts)>),
    /// What an auditor has counted again.
    Audited(Audited),
    /// All that was read has been told: whoever looks is to see it.
    Publish,
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
    behind: BTreeMap<NodeIndex, LifeCycle>,
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
    /// It is told at once what a node has decided, and hears it before this. So who is behind for the second time has lost
    /// something, and who has come to its end does not get any further.
    fn catch_up(&mut self, book: &mut Book) {
        let memory = self.root.memory();
        let (run, at) = (memory.run_number(), self.root.env().now());
        let mut behind = BTreeMap::new();
        for node in (0..memory.nodes_len()).map(NodeIndex) {
            let machine = memory.node(node).read();
            let (to, epoch) = (machine.state(), machine.epoch());
            let Some(kept) = book.node(NodeKey { run, node }) else {
                continue;
            };
            if kept.state == to {
                continue;
            }
            if self.behind.get(&node) != Some(&kept.state) && !to.is_final() {
                behind.insert(node, kept.state);
                continue;
            }
            tracing::warn!(node = node.0, from = %kept.state, %to, "change of state was lost");
            for to in shortest_way(kept.state, to) {
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
                statistics.audited(audited.recounted, audited.mismatches);
            }
            StatsMessage::Publish => {
                self.catch_up(&mut statistics);
                self.root.publish_statistics(&mut statistics);
            }
        }
        root.statistics_changed(&mut statistics);
    }
}
