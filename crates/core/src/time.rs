//! Moments, as the machines see them: a distance from the start of the runtime.

use std::time::Duration;

/// A moment, counted from the start of the runtime on a clock that never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub Duration);

impl Time {
    /// The moment at which the runtime started.
    pub const START: Time = Time(Duration::ZERO);

    /// The moment `wait` later; the last representable one when there is none.
    #[must_use]
    pub fn after(self, wait: Duration) -> Time {
        Time(self.0.saturating_add(wait))
    }

    /// The time that has passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
