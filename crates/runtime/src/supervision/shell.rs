//! The actix actor around a behaviour: one message type, one handler, a guard.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use actix::{Actor, AsyncContext, Context, Handler, Message};

use super::guard::Guard;
use super::mailbox::Mailbox;

/// How many messages an actor handles before it lets others run.
const MESSAGES_PER_TURN_MAX: usize = 16;

/// What an actor of ours is: one message type and one handler. Nothing in it blocks.
pub(crate) trait Behaviour: Unpin + 'static {
    /// Everything it may be told.
    type Message: 'static;

    /// The first thing an incarnation does: it adopts what an earlier one left.
    fn begin(&mut self);

    /// Handles one message.
    fn handle(&mut self, message: &Self::Message);
}

/// "Look into your mailbox."
#[derive(Debug)]
pub(super) struct Nudge;

impl Message for Nudge {
    type Result = ();
}

struct Shell<B: Behaviour> {
    behaviour: B,
    mailbox: Rc<Mailbox<B::Message>>,
    _guard: Guard,
}

/// Starts an incarnation on the current arbiter.
pub(crate) fn start<B: Behaviour>(behaviour: B, mailbox: &Rc<Mailbox<B::Message>>, guard: Guard) {
    let shell = Shell {
        behaviour,
        mailbox: Rc::clone(mailbox),
        _guard: guard,
    };
    let address = shell.start();
    mailbox.attach(address.recipient());
}

impl<B: Behaviour> Shell<B> {
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
            self.mailbox.note_panic(panic_text(&*panic));
            resume_unwind(panic);
        }
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

impl<B: Behaviour> Actor for Shell<B> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // One nudge is as good as many.
        context.set_mailbox_capacity(1);
        self.run(B::begin);
        context.notify(Nudge);
    }
}

impl<B: Behaviour> Handler<Nudge> for Shell<B> {
    type Result = ();

    fn handle(&mut self, _: Nudge, context: &mut Self::Context) {
        for _ in 0..MESSAGES_PER_TURN_MAX {
            let Some(message) = self.mailbox.take() else {
                return;
            };
            self.run(|behaviour| behaviour.handle(&message));
            self.mailbox.done();
        }
        if self.mailbox.is_waiting() {
            context.notify(Nudge);
        }
    }
}
