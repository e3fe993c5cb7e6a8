//! The auditor: counts all members of a snapshot once more, a slice at a time, while things go on (I-13).

use std::sync::Arc;

use super::recount::Recount;
use super::snapshot::Snapshot;

/// What one step of the auditor has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Audited {
    /// Members that were counted again.
    pub recounted: u64,
    /// Levels whose sums were not those of their members: also nodes, whose members are their edges, and whose times in
    /// states are to be their age.
    pub mismatches: u64,
}

/// Counts the members of snapshots once more, a few at a time: one snapshot to its end, and then the newest one.
#[derive(Debug, Default)]
pub struct Auditor {
    pass: Option<Pass>,
    /// What the last pass has gone through, so that it is not gone through again while nothing happens.
    done: Option<Arc<Snapshot>>,
}

/// Where a pass goes on.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// At the first run that is not below this number.
    Run(u64),
    /// At the first node of a run that is not below this number.
    Node { run: u64, node: u64 },
    /// At the first edge of a run that is not below this number.
    Edge { run: u64, edge: u64 },
    /// All members are counted.
    End,
}

#[derive(Debug)]
struct Pass {
    snapshot: Arc<Snapshot>,
    place: Place,
    recount: Recount,
}

impl Auditor {
    /// Before any snapshot was seen.
    #[must_use]
    pub fn new() -> Auditor {
        Auditor::default()
    }

    /// Counts at most `members_max` members again (at least one), and looks at the newest snapshot when it is through with
    /// the one before. Nothing is counted twice while nothing has happened to the members.
    pub fn step(&mut self, newest: &Arc<Snapshot>, members_max: usize) -> Audited {
        let mut audited = Audited::default();
        let mut left = members_max.max(1);
        let mut pass = match self.pass.take() {
            Some(pass) => pass,
            None if self
                .done
                .as_ref()
                .is_some_and(|done| done.has_members_of(newest)) =>
            {
                return audited;
            }
            None => Pass::begin(newest),
        };
        loop {
            match pass.place {
                Place::Run(number) => pass.begin_run(number),
                Place::Node { run, node } => {
                    audited.mismatches += pass.count_nodes(run, node, &mut left);
                }
                Place::Edge { run, edge } => {
                    audited.mismatches += pass.count_edges(run, edge, &mut left);
                }
                Place::End => {
                    audited.mismatches += pass.compare_sums();
                    self.done = Some(pass.snapshot);
                    break;
                }
            }
            if left == 0 {
                self.pass = Some(pass);
                break;
            }
        }
        audited.recounted = (members_max.max(1) - left) as u64;
        audited
    }
}

impl Snapshot {
    /// Whether all members and sums are the same as those of another one.
    fn has_members_of(&self, other: &Snapshot) -> bool {
        self.keeper == other.keeper
            && self.runs.is_shared_with(&other.runs)
            && self.groups.is_shared_with(&other.groups)
            && self.total == other.total
    }
}

impl Pass {
    fn begin(snapshot: &Arc<Snapshot>) -> Pass {
        Pass {
            snapshot: Arc::clone(snapshot),
            place: Place::Run(0),
            recount: Recount::begin(snapshot),
        }
    }

    fn begin_run(&mut self, number: u64) {
        let Some((run, there)) = self.snapshot.runs.from(number).next() else {
            self.place = Place::End;
            return;
        };
        self.recount.begin_run(there);
        self.place = Place::Node { run, node: 0 };
    }

    /// Gives how many nodes have not what they are to have.
    fn count_nodes(&mut self, number: u64, node: u64, left: &mut usize) -> u64 {
        let Some(run) = self.snapshot.runs.get(number) else {
            self.place = Place::End;
            return 0;
        };
        let mut off = 0;
        for (node, life) in run.lives.from(node) {
            if *left == 0 {
                self.place = Place::Node { run: number, node };
                return off;
            }
            *left -= 1;
            off += u64::from(self.recount.node(run, node, life).is_err());
        }
        let edge = 0;
        self.place = Place::Edge { run: number, edge };
        off
    }

    /// Gives 1 if the sums of the run are not those of its members.
    fn count_edges(&mut self, number: u64, edge: u64, left: &mut usize) -> u64 {
        let Some(run) = self.snapshot.runs.get(number) else {
            self.place = Place::End;
            return 0;
        };
        for (edge, numbers) in run.edge_numbers.from(edge) {
            if *left == 0 {
                self.place = Place::Edge { run: number, edge };
                return 0;
            }
            *left -= 1;
            self.recount.edge(run, edge, numbers);
        }
        self.place = match number.checked_add(1) {
            Some(next) => Place::Run(next),
            None => Place::End,
        };
        u64::from(*self.recount.run != run.level)
    }

    /// How many of the sums over all runs are not those of their members.
    fn compare_sums(&self) -> u64 {
        let groups_off = self.recount.groups_off(&self.snapshot).count() as u64;
        u64::from(*self.recount.total != *self.snapshot.total) + groups_off
    }
}
