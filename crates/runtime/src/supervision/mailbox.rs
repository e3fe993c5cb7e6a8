//! The mailbox of an actor, which outlives each of its incarnations.
//!
//! actix drops what is queued when an actor panics, and its `do_send` ignores the bound. So the queue is ours and
//! belongs to the handle: an actor is only nudged, takes one message at a time, and the message stays in hand
//! until its handler has returned. The next incarnation gets that message once more; one that fails twice is
//! dead-lettered, which the supervisor learns. Nothing is lost without being counted (I-10):
//! `sent == handled + returned + dead_lettered + waiting`.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use actix::Recipient;
use dataflow_core::broken::{Rule, is_broken};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

#[cfg(any(test, feature = "faults"))]
use super::faults::Faults;
use super::handle::TellError;
use super::message::Message;
use super::seen::What;
use super::shell::Nudge;

/// How often a message is handed to an actor before it is dead-lettered.
const ATTEMPTS_MAX: u32 = 2;

/// What has become of the messages to one actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Every attempt to send.
    pub sent: u64,
    /// Handlers that returned.
    pub handled: u64,
    /// Messages given back to their sender.
    pub returned: u64,
    /// Messages that nobody will handle: they failed twice, or the run ended first.
    pub dead_lettered: u64,
    /// Messages in the queue or in hand.
    pub waiting: u64,
}

impl Counts {
    /// Whether I-10 holds: each message that was sent is in exactly one of the other four.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.sent == self.handled + self.returned + self.dead_lettered + self.waiting
    }
}

/// What stands instead of a kind when an actor panics over no message.
const OUTSIDE: &str = "begin";

/// In which queue of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Bounded, and first in first out.
    Messages,
    /// Life-cycle facts: it cannot refuse, and comes first.
    Facts,
}

struct InHand<M> {
    message: Rc<M>,
    attempts: u32,
    /// Whether an incarnation works on it at this moment.
    is_taken: bool,
}

/// Is told what has become of the messages to an actor.
type OnCount = Box<dyn Fn(Counts)>;

/// The messages of one actor.
pub struct Mailbox<M> {
    name: Rc<str>,
    capacity: usize,
    /// At most a few per incarnation of a process.
    facts: RefCell<VecDeque<M>>,
    messages: RefCell<VecDeque<M>>,
    in_hand: RefCell<Option<InHand<M>>>,
    nudge: RefCell<Option<Recipient<Nudge>>>,
    room: Notify,
    has_ended: Cell<bool>,
    counts: Cell<Counts>,
    /// Told whenever something was counted.
    on_count: OnceCell<OnCount>,
    last_panic: RefCell<Option<String>>,
    /// Whether the last panic dead-lettered what was in hand.
    is_poisoned: Cell<bool>,
    #[cfg(any(test, feature = "faults"))]
    pub(super) faults: Faults<M>,
}

impl<M: Message> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({}: {:?})", self.name, self.counts())
    }
}

impl<M: Message> Mailbox<M> {
    /// An empty mailbox. `name` is what a person calls the actor; `capacity` is how many messages may wait, life-cycle
    /// facts not counted.
    #[must_use]
    pub fn new(name: impl fmt::Display, capacity: usize) -> Rc<Mailbox<M>> {
        Rc::new(Mailbox {
            name: name.to_string().into(),
            capacity,
            facts: RefCell::default(),
            messages: RefCell::default(),
            in_hand: RefCell::new(None),
            nudge: RefCell::new(None),
            room: Notify::new(),
            has_ended: Cell::new(false),
            counts: Cell::default(),
            on_count: OnceCell::new(),
            last_panic: RefCell::default(),
            is_poisoned: Cell::new(false),
            #[cfg(any(test, feature = "faults"))]
            faults: Faults::default(),
        })
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
        if let Some(on_count) = self.on_count.get() {
            let settled = counts.handled + counts.returned + counts.dead_lettered;
            on_count(Counts {
                waiting: counts.sent.saturating_sub(settled),
                ..counts
            });
        }
    }

    /// Whoever cannot look at it, since that is on another thread, is told of everything that is counted from now on. The first
    /// who asks for it is.
    pub(crate) fn on_count(&self, told: impl Fn(Counts) + 'static) {
        let _ = self.on_count.set(Box::new(told));
    }

    /// Whose mailbox it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What has been counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let in_hand = usize::from(self.in_hand.borrow().is_some());
        let waiting = self.facts.borrow().len() + self.messages.borrow().len() + in_hand;
        #[cfg(any(test, feature = "faults"))]
        let waiting = waiting + self.faults.held();
        Counts {
            waiting: waiting as u64,
            ..self.counts.get()
        }
    }

    /// Ends the actor for good. What waits is dead-lettered; a message that the actor works on at this moment is still
    /// handled.
    pub fn end(&self) {
        self.has_ended.set(true);
        // Without an address left, actix stops the actor.
        self.nudge.borrow_mut().take();
        let mut left: Vec<&'static str> = Vec::new();
        let in_hand = (self.in_hand.borrow_mut()).take_if(|in_hand| !in_hand.is_taken);
        left.extend(in_hand.iter().map(|in_hand| in_hand.message.kind()));
        let facts = std::mem::take(&mut *self.facts.borrow_mut());
        let messages = std::mem::take(&mut *self.messages.borrow_mut());
        left.extend(facts.iter().chain(&messages).map(Message::kind));
        #[cfg(any(test, feature = "faults"))]
        left.extend(self.faults.forget_held().iter().map(Message::kind));
        if !left.is_empty() {
            tracing::debug!(actor = %self.name, messages = left.len(), "messages left at the end");
        }
        for kind in left {
            self.dead_letter(kind);
        }
        self.room.notify_waiters();
    }

    pub(super) fn dead_letter(&self, kind: &'static str) {
        self.count(|counts| counts.dead_lettered += 1);
        self.see(kind, What::DeadLettered);
    }

    /// The actor of the next incarnation is there.
    pub(super) fn attach(&self, nudge: Recipient<Nudge>) {
        *self.nudge.borrow_mut() = Some(nudge);
    }

    /// Whether something waits for the actor.
    pub(super) fn is_waiting(&self) -> bool {
        !self.facts.borrow().is_empty()
            || !self.messages.borrow().is_empty()
            || self.in_hand.borrow().is_some()
    }

    /// Whether facts wait that the actor has not heard.
    pub(super) fn has_facts(&self) -> bool {
        !self.facts.borrow().is_empty()
    }

    /// The next message, which stays in hand until [`Mailbox::done`]. One that was in hand when an actor
    /// panicked comes first.
    pub(super) fn take(&self) -> Option<Rc<M>> {
        let mut in_hand = self.in_hand.borrow_mut();
        if in_hand.is_none() {
            let message = self.facts.borrow_mut().pop_front().or_else(|| {
                let message = self.messages.borrow_mut().pop_front();
                self.room.notify_one();
                message
            })?;
            *in_hand = Some(InHand {
                message: Rc::new(message),
                attempts: 0,
                is_taken: false,
            });
        }
        in_hand.as_mut().map(|in_hand| {
            in_hand.attempts += 1;
            in_hand.is_taken = true;
            Rc::clone(&in_hand.message)
        })
    }

    /// The handler of the message in hand has returned.
    pub(super) fn done(&self) {
        // What the message's own drop does finds nothing borrowed.
        let handled = self.in_hand.borrow_mut().take();
        if let Some(handled) = handled {
            self.count(|counts| counts.handled += 1);
            self.see(handled.message.kind(), What::Handled);
        }
    }

    /// The actor has panicked, and said this. The message in hand is kept for the next incarnation, unless it has
    /// failed for the last time.
    pub(super) fn panicked(&self, what: String) {
        *self.last_panic.borrow_mut() = Some(what);
        let mut in_hand = self.in_hand.borrow_mut();
        let (kind, is_last) = match in_hand.as_mut() {
            Some(held) if held.is_taken => {
                held.is_taken = false;
                let is_last = held.attempts >= ATTEMPTS_MAX || self.has_ended.get();
                (held.message.kind(), is_last)
            }
            _ => (OUTSIDE, false),
        };
        let failed = in_hand.take_if(|_| is_last);
        if is_broken(Rule::MessageInHandIsLost) {
            *in_hand = None;
        }
        drop(in_hand);
        self.see(kind, What::Panicked);
        if failed.is_some() {
            self.is_poisoned.set(true);
            self.dead_letter(kind);
        }
    }

    /// Whether a panic has dead-lettered a message since this was asked last.
    pub(super) fn take_poisoned(&self) -> bool {
        self.is_poisoned.take()
    }

    /// What the last panic said.
    #[must_use]
    pub fn last_panic(&self) -> Option<String> {
        self.last_panic.borrow().clone()
    }

    /// Resolves when there may be room again.
    pub(super) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    /// Somebody who waits for room may look again.
    #[cfg(any(test, feature = "faults"))]
    pub(super) fn look_again(&self) {
        self.room.notify_one();
    }

    /// Takes a message, or gives it back. A fact is never given back: after the end for good it is dead-lettered.
    pub(super) fn send(self: &Rc<Self>, message: M, lane: Lane) -> Result<(), TellError<M>> {
        #[cfg(any(test, feature = "faults"))]
        let Some(message) = self.through_faults(message, lane)? else {
            return Ok(());
        };
        self.admit(message, lane)?;
        #[cfg(any(test, feature = "faults"))]
        self.release_reordered();
        Ok(())
    }

    /// As [`Mailbox::send`], past every fault.
    pub(super) fn admit(&self, message: M, lane: Lane) -> Result<(), TellError<M>> {
        let kind = message.kind();
        self.count(|counts| counts.sent += 1);
        let refused = match lane {
            Lane::Facts if self.has_ended.get() => {
                self.see(kind, What::Sent);
                self.dead_letter(kind);
                return Ok(());
            }
            Lane::Messages if self.has_ended.get() => TellError::Ended(message),
            Lane::Messages if self.messages.borrow().len() >= self.capacity => {
                TellError::Full(message)
            }
            Lane::Facts | Lane::Messages => {
                self.see(kind, What::Sent);
                self.enqueue(message, lane);
                return Ok(());
            }
        };
        self.count(|counts| counts.returned += 1);
        self.see(kind, What::Returned);
        Err(refused)
    }

    /// Puts a message that was counted into its queue.
    pub(super) fn enqueue(&self, message: M, lane: Lane) {
        match lane {
            Lane::Messages => self.messages.borrow_mut().push_back(message),
            Lane::Facts => self.facts.borrow_mut().push_back(message),
        }
        self.nudge();
    }

    pub(super) fn nudge(&self) {
        if let Some(nudge) = &*self.nudge.borrow() {
            // Full: it has been nudged already. Closed: the next incarnation begins with a nudge.
            let _ = nudge.try_send(Nudge);
        }
    }

    /// Tells whoever watches. Nobody does outside of tests.
    #[inline]
    pub(super) fn see(&self, kind: &'static str, what: What) {
        #[cfg(any(test, feature = "faults"))]
        self.faults.see(&self.name, kind, what);
        #[cfg(not(any(test, feature = "faults")))]
        let _ = (kind, what);
    }

    /// Whether the actor has ended for good.
    #[cfg(any(test, feature = "faults"))]
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.get()
    }

    /// The kind of what the actor takes next.
    #[cfg(any(test, feature = "faults"))]
    pub(super) fn next_kind(&self) -> Option<&'static str> {
        if let Some(in_hand) = &*self.in_hand.borrow() {
            return Some(in_hand.message.kind());
        }
        let facts = self.facts.borrow();
        let messages = self.messages.borrow();
        facts.front().or(messages.front()).map(Message::kind)
    }
}
