//! `StatsActor`: all statistics, kept as things happen.

use std::rc::Rc;

use dataflow_core::stats::{Audited, Book, EdgeFacts, ProcessFacts, Transition};
use dataflow_ids::stats::{EdgeKey, NodeKey};
use dataflow_ids::{EdgeId, NodeIndex};

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
    /// Something that was told may not have been heard: of all nodes it is to be seen where they stand.
    may_lack: bool,
}

impl StatsActor {
    pub(crate) fn new(root: RootRef) -> StatsActor {
        StatsActor {
            root,
            may_lack: true,
        }
    }

    /// A change of state that made this actor panic twice is lost. What each node has decided says how many are missing, and
    /// what is told of them afterwards comes too late and changes nothing.
    ///
    /// Nothing is lost without a panic, after which this actor is another one, so nothing is looked at while it stays the
    /// same; but for the end, after which nobody can look again.
    fn catch_up(&mut self, book: &mut Book) {
        // Those that wait say more exactly when they happened.
        let is_due = self.may_lack || self.root.has_ended();
        if !is_due || self.root.handles().stats.has_facts() {
            return;
        }
        let nodes = (0..self.root.memory().nodes_len()).map(NodeIndex);
        let caught_up = nodes.map(|node| self.catch_up_with(book, node));
        // What a node's actor has decided and not told yet, it tells later; each is looked at.
        self.may_lack = caught_up.filter(|caught_up| !caught_up).count() > 0;
    }

    /// Makes the statistics say where a node stands. Gives whether they do.
    fn catch_up_with(&self, book: &mut Book, node: NodeIndex) -> bool {
        let memory = self.root.memory();
        let committed = memory.node(node);
        if committed.is_pending() {
            return false;
        }
        let run = memory.run_number();
        let (machine, key) = (committed.read(), NodeKey { run, node });
        let Some(kept) = book.node(key) else {
            return true;
        };
        let missing = (machine.changes()).saturating_sub(kept.transitions.get());
        if missing == 0 {
            return true;
        }
        let stands = Transition {
            node,
            to: machine.state(),
            epoch: machine.epoch(),
            sequence: machine.changes(),
            at: self.root.env().now(),
        };
        tracing::warn!(node = node.0, missing, from = %kept.state, to = %stands.to, "changes of state were lost");
        if let Err(error) = book.catch_up(run, stands) {
            tracing::error!(%error, node = node.0, "transition refused");
        }
        true
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
                    self.may_lack |= !self.catch_up_with(&mut statistics, transition.node);
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
