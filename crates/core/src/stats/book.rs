//! The book: all statistics, changed as things happen.

use std::sync::Arc;

use dataflow_ids::stats::{AuditRow, EdgeKey, Keeper, Level, NodeKey, NodeNumbers, RunNumber};
use dataflow_ids::{Epoch, NodeId};

use super::facts::{RefusedTransition, Transition};
use super::groups::GroupNumber;
use super::journal::{Fact, Journal};
use super::levels::{self, Faults, Step};
use super::rows::{EdgeNumbers, Life, Run};
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

    /// Takes the next change of a node's state. Changes are known by their `sequence`: one that has been taken already, or
    /// that came before one that has been, says nothing new and changes nothing.
    ///
    /// # Errors
    ///
    /// [`RefusedTransition`] when changes before it have not been told, the life cycle does not allow it, it is of an earlier
    /// incarnation than what is known, or the node is not there: of the node and all levels nothing has changed then.
    pub fn transition(
        &mut self,
        run: RunNumber,
        transition: Transition,
    ) -> Result<(), RefusedTransition> {
        (self.journal).write(1, || Fact::Transition(run, transition));
        let Some(life) = self.known_before(run, &transition)? else {
            return Ok(());
        };
        let (from, to) = (life.state, transition.to);
        let (sequence, known) = (transition.sequence, life.transitions.get());
        if sequence > known.saturating_add(1) && !is_broken(Rule::GapIsNotSeen) {
            return Err(self.refuse(RefusedTransition::Gap { sequence, known }));
        }
        if !transition_allowed(from, to) && !is_broken(Rule::AnyTransitionIsAllowed) {
            return Err(self.refuse(RefusedTransition::NotAllowed { from, to }));
        }
        self.change(run, &transition, &life, 1);
        Ok(())
    }

    /// Takes where a node stands, which is the last of its changes, when some before it may not have been told: how many they
    /// were is known by its `sequence`. Until now the node counts as having been in the state that was known. What was told
    /// already changes nothing, and what is told of the changes before it afterwards comes too late to change anything.
    ///
    /// # Errors
    ///
    /// [`RefusedTransition`] when it is of an earlier incarnation than what is known, or the node is not there.
    pub fn catch_up(
        &mut self,
        run: RunNumber,
        stands: Transition,
    ) -> Result<(), RefusedTransition> {
        (self.journal).write(1, || Fact::CaughtUp(run, Box::new(stands)));
        if let Some(life) = self.known_before(run, &stands)? {
            let changes = stands.sequence.saturating_sub(life.transitions.get());
            self.change(run, &stands, &life, changes);
        }
        Ok(())
    }

    /// What is known of a node, unless this change of it is part of that.
    fn known_before(
        &self,
        run: RunNumber,
        transition: &Transition,
    ) -> Result<Option<Life>, RefusedTransition> {
        let key = NodeKey {
            run,
            node: transition.node,
        };
        let there = self.now.runs.get(run.0);
        let life = there.and_then(|run| run.lives.get(key.node.0.into()));
        let life = *life.ok_or(RefusedTransition::NotThere(key))?;
        if transition.sequence <= life.transitions.get() && !is_broken(Rule::LateChangeCounts) {
            return Ok(None);
        }
        let (epoch, known) = (transition.epoch, life.epoch);
        if known > epoch {
            return Err(RefusedTransition::Old { epoch, known });
        }
        Ok(Some(life))
    }

    fn refuse(&mut self, why: RefusedTransition) -> RefusedTransition {
        self.now.audit.refused_transitions.add(1);
        self.changed();
        why
    }

    /// A node of which this was known has changed its state, so many times in all.
    fn change(&mut self, run: RunNumber, transition: &Transition, known: &Life, changes: u64) {
        let Transition {
            node, to, epoch, ..
        } = *transition;
        let at_ns = self.moment(transition.at);
        let sequence = self.changed();
        // The first incarnation is a start, every later one a restart.
        let starts = |epoch: Epoch| u64::from(epoch.0.saturating_sub(1));
        let from = known.state;
        let step = Step {
            from,
            to,
            since_ns: known.since_ns,
            at_ns,
            changes,
            restarts: starts(epoch).saturating_sub(starts(known.epoch)),
        };
        let Some(there) = self.now.runs.get_mut(run.0) else {
            return;
        };
        let Some(life) = there.lives.get_mut(node.0.into()) else {
            return;
        };
        life.sequence = sequence;
        let spent = at_ns.saturating_sub(life.since_ns);
        life.time_in_state_ns[from] = life.time_in_state_ns[from].saturating_add(spent);
        life.since_ns = at_ns;
        life.transitions.add(changes);
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
