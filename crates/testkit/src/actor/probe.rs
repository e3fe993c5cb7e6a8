//! A neighbour of the actor under test: it records what it is told, and answers as the test wants.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use dataflow_runtime::actor::{Behaviour, Handle, Message};
use tokio::sync::Notify;

type Answer<M> = Rc<RefCell<dyn FnMut(&M)>>;

/// An actor that records every message, in order. Its messages go through a mailbox like any other's, so they can
/// be struck by faults.
pub struct Probe<M> {
    handle: Handle<M>,
    record: Rc<Record<M>>,
}

/// What it was told and nobody has looked at yet.
pub(super) struct Record<M> {
    messages: RefCell<VecDeque<M>>,
    has_more: Notify,
}

impl<M> Default for Record<M> {
    fn default() -> Self {
        Record {
            messages: RefCell::default(),
            has_more: Notify::new(),
        }
    }
}

/// The probe as an actor.
pub(super) struct Recorder<M> {
    pub(super) record: Rc<Record<M>>,
    pub(super) answer: Answer<M>,
}

impl<M: Message + Clone + Unpin> Behaviour for Recorder<M> {
    type Message = M;

    fn handle(&mut self, message: &M) {
        (self.answer.borrow_mut())(message);
        self.record.messages.borrow_mut().push_back(message.clone());
        self.record.has_more.notify_one();
    }
}

impl<M: Message> fmt::Debug for Probe<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe({})", self.handle.name())
    }
}

impl<M: Message> Probe<M> {
    pub(super) fn new(handle: Handle<M>, record: Rc<Record<M>>) -> Probe<M> {
        Probe { handle, record }
    }

    /// Where to tell it something: for the actor under test.
    #[must_use]
    pub fn handle(&self) -> Handle<M> {
        self.handle.clone()
    }

    /// The next message that was not looked at. Waits for it, which lets the clock move.
    ///
    /// A test in which nothing can happen any more while it waits here fails.
    pub async fn next(&self) -> M {
        loop {
            let message = self.record.messages.borrow_mut().pop_front();
            if let Some(message) = message {
                return message;
            }
            self.record.has_more.notified().await;
        }
    }

    /// All messages that were not looked at, without waiting.
    #[must_use]
    pub fn take(&self) -> Vec<M> {
        let messages = std::mem::take(&mut *self.record.messages.borrow_mut());
        messages.into()
    }
}
