//! Who supervises: knows how each actor is built, and decides what follows when one has ended.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::restart::{Decision, Ended, RestartTracker};
use dataflow_ids::{RestartOn, RestartPolicy};
use tokio::sync::mpsc::UnboundedSender;

use super::guard::{Down, Guard};
use super::mailbox::{Counts, Mailbox};
use super::message::Message;
use super::shell::{Behaviour, panic_text, start};

/// How actors are rebuilt: a panic that comes from the state of the moment is gone after a short wait, one that
/// comes again and again is a fault to give up on.
pub const ACTOR_POLICY: RestartPolicy = RestartPolicy {
    on: RestartOn::OnFailure,
    restarts_max: 10,
    window: Duration::from_secs(60),
    backoff_min: Duration::from_millis(5),
    backoff_max: Duration::from_secs(1),
};

/// What follows when an actor has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Build it again.
    Rebuild {
        /// After this wait.
        after: Duration,
        /// What its panic said.
        what: String,
        /// Whether a message was dead-lettered because it made the actor panic twice.
        is_poisoned: bool,
    },
    /// It has panicked too often. Its mailbox still takes messages: end it, or build it again all the same.
    GiveUp {
        /// What its last panic said.
        what: String,
    },
    /// Somebody ended it, or this was an older incarnation.
    Nothing,
}

/// A mailbox, whatever its messages are.
trait AnyMailbox {
    fn panicked(&self, what: String);
    fn take_poisoned(&self) -> bool;
    fn last_panic(&self) -> Option<String>;
    fn counts(&self) -> Counts;
    fn end(&self);
}

impl<M: Message> AnyMailbox for Mailbox<M> {
    fn panicked(&self, what: String) {
        Mailbox::panicked(self, what);
    }
    fn take_poisoned(&self) -> bool {
        Mailbox::take_poisoned(self)
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

struct Entry<K> {
    build: Box<dyn Fn(Guard<K>)>,
    mailbox: Rc<dyn AnyMailbox>,
    tracker: RestartTracker,
    incarnation: u32,
    started_at: Time,
}

impl<K> Entry<K> {
    fn what(&self) -> String {
        self.mailbox
            .last_panic()
            .unwrap_or_else(|| "a panic outside its handler".to_owned())
    }
}

/// The factories of all actors, and what is known of their incarnations.
///
/// It has no task and no clock of its own. Who owns it receives each [`Down`], asks [`Supervisor::down`] what follows,
/// and calls [`Supervisor::build`] when the wait is over. `K` names an actor.
pub struct Supervisor<K> {
    policy: RestartPolicy,
    entries: BTreeMap<K, Entry<K>>,
    to_owner: UnboundedSender<Down<K>>,
}

impl<K: Ord + fmt::Debug> fmt::Debug for Supervisor<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

impl<K: Clone + Ord + Unpin + 'static> Supervisor<K> {
    /// A supervisor that rebuilds by `policy` ([`ACTOR_POLICY`], if there is no reason for another). The end of each
    /// incarnation is reported to `to_owner`.
    #[must_use]
    pub fn new(policy: RestartPolicy, to_owner: UnboundedSender<Down<K>>) -> Supervisor<K> {
        Supervisor {
            policy,
            entries: BTreeMap::new(),
            to_owner,
        }
    }

    /// Takes an actor into care, and starts its first incarnation on the current arbiter. `now` is the moment on the
    /// owner's clock; the factory builds every incarnation.
    pub fn add<B: Behaviour>(
        &mut self,
        now: Time,
        actor: K,
        mailbox: Rc<Mailbox<B::Message>>,
        factory: impl Fn() -> B + 'static,
    ) {
        let build = {
            let mailbox = Rc::clone(&mailbox);
            Box::new(move |guard| start(factory(), &mailbox, guard))
        };
        self.entries.insert(
            actor.clone(),
            Entry {
                build,
                mailbox,
                tracker: RestartTracker::new(self.policy),
                incarnation: 0,
                started_at: now,
            },
        );
        self.build(now, &actor);
    }

    /// Starts the next incarnation of an actor. Gives which one it is, counted from 1; nothing if the actor is not
    /// known.
    pub fn build(&mut self, now: Time, actor: &K) -> Option<u32> {
        let entry = self.entries.get_mut(actor)?;
        entry.incarnation += 1;
        entry.started_at = now;
        let guard = Guard::new(actor.clone(), entry.incarnation, self.to_owner.clone());
        // The guard goes down with a factory that panics, and reports it like any other end.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (entry.build)(guard))) {
            entry.mailbox.panicked(panic_text(&*panic));
        }
        Some(entry.incarnation)
    }

    /// Decides what follows an end. `random` jitters the wait.
    pub fn down(&mut self, now: Time, random: u64, down: &Down<K>) -> Verdict {
        let Some(entry) = self.entries.get_mut(&down.actor) else {
            return Verdict::Nothing;
        };
        if entry.incarnation != down.incarnation || !down.panicking {
            return Verdict::Nothing;
        }
        let is_poisoned = entry.mailbox.take_poisoned();
        let what = entry.what();
        let started_at = entry.started_at;
        match (entry.tracker).on_exit(now, Ended::Badly, started_at, random) {
            Decision::Restart { after } => Verdict::Rebuild {
                after,
                what,
                is_poisoned,
            },
            Decision::GiveUp { .. } | Decision::Done => Verdict::GiveUp { what },
        }
    }

    /// What an actor's last panic said; nothing if it is not known.
    #[must_use]
    pub fn last_panic(&self, actor: &K) -> String {
        self.entries
            .get(actor)
            .map_or_else(String::new, Entry::what)
    }

    /// Ends one actor for good, and forgets it; gives what became of its messages, if it is known. Whoever is taken into
    /// care later needs another name: the end of an incarnation of this one may still be reported.
    pub fn remove(&mut self, actor: &K) -> Option<Counts> {
        let entry = self.entries.remove(actor)?;
        entry.mailbox.end();
        Some(entry.mailbox.counts())
    }

    /// Ends all actors for good; gives what became of their messages.
    pub fn end(&mut self) -> Vec<(K, Counts)> {
        let mut counts = Vec::new();
        for (actor, entry) in &self.entries {
            entry.mailbox.end();
            counts.push((actor.clone(), entry.mailbox.counts()));
        }
        counts
    }
}
