//! The book: all statistics, changed as things happen.

use std::sync::Arc;

use dataflow_ids::stats::{AuditRow, EdgeKey, Keeper, Level, NodeKey, NodeNumbers, RunNumber};
use dataflow_ids::{Epoch, NodeId};

use super::facts::{RefusedTransition, Transition};
use super::groups::GroupNumber;
use super::journal::{Fact, Journal};
use super::levels::{self, Faults, Step};
use super::rows::{EdgeNumbers, Run};
use super::slots::Share;
use super::snapshot::Snapshot;
use crate::broken::{Rule, is_broken};
use crate::lifecycle::transition_allowed;
use crate::time::Time;

/// All statistics of one keeper. Its methods take what has happened, and each changes all levels in one step.
///
/// Moments never go back: one that is earlier than what the book has seen counts as the latest that it has seen. No
/// method panics, whatever it is told.
#[derive(Debug, Clone)]
pub struct Book {
    pub(super) now: Snapshot,
    groups_max: usize,
    pub(super) runs_given: u64,
    /// For a copy on another thread.
    pub(super) journal: Journal,
}

/// A moment, as rows have it.
pub(super) fn nanoseconds(at: Time) -> u64 {
    u64::try_from(at.0.as_nanos()).unwrap_or(u64::MAX)
}

/// What the levels of a node are changed by.
pub(super) struct Levels<'a> {
    pub(super) total: &'a mut Level,
    pub(super) run: &'a mut Level,
    pub(super) group: Option<&'a mut Level>,
}

impl Levels<'_> {
    pub(super) fn each(&mut self, mut change: impl FnMut(&mut Level)) {
        change(self.total);
        change(self.run);
        if let Some(group) = &mut self.group {
            change(group);
        }
    }
}

impl Book {
    /// A book without members. `keeper` is a number that no other book ever had; at most `groups_max` names have a group
    /// of their own ([`GROUPS_MAX`](super::GROUPS_MAX)).
    #[must_use]
    pub fn new(keeper: Keeper, groups_max: usize) -> Book {
        Book {
            now: Snapshot::empty(keeper),
            groups_max,
            runs_given: 0,
            journal: Journal::default(),
        }
    }

    /// Takes a node's new state. One that it is in already, in the same incarnation, is a repetition and changes nothing.
    ///
    /// # Errors
    ///
    /// [`RefusedTransition`] when the life cycle does not allow it, it is old, or the node is not there: nothing has
    /// changed then.
    pub fn transition(
        &mut self,
        run: RunNumber,
        transition: Transition,
    ) -> Result<(), RefusedTransition> {
        (self.journal).write(1, || Fact::Transition(run, transition));
        let Transition {
            node,
            to,
            epoch,
            at,
        } = transition;
        let key = NodeKey { run, node };
        let node = u64::from(node.0);
        let life = (self.now.runs.get(run.0)).and_then(|run| run.lives.get(node));
        let life = *life.ok_or(RefusedTransition::NotThere(key))?;
        if life.epoch > epoch {
            let known = life.epoch;
            return Err(RefusedTransition::Old { epoch, known });
        }
        if (life.state, life.epoch) == (to, epoch) {
            return Ok(());
        }
        let from = life.state;
        if !transition_allowed(from, to) && !is_broken(Rule::AnyTransitionIsAllowed) {
            self.now.audit.refused_transitions.add(1);
            self.changed();
            return Err(RefusedTransition::NotAllowed { from, to });
        }
        let at_ns = self.moment(at);
        let sequence = self.changed();
        // The first incarnation is a start, every later one a restart.
        let starts = |epoch: Epoch| u64::from(epoch.0.saturating_sub(1));
        let step = Step {
            from,
            to,
            since_ns: life.since_ns,
            at_ns,
            restarts: starts(epoch).saturating_sub(starts(life.epoch)),
        };
        let Some(there) = self.now.runs.get_mut(run.0) else {
            return Ok(());
        };
        let Some(life) = there.lives.get_mut(node) else {
            return Ok(());
        };
        life.sequence = sequence;
        let spent = at_ns.saturating_sub(life.since_ns);
        life.time_in_state_ns[from] = life.time_in_state_ns[from].saturating_add(spent);
        life.since_ns = at_ns;
        life.transitions.add(1);
        life.restarts.add(step.restarts);
        life.epoch = epoch;
        life.state = to;
        let group = life.group;
        let mut faults = Faults::default();
        let mut levels = Levels {
            total: &mut self.now.total,
            run: &mut there.level,
            group: self.now.groups.level_mut(group),
        };
        levels.each(|level| levels::transition(level, &step, &mut faults));
        self.blame(&faults);
        Ok(())
    }

    /// All that the book knows, for readers: it does not change any more, and shares what has not changed with the book
    /// and with other snapshots.
    pub fn publish(&mut self, at: Time) -> Arc<Snapshot> {
        self.moment(at);
        Arc::new(self.shared())
    }

    /// All that the book knows, of which it shares all rows.
    pub(super) fn shared(&mut self) -> Snapshot {
        self.now.share();
        self.now.clone()
    }

    /// The group that a node of this name is put into, and the name as all nodes of it share it.
    pub(super) fn join_group(&mut self, name: &NodeId) -> (GroupNumber, Arc<NodeId>) {
        let groups = &mut self.now.groups;
        let before = groups.len();
        let joined = groups.join(name, self.groups_max);
        if groups.len() > before {
            self.changed();
        }
        joined
    }

    /// As [`Snapshot::total`].
    #[must_use]
    pub fn total(&self) -> &Level {
        self.now.total()
    }

    /// As [`Snapshot::dataflow`].
    #[must_use]
    pub fn dataflow(&self, run: RunNumber) -> Option<&Level> {
        self.now.dataflow(run)
    }

    /// As [`Snapshot::group`].
    #[must_use]
    pub fn group(&self, name: Option<&NodeId>) -> Option<&Level> {
        self.now.group(name)
    }

    /// As [`Snapshot::node`].
    #[must_use]
    pub fn node(&self, key: NodeKey) -> Option<NodeNumbers> {
        self.now.node(key)
    }

    /// As [`Snapshot::edge`].
    #[must_use]
    pub fn edge(&self, key: EdgeKey) -> Option<&EdgeNumbers> {
        self.now.edge(key)
    }

    /// Grows with every change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.now.revision
    }

    /// What the auditor has found.
    #[must_use]
    pub fn audit_row(&self) -> &AuditRow {
        self.now.audit()
    }

    /// The moment, as the book counts it: never before one that it has seen.
    pub(super) fn moment(&mut self, at: Time) -> u64 {
        let at_ns = nanoseconds(at);
        if is_broken(Rule::MomentsGoBack) {
            self.now.at_ns = at_ns;
        }
        self.now.at_ns = self.now.at_ns.max(at_ns);
        self.now.at_ns
    }

    /// Something changes; gives the revision that it leads to.
    pub(super) fn changed(&mut self) -> u64 {
        self.now.revision += 1;
        self.now.revision
    }

    pub(super) fn blame(&mut self, faults: &Faults) {
        self.now.audit.mismatches.add(faults.0);
    }

    pub(super) fn run_mut(&mut self, run: RunNumber) -> Option<&mut Run> {
        self.now.runs.get_mut(run.0)
    }

    pub(super) fn each_level(
        &mut self,
        run: RunNumber,
        group: GroupNumber,
        change: impl FnMut(&mut Level),
    ) {
        let Some(there) = self.now.runs.get_mut(run.0) else {
            return;
        };
        let mut levels = Levels {
            total: &mut self.now.total,
            run: &mut there.level,
            group: self.now.groups.level_mut(group),
        };
        levels.each(change);
    }
}
