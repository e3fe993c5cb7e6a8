//! The mailbox of an actor, which outlives each of its incarnations, and the handle that others hold.
//!
//! actix drops what is queued when an actor panics, and its `do_send` ignores the bound. So the queue is ours and
//! belongs to the handle: an actor is only nudged, takes one message at a time, and the message stays in hand
//! until its handler has returned. The next incarnation gets that message once more; one that fails twice is
//! dead-lettered, which the root learns. Nothing is lost without being counted (I-10):
//! `sent == handled + returned + dead_lettered + waiting`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use actix::Recipient;
use tokio::sync::Notify;

use super::shell::Nudge;
use crate::actors::ActorName;

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

/// A message that was not taken. It is given back.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TellError<M> {
    /// The mailbox holds as many messages as it may.
    #[error("the mailbox is full")]
    Full(M),
    /// The actor has ended for good.
    #[error("the actor has ended")]
    Ended(M),
}

struct InHand<M> {
    message: Rc<M>,
    attempts: u32,
    /// Whether an incarnation works on it at this moment.
    taken: bool,
}

/// The messages of one actor.
pub(crate) struct Mailbox<M> {
    name: ActorName,
    capacity: usize,
    /// Life-cycle facts: a lane that cannot refuse. At most a few per incarnation of a process.
    facts: RefCell<VecDeque<M>>,
    messages: RefCell<VecDeque<M>>,
    in_hand: RefCell<Option<InHand<M>>>,
    nudge: RefCell<Option<Recipient<Nudge>>>,
    room: Notify,
    ended: Cell<bool>,
    counts: Cell<Counts>,
    last_panic: RefCell<Option<String>>,
}

impl<M> Mailbox<M> {
    pub(crate) fn new(name: ActorName, capacity: usize) -> Rc<Mailbox<M>> {
        Rc::new(Mailbox {
            name,
            capacity,
            facts: RefCell::default(),
            messages: RefCell::default(),
            in_hand: RefCell::new(None),
            nudge: RefCell::new(None),
            room: Notify::new(),
            ended: Cell::new(false),
            counts: Cell::default(),
            last_panic: RefCell::default(),
        })
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    /// Whose mailbox it is.
    #[cfg(test)]
    pub(super) fn name(&self) -> ActorName {
        self.name
    }

    /// What has been counted.
    pub(crate) fn counts(&self) -> Counts {
        let in_hand = usize::from(self.in_hand.borrow().is_some());
        let waiting = self.facts.borrow().len() + self.messages.borrow().len() + in_hand;
        Counts {
            waiting: waiting as u64,
            ..self.counts.get()
        }
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
                taken: false,
            });
        }
        in_hand.as_mut().map(|in_hand| {
            in_hand.attempts += 1;
            in_hand.taken = true;
            Rc::clone(&in_hand.message)
        })
    }

    /// The handler of the message in hand has returned.
    pub(super) fn done(&self) {
        if self.in_hand.borrow_mut().take().is_some() {
            self.count(|counts| counts.handled += 1);
        }
    }

    /// An actor has panicked. Gives whether the message in hand has failed for the last time and is
    /// dead-lettered now.
    pub(crate) fn panicked(&self) -> bool {
        let mut in_hand = self.in_hand.borrow_mut();
        match in_hand.as_mut() {
            Some(held) if held.taken && held.attempts >= ATTEMPTS_MAX => {
                *in_hand = None;
                self.count(|counts| counts.dead_lettered += 1);
                true
            }
            Some(held) => {
                held.taken = false;
                false
            }
            None => false,
        }
    }

    pub(super) fn note_panic(&self, what: String) {
        *self.last_panic.borrow_mut() = Some(what);
    }

    /// What the last panic said.
    pub(crate) fn last_panic(&self) -> Option<String> {
        self.last_panic.borrow().clone()
    }

    /// Ends the actor for good. What waits is dead-lettered.
    pub(crate) fn end(&self) {
        self.ended.set(true);
        // Without an address left, actix stops the actor.
        self.nudge.borrow_mut().take();
        let facts = std::mem::take(&mut *self.facts.borrow_mut());
        let messages = std::mem::take(&mut *self.messages.borrow_mut());
        let left = facts.len() + messages.len();
        if left > 0 {
            tracing::debug!(actor = %self.name, messages = left, "messages left at the end");
        }
        self.count(|counts| counts.dead_lettered += left as u64);
        // A message that an actor works on at this moment is still handled.
        self.room.notify_waiters();
    }

    fn push(&self, message: M) -> Result<(), TellError<M>> {
        self.count(|counts| counts.sent += 1);
        let refused = if self.ended.get() {
            TellError::Ended(message)
        } else if self.messages.borrow().len() >= self.capacity {
            TellError::Full(message)
        } else {
            self.messages.borrow_mut().push_back(message);
            self.nudge();
            return Ok(());
        };
        self.count(|counts| counts.returned += 1);
        Err(refused)
    }

    fn nudge(&self) {
        if let Some(nudge) = &*self.nudge.borrow() {
            // Full: it has been nudged already. Closed: the next incarnation begins with a nudge.
            let _ = nudge.try_send(Nudge);
        }
    }
}

/// What others hold of an actor: it stays valid when the actor is rebuilt.
pub(crate) struct Handle<M> {
    mailbox: Rc<Mailbox<M>>,
}

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Handle {
            mailbox: Rc::clone(&self.mailbox),
        }
    }
}

impl<M> Handle<M> {
    pub(crate) fn new(mailbox: Rc<Mailbox<M>>) -> Handle<M> {
        Handle { mailbox }
    }

    /// What has become of the messages to its actor.
    pub(crate) fn counts(&self) -> Counts {
        self.mailbox.counts()
    }

    /// Sends a message, or gets it back at once.
    pub(crate) fn tell(&self, message: M) -> Result<(), TellError<M>> {
        self.mailbox.push(message)
    }

    /// Sends a life-cycle fact, which is never refused. After the actor's end for good it is dead-lettered.
    pub(crate) fn fact(&self, message: M) {
        let mailbox = &self.mailbox;
        mailbox.count(|counts| counts.sent += 1);
        if mailbox.ended.get() {
            mailbox.count(|counts| counts.dead_lettered += 1);
            return;
        }
        mailbox.facts.borrow_mut().push_back(message);
        mailbox.nudge();
    }

    /// Sends a message when there is room for it: for tasks that bring in what processes say.
    pub(crate) async fn deliver(&self, message: M) -> Result<(), TellError<M>> {
        let mut message = message;
        loop {
            let room = self.mailbox.room.notified();
            match self.mailbox.push(message) {
                Err(TellError::Full(given_back)) => {
                    message = given_back;
                    room.await;
                }
                result => return result,
            }
        }
    }
}
