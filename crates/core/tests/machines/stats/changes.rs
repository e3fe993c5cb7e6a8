//! How states of nodes change in a random history, and how a book hears of it: at once, late, twice, out of order, or never.

use std::collections::BTreeMap;

use dataflow_core::Time;
use dataflow_core::lifecycle::transition_allowed;
use dataflow_core::stats::{RefusedTransition, Transition};
use dataflow_ids::stats::{NodeKey, RunNumber};
use dataflow_ids::{Epoch, LifeCycle};

use super::naive::Heard;
use super::play::Play;

/// How many changes are on their way at most.
const UNDER_WAY_MAX: usize = 12;

/// Where a node really stands.
#[derive(Debug, Clone, Copy)]
struct Machine {
    state: LifeCycle,
    epoch: Epoch,
    changes: u64,
}

/// How nodes really stand, and what of it is still to be told.
#[derive(Debug, Default)]
pub(super) struct Changes {
    machines: BTreeMap<NodeKey, Machine>,
    under_way: Vec<(RunNumber, Transition)>,
    /// One that was told, to be told again.
    told: Option<(RunNumber, Transition)>,
    /// How many were taken.
    pub(super) taken: u64,
    /// How many were refused.
    pub(super) refused: u64,
    /// How many were known already.
    pub(super) late: u64,
    /// How many came before others that were missing.
    pub(super) gaps: u64,
    /// How often a node was caught up with of which something was missing.
    pub(super) caught_up: u64,
}

impl Changes {
    /// Whoever has this key now has nothing to do with what is told of another one that had it.
    pub(super) fn node_comes(&mut self, key: NodeKey) {
        if self.machines.contains_key(&key) {
            return;
        }
        let is_of = |(run, transition): &(RunNumber, Transition)| {
            (*run, transition.node) == (key.run, key.node)
        };
        self.under_way.retain(|told| !is_of(told));
        self.told = self.told.filter(|told| !is_of(told));
        let machine = Machine {
            state: LifeCycle::Declared,
            epoch: Epoch::NONE,
            changes: 0,
        };
        self.machines.insert(key, machine);
    }

    pub(super) fn node_goes(&mut self, key: NodeKey) {
        self.machines.remove(&key);
    }

    pub(super) fn run_goes(&mut self, run: RunNumber) {
        self.machines.retain(|key, _| key.run != run);
    }

    fn stands(&self, key: NodeKey, at: Time) -> Option<Transition> {
        let machine = self.machines.get(&key)?;
        Some(Transition {
            node: key.node,
            to: machine.state,
            epoch: machine.epoch,
            sequence: machine.changes,
            at,
        })
    }
}

impl Play {
    /// The state of a node changes. One that has come to its end goes.
    pub(super) fn changes_state(&mut self) {
        let Some(key) = self.node() else {
            return;
        };
        let at = self.moment();
        if self.below(16) == 0 {
            self.told_what_is_not_so(key, at);
        }
        let Some(machine) = self.changes.machines.get(&key).copied() else {
            return;
        };
        let follows = |to: &LifeCycle| transition_allowed(machine.state, *to);
        let next: Vec<LifeCycle> = LifeCycle::ALL.into_iter().filter(follows).collect();
        if next.is_empty() {
            self.ends(at, key);
            return;
        }
        let state = next[self.place(next.len())];
        let epoch = match state {
            LifeCycle::Starting => machine.epoch.next(),
            _ => machine.epoch,
        };
        let changes = machine.changes + 1;
        let machine = Machine {
            state,
            epoch,
            changes,
        };
        self.changes.machines.insert(key, machine);
        let change = self.changes.stands(key, at).expect("it is there");
        let fate = self.below(24);
        if fate == 0 {
            // Nobody ever hears of it.
            return;
        }
        if fate < 5 {
            self.changes.under_way.push((key.run, change));
        }
        if fate > 2 {
            self.tell(key.run, change);
        }
        let under_way = self.changes.under_way.len();
        if under_way > UNDER_WAY_MAX || under_way > 0 && self.below(8) == 0 {
            let place = self.place(under_way);
            let (run, change) = self.changes.under_way.swap_remove(place);
            self.tell(run, change);
        }
    }

    /// A place below this one.
    fn place(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).expect("few")
    }

    /// What the life cycle does not allow, or what was true of an earlier incarnation only, is told as the next change.
    fn told_what_is_not_so(&mut self, key: NodeKey, at: Time) {
        let known = self.book.node(key);
        let state = known.map_or(LifeCycle::Declared, |known| known.state);
        let epoch = known.map_or(Epoch::NONE, |known| known.epoch);
        let to = LifeCycle::ALL[self.place(LifeCycle::ALL.len())];
        let is_old = epoch > Epoch::NONE && self.below(4) == 0;
        if transition_allowed(state, to) && !is_old {
            return;
        }
        let change = Transition {
            node: key.node,
            to,
            epoch: Epoch(epoch.0 - u32::from(is_old)),
            sequence: known.map_or(0, |known| known.transitions.get()) + 1,
            at,
        };
        self.tell(key.run, change);
    }

    /// A change of state comes once more, however long after.
    pub(super) fn told_again(&mut self) {
        if let Some((run, change)) = self.changes.told {
            self.tell(run, change);
        }
    }

    fn tell(&mut self, run: RunNumber, change: Transition) {
        let heard = self.naive.transition(run, &change);
        let said = self.book.transition(run, change);
        let is_right = match heard {
            Heard::News | Heard::Known => said.is_ok(),
            Heard::TooEarly => matches!(said, Err(RefusedTransition::Gap { .. })),
            Heard::Old => matches!(said, Err(RefusedTransition::Old { .. })),
            Heard::NotAllowed => matches!(said, Err(RefusedTransition::NotAllowed { .. })),
            Heard::NotThere => matches!(said, Err(RefusedTransition::NotThere(_))),
        };
        assert!(
            is_right,
            "{said:?} is said of {change:?}, which is {heard:?}"
        );
        let before = *self.book.total();
        let _ = self.book.transition(run, change);
        assert!(
            *self.book.total() == before,
            "told twice, it changes nothing"
        );
        let changes = &mut self.changes;
        changes.taken += u64::from(heard == Heard::News);
        changes.late += u64::from(heard == Heard::Known);
        changes.gaps += u64::from(heard == Heard::TooEarly);
        changes.refused += u64::from(said.is_err());
        if heard == Heard::News && self.below(10) == 0 {
            self.changes.told = Some((run, change));
        }
        if heard == Heard::TooEarly && self.below(2) == 0 {
            let node = change.node;
            self.catch_up(NodeKey { run, node });
        }
    }

    /// Where some node stands is told, whether or not something of it is missing.
    pub(super) fn catches_up(&mut self) {
        if let Some(key) = self.node() {
            self.catch_up(key);
        }
    }

    fn catch_up(&mut self, key: NodeKey) {
        let at = self.moment();
        let Some(stands) = self.changes.stands(key, at) else {
            return;
        };
        let known = self.book.node(key).expect("it is there").transitions;
        self.changes.caught_up += u64::from(known.get() < stands.sequence);
        self.naive.catch_up(key.run, &stands);
        assert_eq!(self.book.catch_up(key.run, stands), Ok(()));
        let known = self.book.node(key).expect("it is there");
        assert_eq!((known.state, known.epoch), (stands.to, stands.epoch));
        assert_eq!(known.transitions.get(), stands.sequence);
        let restarts = u64::from(stands.epoch.0.saturating_sub(1));
        assert_eq!(known.restarts.get(), restarts);
    }
}
