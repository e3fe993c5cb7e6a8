//! What is written down of a simulation: its trace, what it has covered, and the first thing that was wrong.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Whether the trace is kept. A failing seed is run again to see it, so mostly it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracing {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// An invariant does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {what} (at {:.3} s)", at.as_secs_f64())]
pub struct Violation {
    /// Which, as the design numbers it, or in a word.
    pub rule: &'static str,
    /// What was seen.
    pub what: String,
    /// When, in virtual time.
    pub at: Duration,
}

/// How often what happened, over one seed or many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(pub BTreeMap<String, u64>);

impl Coverage {
    /// Adds to a count.
    pub fn add(&mut self, what: &str, count: u64) {
        match self.0.get_mut(what) {
            Some(sum) => *sum += count,
            None => drop(self.0.insert(what.to_owned(), count)),
        }
    }

    /// Adds all counts of another.
    pub fn merge(&mut self, other: &Coverage) {
        for (what, count) in &other.0 {
            self.add(what, *count);
        }
    }

    /// A count.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.0 {
            writeln!(f, "  {what:<44} {count:>12}")?;
        }
        Ok(())
    }
}

/// Everything that is written down of one seed.
#[derive(Debug)]
pub(super) struct Notes {
    start: tokio::time::Instant,
    tracing: Tracing,
    trace: RefCell<String>,
    coverage: RefCell<Coverage>,
    wrong: RefCell<Option<Violation>>,
}

impl Notes {
    /// Nothing yet. Time counts from now.
    pub(super) fn new(tracing: Tracing) -> Notes {
        Notes {
            start: tokio::time::Instant::now(),
            tracing,
            trace: RefCell::default(),
            coverage: RefCell::default(),
            wrong: RefCell::default(),
        }
    }

    /// The virtual time.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Writes a line into the trace, if it is kept.
    pub(super) fn trace(&self, line: impl FnOnce() -> String) {
        if self.tracing == Tracing::On {
            let at = self.now().as_millis();
            let line = format!("{:>8}.{:03} {}\n", at / 1000, at % 1000, line());
            self.trace.borrow_mut().push_str(&line);
        }
    }

    /// Counts something.
    pub(super) fn count(&self, what: &str) {
        self.count_many(what, 1);
    }

    /// Counts something that has happened so often.
    pub(super) fn count_many(&self, what: &str, times: u64) {
        self.coverage.borrow_mut().add(what, times);
    }

    /// Something is wrong. The first thing counts: the others mostly follow from it.
    pub(super) fn wrong(&self, rule: &'static str, what: impl FnOnce() -> String) {
        let mut wrong = self.wrong.borrow_mut();
        if wrong.is_none() {
            let violation = Violation {
                rule,
                what: what(),
                at: self.now(),
            };
            self.trace(|| format!("VIOLATION {violation}"));
            *wrong = Some(violation);
        }
    }

    /// Says what is wrong unless it holds.
    pub(super) fn check(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong(rule, what);
        }
    }

    /// The first thing that was wrong.
    pub(super) fn violation(&self) -> Option<Violation> {
        self.wrong.borrow().clone()
    }

    /// What was covered so far, and the trace.
    pub(super) fn take(&self) -> (Coverage, String) {
        (self.coverage.take(), self.trace.take())
    }
}
