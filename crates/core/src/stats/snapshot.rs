//! All that a book knows at one moment.

use std::sync::Arc;

use dataflow_ids::NodeId;
use dataflow_ids::stats::{
    ActorRow, AuditRow, DataflowRow, Downloads, EdgeHistograms, EdgeKey, EdgeRow, GroupRow, Keeper,
    Level, NodeKey, NodeNumbers, NodeRow, PeerRow, PoolRow, RunNumber, Statistics,
};

use super::groups::Groups;
use super::pages::LongRows;
use super::rows::{EdgeNumbers, Run};
use super::slots::Share;

/// All statistics at one moment. A clone of one that was published shares all rows with it, and a book shares them until it
/// changes them.
///
/// The numbers of a level, of a node and of an edge are looked up; nothing is summed up, so a query costs the same for
/// any number of members (I-15).
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) keeper: Keeper,
    pub(super) revision: u64,
    pub(super) at_ns: u64,
    pub(super) total: Box<Level>,
    pub(super) runs: LongRows<Run>,
    pub(super) groups: Groups,
    pub(super) actors: Arc<Vec<ActorRow>>,
    pub(super) peers: Arc<Vec<PeerRow>>,
    pub(super) downloads: Arc<Downloads>,
    pub(super) pool: Option<PoolRow>,
    pub(super) audit: AuditRow,
}

impl Share for Snapshot {
    fn share(&mut self) {
        self.runs.share();
        self.groups.share();
    }
}

impl Snapshot {
    pub(super) fn empty(keeper: Keeper) -> Snapshot {
        Snapshot {
            keeper,
            revision: 0,
            at_ns: 0,
            total: Box::default(),
            runs: LongRows::default(),
            groups: Groups::default(),
            actors: Arc::default(),
            peers: Arc::default(),
            downloads: Arc::default(),
            pool: None,
            audit: AuditRow::default(),
        }
    }

    /// Who keeps them.
    #[must_use]
    pub fn keeper(&self) -> Keeper {
        self.keeper
    }

    /// Grows with every change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The moment, in nanoseconds since the keeper began.
    #[must_use]
    pub fn at_ns(&self) -> u64 {
        self.at_ns
    }

    /// Sums over everything.
    #[must_use]
    pub fn total(&self) -> &Level {
        &self.total
    }

    /// The numbers of a run.
    #[must_use]
    pub fn dataflow(&self, run: RunNumber) -> Option<&Level> {
        Some(&self.runs.get(run.0)?.level)
    }

    /// The numbers of all nodes of a name; with `None`, or a name without a group of its own, those of all nodes whose names
    /// came too late to have one.
    #[must_use]
    pub fn group(&self, name: Option<&NodeId>) -> Option<&Level> {
        self.groups.level(name)
    }

    /// The numbers of a node.
    #[must_use]
    pub fn node(&self, key: NodeKey) -> Option<NodeNumbers> {
        self.runs.get(key.run.0)?.node_numbers(key.node.0.into())
    }

    /// The name of a node.
    #[must_use]
    pub fn node_name(&self, key: NodeKey) -> Option<&NodeId> {
        let run = self.runs.get(key.run.0)?;
        run.names.get(key.node.0.into()).map(|name| &**name)
    }

    /// The numbers of an edge.
    #[must_use]
    pub fn edge(&self, key: EdgeKey) -> Option<&EdgeNumbers> {
        let run = self.runs.get(key.run.0)?;
        run.edge_numbers.get(key.edge.0.into())
    }

    /// How long messages of an edge took, once some were timed.
    #[must_use]
    pub fn edge_histograms(&self, key: EdgeKey) -> Option<&EdgeHistograms> {
        let run = self.runs.get(key.run.0)?;
        run.histograms.get(key.edge.0.into()).map(|there| &**there)
    }

    /// How many runs there are.
    #[must_use]
    pub fn dataflows_len(&self) -> usize {
        self.runs.len()
    }

    /// The runs, in the order of their numbers.
    pub fn dataflows(&self) -> impl Iterator<Item = DataflowRow> {
        self.runs.iter().map(|(_, run)| run.row())
    }

    /// The groups, in the order of their names; the one without a name last.
    pub fn groups(&self) -> impl Iterator<Item = GroupRow> {
        self.groups.by_name().map(super::groups::Group::row)
    }

    /// The nodes, in the order of their keys.
    pub fn nodes(&self) -> impl Iterator<Item = NodeRow> {
        (self.runs.iter())
            .flat_map(|(_, run)| (run.lives.iter()).filter_map(|(node, _)| run.node_row(node)))
    }

    /// The edges, in the order of their keys.
    pub fn edges(&self) -> impl Iterator<Item = EdgeRow> {
        (self.runs.iter())
            .flat_map(|(_, run)| (run.edges.iter()).filter_map(|(edge, _)| run.edge_row(edge)))
    }

    /// The actors, in the order of their names.
    #[must_use]
    pub fn actors(&self) -> &[ActorRow] {
        &self.actors
    }

    /// The peers, in the order of their names.
    #[must_use]
    pub fn peers(&self) -> &[PeerRow] {
        &self.peers
    }

    /// The downloads.
    #[must_use]
    pub fn downloads(&self) -> &Downloads {
        &self.downloads
    }

    /// The pool, once there is one.
    #[must_use]
    pub fn pool(&self) -> Option<&PoolRow> {
        self.pool.as_ref()
    }

    /// What the auditor has found.
    #[must_use]
    pub fn audit(&self) -> &AuditRow {
        &self.audit
    }

    /// All of it, as it goes over a wire.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            keeper: self.keeper,
            revision: self.revision,
            at_ns: self.at_ns,
            total: *self.total,
            dataflows: self.dataflows().collect(),
            groups: self.groups().collect(),
            nodes: self.nodes().collect(),
            edges: self.edges().collect(),
            actors: self.actors.to_vec(),
            peers: self.peers.to_vec(),
            downloads: (*self.downloads).clone(),
            pool: self.pool,
            audit: self.audit,
        }
    }
}
