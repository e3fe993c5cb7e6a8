//! Statistics, kept as things happen: of each edge, each node and the dataflow (section 13 of the design).
//!
//! Every change updates all levels that it belongs to in one step. Gauges say how many there are now; counters
//! only grow. What a removed member counted stays in the dataflow's counters.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Index, IndexMut};

use dataflow_ids::{EdgeId, Epoch, LifeCycle, NodeIndex};

use crate::broken::{Rule, is_broken};
use crate::time::Time;

/// A node's state has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The node.
    pub node: NodeIndex,
    /// Its state now.
    pub to: LifeCycle,
    /// Its incarnation.
    pub epoch: Epoch,
    /// When.
    pub at: Time,
}

/// What an edge's header says at one moment: totals since the edge was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EdgeTotals {
    /// What was counted.
    pub counters: EdgeCounters,
    /// What there is now.
    pub gauges: EdgeGauges,
}

/// By how much an edge's counters have grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeDelta {
    /// The edge.
    pub edge: EdgeId,
    /// The growth.
    pub grown: EdgeCounters,
}

/// Counters of an edge, or sums of such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EdgeCounters {
    /// Messages sent.
    pub sent: u64,
    /// Messages that reached the receiver.
    pub delivered: u64,
    /// Messages whose token came back.
    pub released: u64,
    /// Messages that a receiver held when it died.
    pub lost: u64,
    /// Messages dropped because the queue was full.
    pub dropped_full: u64,
    /// Messages dropped because the receiver has ended for good.
    pub dropped_receiver_closed: u64,
    /// Messages dropped to make room in the sender's memory.
    pub dropped_memory: u64,
    /// Payload bytes sent.
    pub bytes: u64,
    /// How long the sender has waited.
    pub blocked_ns: u64,
}

impl EdgeCounters {
    /// Each counter of `self` and `other`, put together by `with`.
    fn zip(self, other: EdgeCounters, with: impl Fn(u64, u64) -> u64) -> EdgeCounters {
        EdgeCounters {
            sent: with(self.sent, other.sent),
            delivered: with(self.delivered, other.delivered),
            released: with(self.released, other.released),
            lost: with(self.lost, other.lost),
            dropped_full: with(self.dropped_full, other.dropped_full),
            dropped_receiver_closed: with(
                self.dropped_receiver_closed,
                other.dropped_receiver_closed,
            ),
            dropped_memory: with(self.dropped_memory, other.dropped_memory),
            bytes: with(self.bytes, other.bytes),
            blocked_ns: with(self.blocked_ns, other.blocked_ns),
        }
    }

    /// By how much `now` is ahead of `self`. A counter that has gone back (only a faulty process writes such)
    /// has not grown.
    #[must_use]
    pub fn growth_to(self, now: EdgeCounters) -> EdgeCounters {
        now.zip(self, u64::saturating_sub)
    }

    /// Whether no counter of `self` is above that of `later`.
    #[must_use]
    pub fn is_at_most(self, later: EdgeCounters) -> bool {
        later.growth_to(self) == EdgeCounters::default()
    }
}

impl AddAssign for EdgeCounters {
    fn add_assign(&mut self, grown: EdgeCounters) {
        *self = self.zip(grown, u64::saturating_add);
    }
}

/// Gauges of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EdgeGauges {
    /// Messages that wait in the queue.
    pub queued: u64,
    /// Messages that the receiver holds.
    pub held: u64,
}

/// More messages than any edge has slots.
const GAUGE_MAX: u64 = u32::MAX as u64;

impl EdgeGauges {
    /// Keeps what a faulty process wrote from overflowing the sums.
    fn bounded(self) -> EdgeGauges {
        EdgeGauges {
            queued: self.queued.min(GAUGE_MAX),
            held: self.held.min(GAUGE_MAX),
        }
    }
}

/// How many nodes are in each state. Their sum is the number of nodes (I-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateGauges([u64; LifeCycle::ALL.len()]);

impl StateGauges {
    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Index<LifeCycle> for StateGauges {
    type Output = u64;
    fn index(&self, state: LifeCycle) -> &u64 {
        &self.0[state as usize]
    }
}

impl IndexMut<LifeCycle> for StateGauges {
    fn index_mut(&mut self, state: LifeCycle) -> &mut u64 {
        &mut self.0[state as usize]
    }
}

/// A node's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeStatistics {
    /// Its state.
    pub state: LifeCycle,
    /// Since when.
    pub since: Time,
    /// Its incarnation.
    pub epoch: Epoch,
    /// How often its state has changed.
    pub transitions: u64,
    /// How often it was started again.
    pub restarts: u64,
    /// What was counted on the edges from it.
    pub out: EdgeCounters,
    /// What was counted on the edges to it.
    pub into: EdgeCounters,
}

/// An edge's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeStatistics {
    /// Its sender.
    pub source: NodeIndex,
    /// Its receiver.
    pub target: NodeIndex,
    /// What was counted: the most that its header ever said, so that it never falls (I-14).
    pub counters: EdgeCounters,
    /// What there was at the last reading.
    pub gauges: EdgeGauges,
}

/// The dataflow's numbers: sums over its members, and over those that were removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// How many nodes there are.
    pub nodes: u64,
    /// How many edges there are.
    pub edges: u64,
    /// How many nodes are in each state.
    pub states: StateGauges,
    /// How often a node's state has changed.
    pub transitions: u64,
    /// How often a node was started again.
    pub restarts: u64,
    /// What was counted on all edges.
    pub counters: EdgeCounters,
    /// What there is on all edges.
    pub queued: u64,
    /// What is held on all edges.
    pub held: u64,
}

/// What removed members counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Retired {
    transitions: u64,
    restarts: u64,
    counters: EdgeCounters,
}

/// All statistics of a dataflow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    revision: u64,
    nodes: BTreeMap<NodeIndex, NodeStatistics>,
    edges: BTreeMap<EdgeId, EdgeStatistics>,
    totals: Totals,
    retired: Retired,
}

/// The statistics at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Grows with every change.
    pub revision: u64,
    /// The nodes.
    pub nodes: BTreeMap<NodeIndex, NodeStatistics>,
    /// The edges.
    pub edges: BTreeMap<EdgeId, EdgeStatistics>,
    /// The dataflow.
    pub totals: Totals,
}

/// The kept sums and a recount disagree: a fault in this module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("statistics: kept {kept:?}, recounted {recounted:?}")]
pub struct AuditMismatch {
    /// What was kept on transition.
    pub kept: Box<Totals>,
    /// What the members add up to.
    pub recounted: Box<Totals>,
}

impl Statistics {
    /// No members, nothing counted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node in state `Declared`. A node that is there already stays as it is.
    pub fn add_node(&mut self, node: NodeIndex, at: Time) {
        if self.nodes.contains_key(&node) {
            return;
        }
        self.revision += 1;
        self.nodes.insert(
            node,
            NodeStatistics {
                state: LifeCycle::Declared,
                since: at,
                epoch: Epoch::NONE,
                transitions: 0,
                restarts: 0,
                out: EdgeCounters::default(),
                into: EdgeCounters::default(),
            },
        );
        self.totals.nodes += 1;
        self.totals.states[LifeCycle::Declared] += 1;
    }

    /// Adds an edge. One that is there already stays as it is.
    pub fn add_edge(&mut self, edge: EdgeId, source: NodeIndex, target: NodeIndex) {
        if self.edges.contains_key(&edge) {
            return;
        }
        self.revision += 1;
        self.edges.insert(
            edge,
            EdgeStatistics {
                source,
                target,
                counters: EdgeCounters::default(),
                gauges: EdgeGauges::default(),
            },
        );
        self.totals.edges += 1;
    }

    /// Removes a node; what it counted stays in the dataflow's counters.
    pub fn remove_node(&mut self, node: NodeIndex) {
        let Some(removed) = self.nodes.remove(&node) else {
            return;
        };
        self.revision += 1;
        self.totals.nodes -= 1;
        self.totals.states[removed.state] -= 1;
        self.retired.transitions += removed.transitions;
        self.retired.restarts += removed.restarts;
    }

    /// Removes an edge; what it counted stays in the counters of its nodes and of the dataflow.
    pub fn remove_edge(&mut self, edge: EdgeId) {
        let Some(removed) = self.edges.remove(&edge) else {
            return;
        };
        self.revision += 1;
        self.totals.edges -= 1;
        self.totals.queued -= removed.gauges.queued;
        self.totals.held -= removed.gauges.held;
        self.retired.counters += removed.counters;
    }

    /// Takes a node's new state. One it is in already, in the same incarnation, is a repetition and changes
    /// nothing; so does one of a node that is not a member.
    pub fn transition(&mut self, transition: Transition) {
        let Some(node) = self.nodes.get_mut(&transition.node) else {
            return;
        };
        if node.state == transition.to && node.epoch >= transition.epoch {
            return;
        }
        self.revision += 1;
        if !is_broken(Rule::StatisticsKeepTheOldState) {
            self.totals.states[node.state] -= 1;
        }
        self.totals.states[transition.to] += 1;
        self.totals.transitions += 1;
        node.transitions += 1;
        node.state = transition.to;
        node.since = transition.at;
        // The first incarnation is a start, every later one a restart.
        let starts = |epoch: Epoch| u64::from(epoch.0.saturating_sub(1));
        let restarts = starts(transition.epoch).saturating_sub(starts(node.epoch));
        node.restarts += restarts;
        self.totals.restarts += restarts;
        node.epoch = node.epoch.max(transition.epoch);
    }

    /// Takes a reading of an edge's header and folds in by how much it has grown. `None` for an edge that is
    /// not a member.
    pub fn edge(&mut self, edge: EdgeId, now: EdgeTotals) -> Option<EdgeDelta> {
        let known = self.edges.get_mut(&edge)?;
        let grown = known.counters.growth_to(now.counters);
        known.counters += grown;
        let gauges = now.gauges.bounded();
        self.revision += 1;
        self.totals.queued = self.totals.queued - known.gauges.queued + gauges.queued;
        self.totals.held = self.totals.held - known.gauges.held + gauges.held;
        known.gauges = gauges;
        self.totals.counters += grown;
        if let Some(source) = self.nodes.get_mut(&known.source) {
            source.out += grown;
        }
        if let Some(target) = self.nodes.get_mut(&known.target) {
            target.into += grown;
        }
        Some(EdgeDelta { edge, grown })
    }

    /// The dataflow's numbers. Costs the same for any number of members (I-15).
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// A node's numbers.
    #[must_use]
    pub fn node(&self, node: NodeIndex) -> Option<&NodeStatistics> {
        self.nodes.get(&node)
    }

    /// An edge's numbers.
    #[must_use]
    pub fn edge_statistics(&self, edge: EdgeId) -> Option<&EdgeStatistics> {
        self.edges.get(&edge)
    }

    /// Grows with every change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Everything, to be handed to readers.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            revision: self.revision,
            nodes: self.nodes.clone(),
            edges: self.edges.clone(),
            totals: self.totals,
        }
    }

    /// Counts all members again and compares (I-13).
    ///
    /// # Errors
    ///
    /// [`AuditMismatch`] when the kept sums are not those of the members.
    pub fn audit(&self) -> Result<(), AuditMismatch> {
        let recounted = self.recounted();
        if recounted == self.totals && recounted.states.sum() == recounted.nodes {
            Ok(())
        } else {
            Err(AuditMismatch {
                kept: Box::new(self.totals),
                recounted: Box::new(recounted),
            })
        }
    }

    /// Makes the kept sums those of the members again, whatever a change that was broken off has left.
    pub fn recount(&mut self) {
        self.totals = self.recounted();
    }

    fn recounted(&self) -> Totals {
        let mut recounted = Totals {
            transitions: self.retired.transitions,
            restarts: self.retired.restarts,
            counters: self.retired.counters,
            ..Totals::default()
        };
        for node in self.nodes.values() {
            recounted.nodes += 1;
            recounted.states[node.state] += 1;
            recounted.transitions += node.transitions;
            recounted.restarts += node.restarts;
        }
        for edge in self.edges.values() {
            recounted.edges += 1;
            recounted.counters += edge.counters;
            recounted.queued += edge.gauges.queued;
            recounted.held += edge.gauges.held;
        }
        recounted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recount_mends_sums_that_a_broken_change_has_left() {
        let mut statistics = Statistics::new();
        statistics.add_node(NodeIndex(0), Time::START);
        let sound = statistics.clone();
        statistics.totals.states[LifeCycle::Declared] += 1;
        statistics.totals.transitions += 7;
        assert!(statistics.audit().is_err());
        statistics.recount();
        assert_eq!(statistics, sound);
    }
}
