//! What is written down of one seed: its trace, what it has covered, and the first thing that was wrong.

use dataflow_core::Time;

use crate::simulation::{Coverage, Tracing, Violation};

/// What came of one seed.
#[derive(Debug, Clone)]
pub struct Simulated {
    /// Which.
    pub seed: u64,
    /// The first thing that was wrong.
    pub violation: Option<Violation>,
    /// What happened, a line each; empty if it was not wanted.
    pub trace: String,
    /// What happened how often.
    pub coverage: Coverage,
}

/// What is written down as it happens.
#[derive(Debug)]
pub(super) struct Notes {
    tracing: Tracing,
    trace: String,
    coverage: Coverage,
    violation: Option<Violation>,
}

impl Notes {
    pub(super) fn new(tracing: Tracing) -> Notes {
        Notes {
            tracing,
            trace: String::new(),
            coverage: Coverage::default(),
            violation: None,
        }
    }

    /// Writes a line into the trace, if it is kept.
    pub(super) fn trace(&mut self, now: Time, line: impl FnOnce() -> String) {
        if self.tracing == Tracing::On {
            let at = now.0.as_millis();
            let line = format!("{:>8}.{:03} {}\n", at / 1000, at % 1000, line());
            self.trace.push_str(&line);
        }
    }

    /// Counts something.
    pub(super) fn count(&mut self, what: &str) {
        self.coverage.add(what, 1);
    }

    /// Says what is wrong unless it holds. The first thing counts: the others mostly follow from it.
    pub(super) fn check(
        &mut self,
        now: Time,
        holds: bool,
        rule: &'static str,
        what: impl FnOnce() -> String,
    ) {
        if holds || self.violation.is_some() {
            return;
        }
        let violation = Violation {
            rule,
            what: what(),
            at: now.0,
        };
        self.trace(now, || format!("VIOLATION {violation}"));
        self.violation = Some(violation);
    }

    /// Whether something was wrong.
    pub(super) fn is_wrong(&self) -> bool {
        self.violation.is_some()
    }

    /// All of it.
    pub(super) fn finish(self, seed: u64) -> Simulated {
        Simulated {
            seed,
            violation: self.violation,
            trace: self.trace,
            coverage: self.coverage,
        }
    }
}
