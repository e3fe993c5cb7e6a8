//! Who supervises: knows how each actor is built, and decides what follows when one has ended.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::restart::{Decision, Ended, RestartTracker};
use dataflow_ids::{RestartOn, RestartPolicy};
use tokio::sync::mpsc::UnboundedSender;

use super::guard::{Down, Guard};
use super::mailbox::{Counts, Mailbox};
use super::shell::{Behaviour, panic_text, start};
use crate::actors::ActorName;

/// How actors are rebuilt: a panic that comes from the state of the moment is gone after a short wait, one that
/// comes again and again is a fault to give up on.
pub(crate) const ACTOR_POLICY: RestartPolicy = RestartPolicy {
    on: RestartOn::OnFailure,
    restarts_max: 10,
    window: Duration::from_secs(60),
    backoff_min: Duration::from_millis(5),
    backoff_max: Duration::from_secs(1),
};

/// What follows when an actor has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Build it again after this wait. With what its panic said, and whether a message was dead-lettered
    /// because it made the actor panic twice.
    Rebuild {
        after: Duration,
        what: String,
        is_poisoned: bool,
    },
    /// It has panicked too often.
    GiveUp { what: String },
    /// Somebody ended it, or this was an older incarnation.
    Nothing,
}

/// A mailbox, whatever its messages are.
trait AnyMailbox {
    fn panicked(&self) -> bool;
    fn note_panic(&self, what: String);
    fn last_panic(&self) -> Option<String>;
    fn counts(&self) -> Counts;
    fn end(&self);
}

impl<M> AnyMailbox for Mailbox<M> {
    fn panicked(&self) -> bool {
        Mailbox::panicked(self)
    }
    fn note_panic(&self, what: String) {
        Mailbox::note_panic(self, what);
    }
    fn last_panic(&self) -> Option<String> {
        Mailbox::last_panic(self)
    }
    fn counts(&self) -> Counts {
        Mailbox::counts(self)
    }
    fn end(&self) {
        Mailbox::end(self);
    }
}

struct Entry {
    build: Box<dyn Fn(Guard)>,
    mailbox: Rc<dyn AnyMailbox>,
    tracker: RestartTracker,
    incarnation: u32,
    started_at: Time,
}

impl Entry {
    fn what(&self) -> String {
        self.mailbox
            .last_panic()
            .unwrap_or_else(|| "a panic outside its handler".to_owned())
    }
}

/// The factories of all actors, and what is known of their incarnations.
pub(crate) struct Supervisor {
    entries: BTreeMap<ActorName, Entry>,
    to_root: UnboundedSender<Down>,
}

impl Supervisor {
    /// Guards of actors report to `to_root`.
    pub(crate) fn new(to_root: UnboundedSender<Down>) -> Supervisor {
        Supervisor {
            entries: BTreeMap::new(),
            to_root,
        }
    }

    /// Takes an actor into care, and starts its first incarnation.
    pub(crate) fn add<B: Behaviour>(
        &mut self,
        now: Time,
        name: ActorName,
        mailbox: Rc<Mailbox<B::Message>>,
        factory: impl Fn() -> B + 'static,
    ) {
        let build = {
            let mailbox = Rc::clone(&mailbox);
            Box::new(move |guard| start(factory(), &mailbox, guard))
        };
        self.entries.insert(
            name,
            Entry {
                build,
                mailbox,
                tracker: RestartTracker::new(ACTOR_POLICY),
                incarnation: 0,
                started_at: now,
            },
        );
        self.build(now, name);
    }

    /// Starts the next incarnation of an actor.
    pub(crate) fn build(&mut self, now: Time, name: ActorName) {
        let Some(entry) = self.entries.get_mut(&name) else {
            return;
        };
        entry.incarnation += 1;
        entry.started_at = now;
        let guard = Guard::new(name, entry.incarnation, self.to_root.clone());
        // The guard goes down with a factory that panics, and reports it like any other end.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (entry.build)(guard))) {
            entry.mailbox.note_panic(panic_text(&*panic));
        }
    }

    /// Decides what follows an end.
    pub(crate) fn down(&mut self, now: Time, random: u64, down: &Down) -> Verdict {
        let Some(entry) = self.entries.get_mut(&down.actor) else {
            return Verdict::Nothing;
        };
        if entry.incarnation != down.incarnation || !down.panicking {
            return Verdict::Nothing;
        }
        let is_poisoned = entry.mailbox.panicked();
        let what = entry.what();
        match entry
            .tracker
            .on_exit(now, Ended::Badly, entry.started_at, random)
        {
            Decision::Restart { after } => Verdict::Rebuild {
                after,
                what,
                is_poisoned,
            },
            Decision::GiveUp { .. } | Decision::Done => Verdict::GiveUp { what },
        }
    }

    /// What an actor's last panic said.
    pub(crate) fn last_panic(&self, name: ActorName) -> String {
        self.entries
            .get(&name)
            .map_or_else(String::new, Entry::what)
    }

    /// Ends all actors for good; gives what became of their messages.
    pub(crate) fn end(&mut self) -> Vec<(ActorName, Counts)> {
        let mut counts = Vec::new();
        for (name, entry) in &self.entries {
            entry.mailbox.end();
            counts.push((*name, entry.mailbox.counts()));
        }
        counts
    }
}
