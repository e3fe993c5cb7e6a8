//! Moments of another keeper, as a collector counts them.

use std::time::Duration;

use crate::time::Time;

/// What a collector's own beginning is counted as: members are older than it, and their moments must have a place too.
/// 36 years.
const BEGAN_NS: u64 = 1 << 60;

/// A moment on the collector's clock.
pub(super) fn shifted(at: Time) -> Time {
    at.after(Duration::from_nanos(BEGAN_NS))
}

/// How a keeper's moments become a collector's: the clocks may run on different machines. What is said was true a while ago,
/// and how long ago nobody knows; so of all that was said, what came soonest says best how far they are apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offset(i128);

impl Offset {
    /// `theirs` is now, which is `ours`.
    pub(super) fn new(theirs: u64, ours: u64) -> Offset {
        Offset(i128::from(ours) - i128::from(theirs))
    }

    /// Learns of something said at `theirs`, and heard at `ours`.
    pub(super) fn learn(&mut self, theirs: u64, ours: u64) {
        self.0 = self.0.min(Offset::new(theirs, ours).0);
    }

    /// A moment of theirs as one of ours.
    pub(super) fn ours(self, theirs: u64) -> u64 {
        let ours = (i128::from(theirs) + self.0).max(0);
        u64::try_from(ours).unwrap_or(u64::MAX)
    }
}
