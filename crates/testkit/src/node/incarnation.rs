//! One run of the program under test, as one incarnation of its node.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use dataflow_node::{Handle, Node, VirtualTime};

use super::runtime::TestRuntime;

/// The program under test.
pub(super) type Program<R> = Arc<dyn Fn(Node) -> R + Send + Sync>;

/// How a program ended.
pub(super) enum Outcome<R> {
    Returned(R),
    Panicked(String),
}

impl<R: fmt::Debug> fmt::Display for Outcome<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Returned(value) => write!(f, "it has ended and returned {value:?}"),
            Outcome::Panicked(why) => write!(f, "it has panicked: {why}"),
        }
    }
}

/// A program that runs, or has run.
pub(super) struct Incarnation<R> {
    pub(super) handle: Handle,
    /// The time that its timers and timeouts go by.
    pub(super) time: VirtualTime,
    thread: Option<JoinHandle<Result<R, String>>>,
    outcome: Option<Outcome<R>>,
    /// Whether frames were sent that its library may not have handled yet.
    pub(super) is_told: bool,
}

impl<R: Send + 'static> Incarnation<R> {
    /// Connects the node, and runs the program with it on a thread that has the node's name.
    pub(super) fn start(name: &str, runtime: &TestRuntime, program: &Program<R>) -> Incarnation<R> {
        let time = VirtualTime::new();
        let node = runtime.connect_in_time(name, time.clone());
        let handle = node.handle();
        let program = program.clone();
        let tester = std::thread::current();
        let run = move || {
            // What the program leaves in a broken state is its own; the test only reads edges.
            let outcome = catch_unwind(AssertUnwindSafe(|| program(node)));
            let outcome = outcome.map_err(|payload| words(payload.as_ref()));
            tester.unpark();
            outcome
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        let thread = thread.unwrap_or_else(|error| panic!("no thread for {name}: {error}"));
        Incarnation {
            handle,
            time,
            thread: Some(thread),
            outcome: None,
            is_told: false,
        }
    }

    /// Whether the program has ended.
    pub(super) fn is_over(&mut self) -> bool {
        self.outcome().is_some()
    }

    /// How it ended, if it has.
    pub(super) fn outcome(&mut self) -> Option<&Outcome<R>> {
        if let Some(thread) = self.thread.take_if(|thread| thread.is_finished()) {
            self.outcome = Some(match thread.join() {
                Ok(Ok(value)) => Outcome::Returned(value),
                Ok(Err(why)) => Outcome::Panicked(why),
                Err(payload) => Outcome::Panicked(words(payload.as_ref())),
            });
        }
        self.outcome.as_ref()
    }

    /// How it ended, for who is done with it.
    pub(super) fn take_outcome(&mut self) -> Option<Outcome<R>> {
        self.outcome();
        self.outcome.take()
    }
}

/// What a panic said.
fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
        .to_owned()
}
