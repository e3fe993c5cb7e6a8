//! All members counted once more: what the kept sums must be (I-13).

use std::collections::BTreeMap;

use dataflow_ids::NodeId;
use dataflow_ids::stats::{Level, NodeKey, RunNumber};

use super::book::Book;
use super::groups::GroupNumber;
use super::rows::{EdgeNumbers, Life, OnEdges, Run};
use super::snapshot::Snapshot;
use super::sums;

/// What was kept and a recount disagree: a fault in ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditMismatch {
    /// The sums of a level are not those of its members.
    #[error("statistics of {whose:?}: kept {kept:?}, recounted {recounted:?}")]
    Sums {
        /// Which level.
        whose: Whose,
        /// What was kept as things happened.
        kept: Box<Level>,
        /// What the members add up to.
        recounted: Box<Level>,
    },
    /// The times that a node was in its states do not add up to its age.
    #[error(
        "node {} of run {}: its times in states are {off_ns} ns more than its age",
        .node.node.0,
        .node.run.0
    )]
    Age {
        /// Which node.
        node: NodeKey,
        /// How long it was in its states, less its age.
        off_ns: i128,
    },
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
            total: Box::new(sums::of_retired(&snapshot.total.retired)),
            run: Box::default(),
            groups: groups
                .map(|(number, group)| (number, sums::of_retired(&group.level.retired)))
                .collect(),
        }
    }

    pub(super) fn begin_run(&mut self, run: &Run) {
        *self.run = sums::of_retired(&run.level.retired);
    }

    /// Counts a node.
    ///
    /// # Errors
    ///
    /// When what the node itself has is not what was counted on its edges, or not of its age.
    pub(super) fn node(&mut self, run: &Run, node: u64, life: &Life) -> Result<(), AuditMismatch> {
        let Some(traffic) = run.traffic.get(node) else {
            return Ok(());
        };
        let group = self.groups.entry(life.group).or_default();
        for level in [&mut *self.run, &mut *self.total, group] {
            sums::count_node(level, life, traffic);
        }
        // What another keeper says of a node and of its edges is believed as it is.
        let Some(key) = run.node_key(node).filter(|_| run.spec.is_own) else {
            return Ok(());
        };
        let off_ns = sums::off_its_age_ns(life);
        if off_ns != 0 {
            return Err(AuditMismatch::Age { node: key, off_ns });
        }
        let kept = OnEdges {
            out: traffic.out,
            into: traffic.into,
        };
        let counted = run.on_edges(node);
        if counted == kept {
            return Ok(());
        }
        let level = |OnEdges { out, into }: OnEdges| {
            Box::new(Level {
                out,
                into,
                ..Level::default()
            })
        };
        Err(AuditMismatch::Sums {
            whose: Whose::Node(key),
            kept: level(kept),
            recounted: level(counted),
        })
    }

    pub(super) fn edge(&mut self, run: &Run, edge: u64, numbers: &EdgeNumbers) {
        let target = run.edges.get(edge).map(|spec| u64::from(spec.target.0));
        let Some(life) = target.and_then(|target| run.lives.get(target)) else {
            return;
        };
        let histograms = run.histograms.get(edge).map(|there| &**there);
        let group = self.groups.entry(life.group).or_default();
        for level in [&mut *self.run, &mut *self.total, group] {
            sums::count_edge(level, &numbers.gauges, histograms);
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
            off = off.and(self.node(run, node, life));
        }
        for (edge, numbers) in run.edge_numbers.iter() {
            self.edge(run, edge, numbers);
        }
        off
    }
}

fn compare(whose: Whose, kept: &Level, recounted: &Level) -> Result<(), AuditMismatch> {
    if kept == recounted {
        return Ok(());
    }
    Err(AuditMismatch::Sums {
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
    /// [`AuditMismatch`] with the first level or node whose numbers are not those of its members.
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
    /// [`AuditMismatch`] with the first level or node whose numbers are not those of its members.
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

#[cfg(test)]
mod tests;
