//! The kit: where a test of actors runs, and what looks after it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::random::Random;
use dataflow_runtime::actor::{
    ACTOR_POLICY, Behaviour, Counts, Down, Handle, Mailbox, Message, Seen, Supervisor, Time,
    Verdict,
};
use dataflow_runtime::embed::Inspector;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::expectations::Expectations;
use super::probe::{Probe, Record, Recorder};
use super::trace::Trace;
use crate::virtual_time;

/// How many messages may wait for a probe.
const PROBE_CAPACITY: usize = 1024;
/// How much virtual time a test may take. When nothing can happen any more, it is over at once.
const TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// A test of actors: it supervises them, moves the clock, writes the trace, and checks at the end.
///
/// Cheap to clone: every clone is the same kit.
#[derive(Clone)]
pub struct Kit {
    inner: Rc<Inner>,
}

struct Inner {
    seed: u64,
    random: RefCell<Random>,
    trace: Trace,
    supervisor: RefCell<Supervisor<Rc<str>>>,
    actors: RefCell<BTreeMap<Rc<str>, Watched>>,
    expectations: RefCell<Expectations>,
    runs: RefCell<Vec<(String, Inspector)>>,
}

/// An actor, whatever its messages are.
struct Watched {
    counts: Box<dyn Fn() -> Counts>,
    end: Box<dyn Fn()>,
    is_given_up: Cell<bool>,
    is_rebuilt_soon: Cell<bool>,
}

impl fmt::Debug for Kit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kit(seed {})", self.inner.seed)
    }
}

impl Kit {
    /// Runs a test on virtual time, and checks at its end, when everything that can run has run:
    ///
    /// - no message waits for anybody, none was dead-lettered, and no actor was given up, unless it was declared;
    /// - for every mailbox, `sent == handled + returned + dead_lettered + waiting` (I-10);
    /// - the statistics of every run that was shown to [`Kit::inspect`] add up (I-13).
    ///
    /// # Panics
    /// When the test panics, when one of these is not true, or when the test waits and nothing can happen any more.
    /// The seed and the trace are written to standard error then.
    pub fn run<T>(seed: u64, test: impl AsyncFnOnce(Kit) -> T) -> T {
        let trace = RefCell::new(None);
        let run = AssertUnwindSafe(|| {
            virtual_time::run(async {
                let (kit, downs) = Kit::new(seed);
                trace.replace(Some(kit.inner.trace.clone()));
                actix_rt::spawn(kit.clone().supervise_all(downs));
                let Ok(result) = tokio::time::timeout(TIME_MAX, test(kit.clone())).await else {
                    panic!("the test waits, and nothing can happen any more");
                };
                kit.check().await;
                result
            })
        });
        catch_unwind(run).unwrap_or_else(|panic: Box<dyn Any + Send>| {
            let trace = trace.take().map_or_else(String::new, |trace| trace.text());
            eprintln!("this was seed {seed}; the trace:\n{trace}");
            resume_unwind(panic)
        })
    }

    fn new(seed: u64) -> (Kit, UnboundedReceiver<Down<Rc<str>>>) {
        let (to_kit, downs) = unbounded_channel();
        let inner = Rc::new(Inner {
            seed,
            random: RefCell::new(Random::new(seed)),
            trace: Trace::new(),
            supervisor: RefCell::new(Supervisor::new(ACTOR_POLICY, to_kit)),
            actors: RefCell::default(),
            expectations: RefCell::default(),
            runs: RefCell::default(),
        });
        (Kit { inner }, downs)
    }

    /// The seed of this test.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// The next number of the test's random source.
    #[must_use]
    pub fn random(&self) -> u64 {
        self.inner.random.borrow_mut().draw()
    }

    /// The virtual time since the test began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.inner.trace.now()
    }

    /// Moves the clock, and lets everything happen that is due until then, in its order.
    pub async fn advance(&self, time: Duration) {
        virtual_time::advance(time).await;
    }

    /// Waits until nothing can run any more before the clock moves. The clock does not move.
    pub async fn settle(&self) {
        virtual_time::settle().await;
    }

    /// Takes an actor into care: it is rebuilt after a panic, by the policy of the runtime's own actors, on virtual
    /// time. `capacity` is how many messages may wait for it. The factory is given the actor's own handle.
    ///
    /// # Panics
    /// When there is an actor of this name already.
    pub fn supervise<B: Behaviour>(
        &self,
        name: &str,
        capacity: usize,
        factory: impl Fn(&Handle<B::Message>) -> B + 'static,
    ) -> Handle<B::Message> {
        let inner = &self.inner;
        let name: Rc<str> = name.into();
        let mailbox = Mailbox::new(&name, capacity);
        let handle = Handle::new(Rc::clone(&mailbox));
        let (counted, ended) = (handle.clone(), handle.clone());
        let watched = Watched {
            counts: Box::new(move || counted.counts()),
            end: Box::new(move || ended.mailbox().end()),
            is_given_up: Cell::new(false),
            is_rebuilt_soon: Cell::new(false),
        };
        let before = (inner.actors.borrow_mut()).insert(Rc::clone(&name), watched);
        assert!(before.is_none(), "there is an actor `{name}` already");
        let trace = inner.trace.clone();
        handle.watch(move |seen| trace.seen(seen));
        let itself = handle.clone();
        let now = Time(self.now());
        (inner.supervisor.borrow_mut()).add(now, name, mailbox, move || factory(&itself));
        handle
    }

    /// A neighbour for the actor under test: it records what it is told. `answer` sees every message first, and can
    /// answer in the [`Reply`](dataflow_runtime::actor::Reply) that it carries.
    ///
    /// # Panics
    /// When there is an actor of this name already.
    pub fn probe<M: Message + Clone + Unpin>(
        &self,
        name: &str,
        answer: impl FnMut(&M) + 'static,
    ) -> Probe<M> {
        let record = Rc::new(Record::default());
        let answer = Rc::new(RefCell::new(answer));
        let recorded = Rc::clone(&record);
        let handle = self.supervise(name, PROBE_CAPACITY, move |_| {
            let (record, answer) = (Rc::clone(&recorded), Rc::clone(&answer));
            Recorder { record, answer }
        });
        Probe::new(handle, record)
    }

    /// Declares that so many messages to an actor are dead-lettered in this test.
    pub fn expect_dead_letters(&self, actor: &str, messages: u64) {
        let mut expectations = self.inner.expectations.borrow_mut();
        expectations.dead_letters(actor, messages);
    }

    /// Declares that so many messages wait for an actor at the end of this test.
    pub fn expect_waiting(&self, actor: &str, messages: u64) {
        let mut expectations = self.inner.expectations.borrow_mut();
        expectations.waiting(actor, messages);
    }

    /// Declares that an actor panics so often in this test that it is given up. It is ended then.
    pub fn expect_given_up(&self, actor: &str) {
        let mut expectations = self.inner.expectations.borrow_mut();
        expectations.given_up(actor);
    }

    /// Lets the end of the test check an embedded run too: its mailboxes, and its statistics. What its actors are told
    /// comes into the trace. An actor of it is called `RUN/ACTOR`, also in what the test declares.
    pub fn inspect(&self, run: &str, inspector: Inspector) {
        for actor in inspector.actors() {
            let trace = self.inner.trace.clone();
            let name = format!("{run}/{}", actor.name());
            actor.watch(Box::new(move |seen| {
                trace.seen(&Seen {
                    actor: &name,
                    ..*seen
                });
            }));
        }
        (self.inner.runs.borrow_mut()).push((run.to_owned(), inspector));
    }

    /// Writes a line into the trace.
    pub fn note(&self, what: impl fmt::Display) {
        self.inner.trace.line(format_args!("{what}"));
    }

    /// What has happened so far, a line each: virtual time, actor, kind of message. Two tests with one seed write the
    /// same, to the byte.
    #[must_use]
    pub fn trace(&self) -> String {
        self.inner.trace.text()
    }

    fn with<T>(&self, actor: &str, look: impl FnOnce(&Watched) -> T) -> Option<T> {
        self.inner.actors.borrow().get(actor).map(look)
    }

    /// Does what the root of a runtime does, for as long as the test runs.
    async fn supervise_all(self, mut downs: UnboundedReceiver<Down<Rc<str>>>) {
        while let Some(down) = downs.recv().await {
            let (now, random) = (Time(self.now()), self.random());
            let verdict = (self.inner.supervisor.borrow_mut()).down(now, random, &down);
            let trace = &self.inner.trace;
            let name = down.actor;
            match verdict {
                Verdict::Rebuild { after, what, .. } => {
                    trace.line(format_args!("{name} is down: {what}"));
                    self.with(&name, |actor| actor.is_rebuilt_soon.set(true));
                    actix_rt::spawn(self.clone().rebuild(name, after));
                }
                Verdict::GiveUp { what } => {
                    trace.line(format_args!("{name} is given up: {what}"));
                    self.with(&name, |actor| {
                        actor.is_given_up.set(true);
                        (actor.end)();
                    });
                }
                Verdict::Nothing => {}
            }
        }
    }

    async fn rebuild(self, name: Rc<str>, after: Duration) {
        tokio::time::sleep(after).await;
        self.with(&name, |actor| actor.is_rebuilt_soon.set(false));
        let now = Time(self.now());
        let incarnation = self.inner.supervisor.borrow_mut().build(now, &name);
        let incarnation = incarnation.unwrap_or_default();
        (self.inner.trace).line(format_args!("{name} is rebuilt, {incarnation}"));
    }

    fn is_rebuilding(&self) -> bool {
        let actors = self.inner.actors.borrow();
        actors.values().any(|actor| actor.is_rebuilt_soon.get())
    }

    /// Looks whether everything is as it must be at the end.
    async fn check(&self) {
        self.settle().await;
        // Each comes back, or is given up.
        while self.is_rebuilding() {
            self.advance(ACTOR_POLICY.backoff_max).await;
        }
        let violations = self.violations();
        self.inner.supervisor.borrow_mut().end();
        assert!(violations.is_empty(), "{}", violations.join("\n"));
    }

    fn violations(&self) -> Vec<String> {
        let expectations = self.inner.expectations.borrow();
        let mut violations = Vec::new();
        for (name, actor) in &*self.inner.actors.borrow() {
            let is_given_up = actor.is_given_up.get();
            violations.extend(expectations.violations(name, &(actor.counts)(), is_given_up));
        }
        for (run, inspector) in &*self.inner.runs.borrow() {
            for (actor, counts) in inspector.mailboxes() {
                let name = format!("{run}/{actor}");
                violations.extend(expectations.violations(&name, &counts, false));
            }
            if let Err(mismatch) = inspector.audit() {
                violations.push(format!("{run}: {mismatch}"));
            }
        }
        violations
    }
}
