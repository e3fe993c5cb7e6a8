//! Which messages to one actor a fault strikes, and what it does to them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::super::mailbox::Lane;
use super::super::seen::{Seen, What};

/// Which messages a fault strikes. Counted are those of its kind that come by from the moment it is injected on, each
/// fault for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    kind: Option<&'static str>,
    first: u64,
    times: u64,
}

impl When {
    /// The next message, of whatever kind.
    #[must_use]
    pub fn any() -> When {
        When {
            kind: None,
            first: 1,
            times: 1,
        }
    }

    /// The next message of this kind, named as its variant is.
    #[must_use]
    pub fn kind(kind: &'static str) -> When {
        When {
            kind: Some(kind),
            ..When::any()
        }
    }

    /// Not the next, but the n-th, counted from 1.
    #[must_use]
    pub fn nth(self, n: u64) -> When {
        When { first: n, ..self }
    }

    /// Not one, but so many in a row.
    #[must_use]
    pub fn times(self, times: u64) -> When {
        When { times, ..self }
    }

    pub(super) fn named(&self) -> Option<&'static str> {
        self.kind
    }
}

/// What is done to a message, or to the actor over it. Each has one effect on the [`Counts`], so that they still
/// balance.
///
/// [`Counts`]: crate::actor::Counts
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// On its way, it is lost: its sender believes that it was taken. Dead-lettered.
    Drop,
    /// On its way, it is held up for so long; others overtake it. It counts as waiting, and is not asked for room
    /// when it arrives.
    Delay(Duration),
    /// On its way, it is held until the next message was taken. It counts as waiting.
    Reorder,
    /// The mailbox claims to be full. Returned; [`Handle::deliver`](crate::actor::Handle::deliver) tries again at once.
    /// A fact cannot be refused, so this does not see it.
    Full,
    /// The handler panics before it does anything. The message is handled once more by the next incarnation; the
    /// second panic over it dead-letters it.
    PanicBefore,
    /// The handler panics after it has done everything. What becomes of the message, as with
    /// [`Fault::PanicBefore`]; so it is handled twice.
    PanicAfter,
    /// The actor ends, as by a panic, before it takes the message, which goes on waiting.
    Kill,
}

/// A fault that was injected.
#[derive(Debug, Clone, Default)]
pub struct Injected {
    struck: Rc<Cell<u64>>,
}

impl Injected {
    /// How often it has struck.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.struck.get()
    }
}

/// What a rule does.
pub(super) enum Action<M> {
    Fault(Fault),
    /// With how to copy a message.
    Duplicate(fn(&M) -> M),
}

impl<M> Clone for Action<M> {
    fn clone(&self) -> Self {
        match self {
            Action::Fault(fault) => Action::Fault(*fault),
            Action::Duplicate(copy) => Action::Duplicate(*copy),
        }
    }
}

/// Where on a message's way a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    Sent(Lane),
    Taken,
    Before,
    After,
}

impl<M> Action<M> {
    fn stands_at(&self, point: Point) -> bool {
        match self {
            Action::Duplicate(_) => matches!(point, Point::Sent(_)),
            Action::Fault(Fault::Drop | Fault::Delay(_) | Fault::Reorder) => {
                matches!(point, Point::Sent(_))
            }
            Action::Fault(Fault::Full) => point == Point::Sent(Lane::Messages),
            Action::Fault(Fault::Kill) => point == Point::Taken,
            Action::Fault(Fault::PanicBefore) => point == Point::Before,
            Action::Fault(Fault::PanicAfter) => point == Point::After,
        }
    }
}

struct Rule<M> {
    when: When,
    action: Action<M>,
    passed: u64,
    injected: Injected,
}

impl<M> Rule<M> {
    /// A message comes by. Gives whether it is struck.
    fn strikes(&mut self, kind: &'static str, point: Point) -> bool {
        if !self.action.stands_at(point) || self.when.kind.is_some_and(|wanted| wanted != kind) {
            return false;
        }
        self.passed += 1;
        self.passed >= self.when.first && self.passed - self.when.first < self.when.times
    }
}

type Watcher = Rc<dyn Fn(&Seen<'_>)>;

/// The faults of one mailbox, what they hold back, and who watches.
pub(in super::super) struct Faults<M> {
    rules: RefCell<Vec<Rule<M>>>,
    delayed: RefCell<BTreeMap<u64, (M, Lane)>>,
    delays: Cell<u64>,
    reordered: RefCell<VecDeque<(M, Lane)>>,
    is_to_die: Cell<bool>,
    watcher: RefCell<Option<Watcher>>,
}

impl<M> Default for Faults<M> {
    fn default() -> Self {
        Faults {
            rules: RefCell::default(),
            delayed: RefCell::default(),
            delays: Cell::new(0),
            reordered: RefCell::default(),
            is_to_die: Cell::new(false),
            watcher: RefCell::default(),
        }
    }
}

impl<M> Faults<M> {
    pub(super) fn add(&self, when: When, action: Action<M>) -> Injected {
        let injected = Injected::default();
        self.rules.borrow_mut().push(Rule {
            when,
            action,
            passed: 0,
            injected: injected.clone(),
        });
        injected
    }

    /// What strikes a message that comes by: every fault counts it, and of those that strike the first one does.
    pub(super) fn due(&self, kind: &'static str, point: Point) -> Option<Action<M>> {
        let mut due = None;
        for rule in &mut *self.rules.borrow_mut() {
            if rule.strikes(kind, point) && due.is_none() {
                rule.injected.struck.set(rule.injected.struck.get() + 1);
                due = Some(rule.action.clone());
            }
        }
        due
    }

    /// How many messages are held back.
    pub(in super::super) fn held(&self) -> usize {
        self.delayed.borrow().len() + self.reordered.borrow().len()
    }

    /// Gives up everything that is held back.
    pub(in super::super) fn forget_held(&self) -> Vec<M> {
        let delayed = std::mem::take(&mut *self.delayed.borrow_mut());
        let reordered = std::mem::take(&mut *self.reordered.borrow_mut());
        let held = delayed.into_values().chain(reordered);
        held.map(|(message, _)| message).collect()
    }

    pub(super) fn delay(&self, message: M, lane: Lane) -> u64 {
        let delay = self.delays.get();
        self.delays.set(delay + 1);
        self.delayed.borrow_mut().insert(delay, (message, lane));
        delay
    }

    pub(super) fn arrived(&self, delay: u64) -> Option<(M, Lane)> {
        self.delayed.borrow_mut().remove(&delay)
    }

    pub(super) fn reorder(&self, message: M, lane: Lane) {
        self.reordered.borrow_mut().push_back((message, lane));
    }

    pub(super) fn next_reordered(&self) -> Option<(M, Lane)> {
        self.reordered.borrow_mut().pop_front()
    }

    pub(super) fn die(&self) {
        self.is_to_die.set(true);
    }

    pub(super) fn take_death(&self) -> bool {
        self.is_to_die.take()
    }

    pub(super) fn watch(&self, watcher: Watcher) {
        *self.watcher.borrow_mut() = Some(watcher);
    }

    pub(in super::super) fn see(&self, actor: &str, kind: &'static str, what: What) {
        let watcher = self.watcher.borrow().clone();
        if let Some(watcher) = watcher {
            watcher(&Seen { actor, kind, what });
        }
    }
}
