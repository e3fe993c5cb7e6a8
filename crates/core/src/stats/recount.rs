//! All members counted once more: what the kept sums must be (I-13).

use std::collections::BTreeMap;
use std::sync::Arc;

use dataflow_ids::NodeId;
use dataflow_ids::stats::{Level, RunNumber};

use super::book::Book;
use super::groups::GroupNumber;
use super::levels;
use super::rows::Run;
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
}

/// What the members of all levels add up to.
struct Recount {
    total: Level,
    runs: BTreeMap<u64, Level>,
    groups: BTreeMap<GroupNumber, Level>,
}

impl Recount {
    fn of(snapshot: &Snapshot) -> Recount {
        let groups = snapshot.groups.iter();
        let mut recount = Recount {
            total: levels::of_retired(&snapshot.total.retired),
            runs: BTreeMap::new(),
            groups: groups
                .map(|(number, group)| (number, levels::of_retired(&group.level.retired)))
                .collect(),
        };
        for (number, run) in snapshot.runs.iter() {
            recount.run(number, run);
        }
        recount
    }

    fn run(&mut self, number: u64, run: &Run) {
        let mut sum = levels::of_retired(&run.level.retired);
        for (node, life) in run.lives.iter() {
            let Some(traffic) = run.traffic.get(node) else {
                continue;
            };
            let group = self.groups.entry(life.group).or_default();
            for level in [&mut sum, &mut self.total, group] {
                levels::join(level, life, traffic);
            }
        }
        for (edge, numbers) in run.edge_numbers.iter() {
            let target = run.edges.get(edge).map(|spec| u64::from(spec.target.0));
            let Some(life) = target.and_then(|target| run.lives.get(target)) else {
                continue;
            };
            let histograms = run.histograms.get(edge).map(|there| &**there);
            let group = self.groups.entry(life.group).or_default();
            for level in [&mut sum, &mut self.total, group] {
                levels::join_edge(level, &numbers.gauges, histograms);
            }
        }
        self.runs.insert(number, sum);
    }
}

impl Snapshot {
    /// Counts all members once more, at every level, and compares with what was kept.
    ///
    /// # Errors
    ///
    /// [`AuditMismatch`] with the first level whose sums are not those of its members.
    pub fn audit_all(&self) -> Result<(), AuditMismatch> {
        let recount = Recount::of(self);
        let compare = |whose: &dyn Fn() -> Whose, kept: &Level, recounted: &Level| {
            if kept == recounted {
                return Ok(());
            }
            Err(AuditMismatch {
                whose: whose(),
                kept: Box::new(*kept),
                recounted: Box::new(*recounted),
            })
        };
        compare(&|| Whose::Total, &self.total, &recount.total)?;
        for (number, run) in self.runs.iter() {
            let whose = || Whose::Dataflow(RunNumber(number));
            compare(&whose, &run.level, &recount.runs[&number])?;
        }
        for (number, group) in self.groups.iter() {
            let whose = || Whose::Group(group.row().name);
            compare(&whose, &group.level, &recount.groups[&number])?;
        }
        Ok(())
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

    /// Makes the kept sums those of the members again, whatever a change that was broken off has left.
    pub fn recount(&mut self) {
        self.journal.leave_gap();
        let recount = Recount::of(&self.now);
        if *self.now.total != recount.total {
            self.now.total = Arc::new(recount.total);
            self.changed();
        }
        for (number, level) in recount.runs {
            if self.now.dataflow(RunNumber(number)) != Some(&level) {
                if let Some(run) = self.run_mut(RunNumber(number)) {
                    run.level = level;
                }
                self.changed();
            }
        }
        for (number, level) in recount.groups {
            let is_off = |kept: &&mut Level| **kept != level;
            if let Some(kept) = self.now.groups.level_mut(number).filter(is_off) {
                *kept = level;
                self.changed();
            }
        }
    }
}
