//! Faults of one actor: injected at its mailbox, where its messages arrive and where it takes them.

use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use super::super::handle::{Handle, TellError};
use super::super::mailbox::{Lane, Mailbox};
use super::super::message::Message;
use super::super::seen::{Seen, What};
use super::rules::{Action, Fault, Injected, Point, When};

/// Panics, as a fault does: without a word on standard error.
pub(in super::super) fn panic() -> ! {
    resume_unwind(Box::new("the injected fault"))
}

/// Faults of the actor that the handle leads to.
impl<M: Message> Handle<M> {
    /// Lets a fault strike some of the messages to the actor from now on, by whichever handle they come.
    ///
    /// # Panics
    /// When the messages have no such kind.
    pub fn inject(&self, when: When, fault: Fault) -> Injected {
        self.mailbox().inject(when, fault)
    }

    /// Delivers some messages twice from now on. The copy counts as sent for itself; if there is no room for it, it
    /// counts as returned.
    ///
    /// # Panics
    /// When the messages have no such kind.
    pub fn duplicate(&self, when: When) -> Injected
    where
        M: Clone,
    {
        self.mailbox().add(when, Action::Duplicate(M::clone))
    }

    /// Ends the actor, as by a panic, before it takes another message. It is rebuilt like any other.
    pub fn kill(&self) {
        self.mailbox().kill();
    }

    /// From now on, this sees what becomes of the messages to the actor. It replaces who watched before.
    pub fn watch(&self, watcher: impl Fn(&Seen<'_>) + 'static) {
        self.mailbox().faults.watch(Rc::new(watcher));
    }
}

impl<M: Message> Mailbox<M> {
    fn add(&self, when: When, action: Action<M>) -> Injected {
        if let Some(kind) = when.named() {
            let kinds = M::KINDS;
            assert!(kinds.contains(&kind), "no kind `{kind}` among {kinds:?}");
        }
        self.faults.add(when, action)
    }

    pub(super) fn inject(&self, when: When, fault: Fault) -> Injected {
        self.add(when, Action::Fault(fault))
    }

    pub(super) fn kill(&self) {
        self.faults.die();
        self.nudge();
    }

    /// A message on its way: what is given back goes on.
    pub(in super::super) fn through_faults(
        self: &Rc<Self>,
        message: M,
        lane: Lane,
    ) -> Result<Option<M>, TellError<M>> {
        if self.has_ended() {
            return Ok(Some(message));
        }
        let kind = message.kind();
        let Some(action) = self.faults.due(kind, Point::Sent(lane)) else {
            return Ok(Some(message));
        };
        if let Action::Duplicate(copy) = action {
            let copy = copy(&message);
            self.admit(message, lane)?;
            // Nobody waits for the copy: one that finds no room is counted, and that is all.
            let _ = self.admit(copy, lane);
            self.release_reordered();
            return Ok(None);
        }
        self.count(|counts| counts.sent += 1);
        if let Action::Fault(Fault::Full) = action {
            self.count(|counts| counts.returned += 1);
            self.see(kind, What::Returned);
            self.look_again();
            return Err(TellError::Full(message));
        }
        self.see(kind, What::Sent);
        match action {
            Action::Fault(Fault::Delay(wait)) => self.delay(message, lane, wait),
            Action::Fault(Fault::Reorder) => self.faults.reorder(message, lane),
            _ => self.dead_letter(kind),
        }
        Ok(None)
    }

    fn delay(self: &Rc<Self>, message: M, lane: Lane, wait: Duration) {
        let delay = self.faults.delay(message, lane);
        let mailbox = Rc::downgrade(self);
        let arrival = async move {
            tokio::time::sleep(wait).await;
            let Some(mailbox) = mailbox.upgrade() else {
                return;
            };
            if let Some((message, lane)) = mailbox.faults.arrived(delay) {
                mailbox.enqueue(message, lane);
            }
        };
        #[expect(clippy::disallowed_methods, reason = "there is no Env here")]
        actix_rt::spawn(arrival);
    }

    /// A message was taken: those that were held for it follow.
    pub(in super::super) fn release_reordered(&self) {
        while let Some((message, lane)) = self.faults.next_reordered() {
            self.enqueue(message, lane);
        }
    }

    /// Whether the actor ends before it takes what comes next.
    pub(in super::super) fn is_to_die(&self) -> bool {
        let kind = self.next_kind();
        self.faults.take_death()
            || kind.is_some_and(|kind| self.faults.due(kind, Point::Taken).is_some())
    }

    /// Whether a handler panics before and after this kind of message.
    pub(in super::super) fn panics_over(&self, kind: &'static str) -> (bool, bool) {
        let strikes = |point| self.faults.due(kind, point).is_some();
        (strikes(Point::Before), strikes(Point::After))
    }
}
