//! All members counted once more: what the kept sums must be (I-13).

use std::collections::BTreeMap;

use dataflow_ids::NodeId;
use dataflow_ids::stats::{Level, NodeKey, RunNumber};

use super::book::Book;
use super::groups::GroupNumber;
use super::levels;
use super::rows::{EdgeNumbers, Life, OnEdges, Run};
use super::snapshot::Snapshot;

/// The kept sums of a level and a recount of its members disagree: a fault in ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("statistics of {whose:?}: kept {kept:?}, recounted {recounted:?}")]
pub struct AuditMismatch {
    /// Which level.
    pub whose: Whose,
    /// What was kept as things happened.
    pub kept: Box<Level>,
    /// What the members add up to.
    pub recounted: Box<Level>,
}

/// A level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Everything.
    Total,
    /// A run.
    Dataflow(RunNumber),
    /// All nodes of a name, or of no name.
    Group(Option<NodeId>),
    /// A node, of which nothing is compared but what was counted on its edges.
    Node(NodeKey),
}

/// What the members of all levels add up to, as far as they were counted: run by run, first its nodes, and then its edges.
#[derive(Debug)]
pub(super) struct Recount {
    pub(super) total: Box<Level>,
    /// The run that is being counted.
    pub(super) run: Box<Level>,
    groups: BTreeMap<GroupNumber, Level>,
}

impl Recount {
    /// Before any member: what those have counted that have gone.
    pub(super) fn begin(snapshot: &Snapshot) -> Recount {
        let groups = snapshot.groups.iter();
        Recount {
            total: Box::new(levels::of_retired(&snapshot.total.retired)),
            run: Box::default(),
            groups: groups
                .map(|(number, group)| (number, levels::of_retired(&group.level.retired)))
                .collect(),
        }
    }

    pub(super) fn begin_run(&mut self, run: &Run) {
        *self.run = levels::of_retired(&run.level.retired);
    }

    /// Counts a node. Gives what was counted on its edges if that is not what the node has.
    pub(super) fn node(&mut self, run: &Run, node: u64, life: &Life) -> Option<OnEdges> {
        let traffic = run.traffic.get(node)?;
        let group = self.groups.entry(life.group).or_default();
        for level in [&mut *self.run, &mut *self.total, group] {
            levels::join(level, life, traffic);
        }
        let kept = OnEdges {
            out: traffic.out,
            into: traffic.into,
        };
        // What another keeper says of a node and of its edges is believed as it is.
        let counted = run.spec.is_own.then(|| run.on_edges(node));
        counted.filter(|counted| *counted != kept)
    }

    pub(super) fn edge(&mut self, run: &Run, edge: u64, numbers: &EdgeNumbers) {
        let target = run.edges.get(edge).map(|spec| u64::from(spec.target.0));
        let Some(life) = target.and_then(|target| run.lives.get(target)) else {
            return;
        };
        let histograms = run.histograms.get(edge).map(|there| &**there);
        let group = self.groups.entry(life.group).or_default();
        for level in [&mut *self.run, &mut *self.total, group] {
            levels::join_edge(level, &numbers.gauges, histograms);
        }
    }

    /// The groups whose kept sums are not those of their members, with these.
    pub(super) fn groups_off<'a>(
        &'a self,
        snapshot: &'a Snapshot,
    ) -> impl Iterator<Item = (GroupNumber, Level)> + 'a {
        let counted = |number| self.groups.get(&number).copied().unwrap_or_default();
        let groups = snapshot.groups.iter();
        groups
            .filter(move |(number, group)| counted(*number) != group.level)
            .map(move |(number, _)| (number, counted(number)))
    }

    /// Counts all members of a run.
    fn whole_run(&mut self, run: &Run) -> Result<(), AuditMismatch> {
        self.begin_run(run);
        let mut off = Ok(());
        for (node, life) in run.lives.iter() {
            if let Some(counted) = self.node(run, node, life) {
                off = off.and(Err(node_mismatch(run, node, &counted)));
            }
        }
        for (edge, numbers) in run.edge_numbers.iter() {
            self.edge(run, edge, numbers);
        }
        off
    }
}

fn node_mismatch(run: &Run, node: u64, counted: &OnEdges) -> AuditMismatch {
    let level = |on_edges: &OnEdges| {
        Box::new(Level {
            out: on_edges.out,
            into: on_edges.into,
            ..Level::default()
        })
    };
    let traffic = run.traffic.get(node).copied().unwrap_or_default();
    let kept = OnEdges {
        out: traffic.out,
        into: traffic.into,
    };
    AuditMismatch {
        whose: run
            .node_key(node)
            .map_or(Whose::Dataflow(run.spec.number), Whose::Node),
        kept: level(&kept),
        recounted: level(counted),
    }
}

fn compare(whose: Whose, kept: &Level, recounted: &Level) -> Result<(), AuditMismatch> {
    if kept == recounted {
        return Ok(());
    }
    Err(AuditMismatch {
        whose,
        kept: Box::new(*kept),
        recounted: Box::new(*recounted),
    })
}

impl Snapshot {
    /// Counts all members once more, at every level from the edges up, and compares with what was kept.
    ///
    /// # Errors
    ///
    /// [`AuditMismatch`] with the first level whose sums are not those of its members.
    pub fn audit_all(&self) -> Result<(), AuditMismatch> {
        let mut recount = Recount::begin(self);
        for (number, run) in self.runs.iter() {
            recount.whole_run(run)?;
            compare(Whose::Dataflow(RunNumber(number)), &run.level, &recount.run)?;
        }
        compare(Whose::Total, &self.total, &recount.total)?;
        let Some((number, counted)) = recount.groups_off(self).next() else {
            return Ok(());
        };
        let mut groups = self.groups.iter().filter(|(there, _)| *there == number);
        let row = groups.next().map(|(_, group)| group.row());
        let (name, kept) = row.map_or_else(Default::default, |row| (row.name, row.level));
        compare(Whose::Group(name), &kept, &counted)
    }
}

impl Book {
    /// As [`Snapshot::audit_all`].
    ///
    /// # Errors
    ///
    /// [`AuditMismatch`] with the first level whose sums are not those of its members.
    pub fn audit(&self) -> Result<(), AuditMismatch> {
        self.now.audit_all()
    }

    /// Makes the kept sums of groups, dataflows and the total those of their nodes and edges again, whatever a change that was
    /// broken off has left.
    pub fn recount(&mut self) {
        self.journal.leave_gap();
        let now = self.shared();
        let mut recount = Recount::begin(&now);
        for (number, run) in now.runs.iter() {
            // What a node has counted stays as it is: it must not become less.
            let _ = recount.whole_run(run);
            if run.level != *recount.run {
                if let Some(run) = self.run_mut(RunNumber(number)) {
                    run.level = *recount.run;
                }
                self.changed();
            }
        }
        if *now.total != *recount.total {
            *self.now.total = *recount.total;
            self.changed();
        }
        for (number, level) in recount.groups_off(&now) {
            if let Some(kept) = self.now.groups.level_mut(number) {
                *kept = level;
            }
            self.changed();
        }
    }
}
