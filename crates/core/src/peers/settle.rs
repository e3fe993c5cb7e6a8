//! When to read a file that is being saved: after it has come to rest, and now and then if it never does.

use std::time::Duration;

use crate::Time;

/// A file that nobody has touched for so long is at rest: a save by truncation, writing and renaming is over by then.
const QUIET: Duration = Duration::from_millis(200);
/// A file that never comes to rest is read all the same, so long after the first touch that has not been looked at.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Decides when to read a file. Whoever reads compares what is in it: being touched is no change.
#[derive(Debug, Clone, Default)]
pub struct Settle {
    /// The first touch that was not looked at, and the last.
    touched: Option<(Time, Time)>,
}

impl Settle {
    /// Nothing was touched yet.
    #[must_use]
    pub fn new() -> Settle {
        Settle::default()
    }

    /// The file, or what leads to it, was touched.
    pub fn touch(&mut self, now: Time) {
        let first = self.touched.map_or(now, |(first, _)| first);
        self.touched = Some((first, now));
    }

    /// When to read; `None` while there is nothing new. Every touch may put it off.
    #[must_use]
    pub fn read_at(&self) -> Option<Time> {
        let (first, last) = self.touched?;
        Some(last.after(QUIET).min(first.after(WAIT_MAX)))
    }

    /// Whether to read now. If so, this is not said again before the next touch. Whoever is told so has to begin to read
    /// after this call, so that a touch that comes while it reads is not taken for an older one.
    pub fn is_due(&mut self, now: Time) -> bool {
        let is_due = self.read_at().is_some_and(|at| at <= now);
        if is_due {
            self.touched = None;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time(Duration::from_millis(ms))
    }

    /// When it is read, if it is touched at these moments and looked at every millisecond.
    fn reads(touches_ms: &[u64]) -> Vec<u64> {
        let mut settle = Settle::new();
        (0..10_000)
            .filter(|now_ms| {
                if touches_ms.contains(now_ms) {
                    settle.touch(at(*now_ms));
                }
                settle.is_due(at(*now_ms))
            })
            .collect()
    }

    #[test]
    fn one_save_is_read_once_when_it_has_come_to_rest() {
        assert!(reads(&[]).is_empty());
        assert_eq!(reads(&[100]), [300]);
        assert_eq!(reads(&[100, 101, 150, 299]), [499]);
        assert_eq!(
            reads(&[100, 301]),
            [300, 501],
            "the second came too late for the first"
        );
    }

    #[test]
    fn a_hundred_saves_a_second_are_read_once_a_second_and_the_last_of_them_too() {
        let touches: Vec<u64> = (0..3000).step_by(10).collect();
        let reads = reads(&touches);
        // The touch at 1000 is looked at as it comes; the next begins a new second.
        assert_eq!(reads, [1000, 2010, 3020]);
        let last_touch = touches.last().copied();
        assert!(reads.last() > last_touch.as_ref());
    }

    #[test]
    fn whoever_looks_late_reads_once() {
        let mut settle = Settle::new();
        settle.touch(at(0));
        assert_eq!(settle.read_at(), Some(at(200)));
        assert!(!settle.is_due(at(199)));
        assert!(settle.is_due(at(60_000)));
        assert!(!settle.is_due(at(60_001)));
        assert_eq!(settle.read_at(), None);
    }
}
