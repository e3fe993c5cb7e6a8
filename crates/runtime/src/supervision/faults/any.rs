//! An actor, whatever its messages are: for who strikes at every actor of a run.

use super::super::handle::Handle;
use super::super::mailbox::Counts;
use super::super::message::Message;
use super::super::seen::Seen;
use super::rules::{Fault, Injected, When};

/// An actor, whatever its messages are.
pub trait AnyActor {
    /// Its name.
    fn name(&self) -> &str;

    /// The kinds of its messages.
    fn kinds(&self) -> &'static [&'static str];

    /// What has become of the messages to it.
    fn counts(&self) -> Counts;

    /// As [`Handle::inject`].
    fn inject(&self, when: When, fault: Fault) -> Injected;

    /// As [`Handle::duplicate`].
    fn duplicate(&self, when: When) -> Injected;

    /// As [`Handle::kill`].
    fn kill(&self);

    /// As [`Handle::watch`].
    fn watch(&self, watcher: Box<dyn Fn(&Seen<'_>)>);
}

impl<M: Message + Clone> AnyActor for Handle<M> {
    fn name(&self) -> &str {
        Handle::name(self)
    }

    fn kinds(&self) -> &'static [&'static str] {
        M::KINDS
    }

    fn counts(&self) -> Counts {
        Handle::counts(self)
    }

    fn inject(&self, when: When, fault: Fault) -> Injected {
        Handle::inject(self, when, fault)
    }

    fn duplicate(&self, when: When) -> Injected {
        Handle::duplicate(self, when)
    }

    fn kill(&self) {
        Handle::kill(self);
    }

    fn watch(&self, watcher: Box<dyn Fn(&Seen<'_>)>) {
        Handle::watch(self, watcher);
    }
}
