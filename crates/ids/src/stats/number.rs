//! Counters and gauges: two types, so that nobody subtracts from what only grows.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number that only grows. It stops at the greatest there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counter(u64);

impl Counter {
    /// A counter that stands at `count`.
    #[must_use]
    pub const fn new(count: u64) -> Counter {
        Counter(count)
    }

    /// Where it stands.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Counts so many more.
    pub fn add(&mut self, more: u64) {
        self.0 = self.0.saturating_add(more);
    }

    /// By how much `later` is ahead; 0 when it is not.
    #[must_use]
    pub const fn growth_to(self, later: Counter) -> u64 {
        later.0.saturating_sub(self.0)
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number that says how many there are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gauge(u64);

/// More was to be taken from a gauge than it says there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a gauge stands at {stands}, and {taken} were to be taken from it")]
pub struct Underflow {
    /// Where it stands, and stays.
    pub stands: u64,
    /// What was to be taken.
    pub taken: u64,
}

impl Gauge {
    /// A gauge that stands at `now`.
    #[must_use]
    pub const fn new(now: u64) -> Gauge {
        Gauge(now)
    }

    /// Where it stands.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// So many more are there. It stops at the greatest number there is.
    pub fn add(&mut self, more: u64) {
        self.0 = self.0.saturating_add(more);
    }

    /// So many fewer are there.
    ///
    /// # Errors
    ///
    /// [`Underflow`] when there are not so many: it stays as it is.
    pub fn take(&mut self, fewer: u64) -> Result<(), Underflow> {
        match self.0.checked_sub(fewer) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(Underflow {
                stands: self.0,
                taken: fewer,
            }),
        }
    }
}

impl fmt::Display for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a dataflow's run in some statistics; given by whoever keeps them, and never given again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct RunNumber(pub u64);

/// Who keeps some statistics: a number that is drawn when the keeper begins, so that its counters, which begin at zero,
/// are not taken for those of the keeper before.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Keeper(pub u64);
