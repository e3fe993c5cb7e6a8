//! The actix actor around a behaviour: one message type, one handler, a guard.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use actix::{Actor, AsyncContext, Context, Handler, Message};

use super::guard::Guard;
use super::mailbox::Mailbox;
use super::message::Message as Told;

/// How many messages an actor handles before it lets others run.
const MESSAGES_PER_TURN_MAX: usize = 16;

/// What an actor is: one message type and one handler. Nothing in it blocks.
///
/// Both methods may panic: the message in hand is handled once more by the next incarnation, which is built by the
/// factory that [`Supervisor::add`](super::Supervisor::add) was given. So what must survive a panic is not kept in the
/// behaviour, and handling a message twice does no harm.
pub trait Behaviour: Unpin + 'static {
    /// Everything it may be told.
    type Message: Told;

    /// The first thing an incarnation does: it adopts what an earlier one left.
    fn begin(&mut self) {}

    /// Handles one message.
    fn handle(&mut self, message: &Self::Message);
}

/// "Look into your mailbox."
#[derive(Debug)]
pub(super) struct Nudge;

impl Message for Nudge {
    type Result = ();
}

struct Shell<B: Behaviour, K> {
    behaviour: B,
    mailbox: Rc<Mailbox<B::Message>>,
    _guard: Guard<K>,
}

/// Starts an incarnation on the current arbiter.
pub(super) fn start<B: Behaviour, K: Unpin + 'static>(
    behaviour: B,
    mailbox: &Rc<Mailbox<B::Message>>,
    guard: Guard<K>,
) {
    let shell = Shell {
        behaviour,
        mailbox: Rc::clone(mailbox),
        _guard: guard,
    };
    let address = shell.start();
    mailbox.attach(address.recipient());
}

impl<B: Behaviour, K> Shell<B, K> {
    /// Runs a part of the behaviour; a panic is noted, and goes on its way.
    fn run(&mut self, part: impl FnOnce(&mut B)) {
        let behaviour = &mut self.behaviour;
        #[cfg(test)]
        super::faults::enter(self.mailbox.name());
        // After a panic the behaviour is dropped and nothing of it is used again.
        let part = AssertUnwindSafe(|| {
            #[cfg(test)]
            super::faults::step();
            part(behaviour);
            #[cfg(test)]
            super::faults::step();
        });
        if let Err(panic) = catch_unwind(part) {
            self.mailbox.panicked(panic_text(&*panic));
            resume_unwind(panic);
        }
    }
}

#[cfg(any(test, feature = "faults"))]
impl<B: Behaviour, K> Shell<B, K> {
    /// Ends as by a panic between two messages, if a fault says so.
    fn die_if_due(&mut self) {
        if self.mailbox.is_to_die() {
            self.run(|_| super::faults::panic());
        }
    }

    /// Handles a message, and panics before or after it if a fault says so.
    fn handle_faultily(&mut self, message: &B::Message) {
        let (before, after) = self.mailbox.panics_over(message.kind());
        self.run(|behaviour| {
            if before {
                super::faults::panic();
            }
            behaviour.handle(message);
            if after {
                super::faults::panic();
            }
        });
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a text".to_owned(),
    }
}

impl<B: Behaviour, K: Unpin + 'static> Actor for Shell<B, K> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // One nudge is as good as many.
        context.set_mailbox_capacity(1);
        self.run(B::begin);
        context.notify(Nudge);
    }
}

impl<B: Behaviour, K: Unpin + 'static> Handler<Nudge> for Shell<B, K> {
    type Result = ();

    fn handle(&mut self, _: Nudge, context: &mut Self::Context) {
        for _ in 0..MESSAGES_PER_TURN_MAX {
            #[cfg(any(test, feature = "faults"))]
            self.die_if_due();
            let Some(message) = self.mailbox.take() else {
                return;
            };
            #[cfg(not(any(test, feature = "faults")))]
            self.run(|behaviour| behaviour.handle(&message));
            #[cfg(any(test, feature = "faults"))]
            self.handle_faultily(&message);
            self.mailbox.done();
        }
        if self.mailbox.is_waiting() {
            context.notify(Nudge);
        }
    }
}
