//! How fast bytes come in, how long that will take, and how fast they may come.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// How many steps a window is divided into: what is kept is bounded, however often somebody counts.
const STEPS: u32 = 50;

/// The rate at which a count grows, over a window that slides.
#[derive(Debug, Clone)]
pub struct Rate {
    window: Duration,
    /// A moment and the count at it, the oldest first.
    samples: VecDeque<(Time, u64)>,
}

impl Rate {
    /// A rate over the last `window`.
    #[must_use]
    pub fn new(window: Duration) -> Rate {
        Rate {
            window,
            samples: VecDeque::new(),
        }
    }

    /// At `now` the count is `total`. A count that is less than before begins anew.
    pub fn count(&mut self, now: Time, total: u64) {
        if self.samples.back().is_some_and(|(_, last)| *last > total) {
            self.samples.clear();
        }
        let step = self.window / STEPS;
        let newest_but_one = self.samples.len().checked_sub(2);
        let is_close = newest_but_one
            .and_then(|place| self.samples.get(place))
            .is_some_and(|(at, _)| now.since(*at) < step);
        if is_close {
            self.samples.pop_back();
        }
        self.samples.push_back((now, total));
        self.forget(now);
    }

    /// Leaves of what is older than the window only the newest, which tells what the count was when the window began.
    fn forget(&mut self, now: Time) {
        while self
            .samples
            .get(1)
            .is_some_and(|(at, _)| now.since(*at) >= self.window)
        {
            self.samples.pop_front();
        }
    }

    /// How much it grows in a second; `None` while it is too early to say: before two counts, a tenth of a window apart.
    #[must_use]
    pub fn per_second(&self, now: Time) -> Option<u64> {
        let (first_at, first) = *self.samples.front()?;
        let (_, last) = *self.samples.back()?;
        let span = now.since(first_at);
        if self.samples.len() < 2 || span < self.window / 10 {
            return None;
        }
        let per_second = u128::from(last - first) * 1_000_000 / span.as_micros().max(1);
        Some(u64::try_from(per_second).unwrap_or(u64::MAX))
    }

    /// How long `left` more will take at this rate; `None` while that cannot be said.
    #[must_use]
    pub fn time_left(&self, now: Time, left: u64) -> Option<Duration> {
        let per_second = self.per_second(now)?;
        let left_ms = (u128::from(left) * 1000).checked_div(u128::from(per_second))?;
        // Beyond a year it says nothing to anybody.
        (left_ms < 365 * 86_400_000).then(|| {
            let left_ms = u64::try_from(left_ms).unwrap_or(u64::MAX);
            Duration::from_millis(left_ms)
        })
    }
}

/// A bucket of tokens, one a byte: lets bytes through at a rate, over all who take from it.
#[derive(Debug, Clone)]
pub struct Bucket {
    per_second: u64,
    /// The moment at which all that was taken is paid for. What is taken then may be used then.
    free_at: Time,
}

/// How much may pass at once after a pause, as time at the rate.
const BURST: Duration = Duration::from_millis(100);

impl Bucket {
    /// Lets `per_second` bytes a second through; 0 counts as one.
    #[must_use]
    pub fn new(per_second: u64) -> Bucket {
        Bucket {
            per_second: per_second.max(1),
            free_at: Time::START,
        }
    }

    /// Takes `bytes` at `now`. Gives how long to wait before more is read. Who asks first is served first, and a piece
    /// of any size is let through: it is paid for afterwards.
    pub fn take(&mut self, now: Time, bytes: u64) -> Duration {
        let earliest = Time(now.0.saturating_sub(BURST));
        let cost_us = u128::from(bytes) * 1_000_000 / u128::from(self.per_second);
        let cost = Duration::from_micros(u64::try_from(cost_us).unwrap_or(u64::MAX));
        self.free_at = self.free_at.max(earliest).after(cost);
        self.free_at.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time(Duration::from_millis(ms))
    }

    #[test]
    fn a_rate_is_that_of_the_last_window_and_not_of_all_time() {
        let mut rate = Rate::new(Duration::from_secs(5));
        assert_eq!(rate.per_second(at(0)), None);
        let mut total = 0;
        for step in 0..100_u64 {
            rate.count(at(step * 100), total);
            total += if step < 50 { 100 } else { 300 };
        }
        let per_second = rate.per_second(at(9_900)).unwrap();
        assert!((2_900..=3_100).contains(&per_second), "{per_second}");
        let left = rate.time_left(at(9_900), 30_000).unwrap();
        assert!((9..=11).contains(&left.as_secs()), "{left:?}");
    }

    #[test]
    fn when_nothing_comes_the_rate_falls_to_zero_and_no_time_left_is_told() {
        let mut rate = Rate::new(Duration::from_secs(5));
        rate.count(at(0), 0);
        rate.count(at(1_000), 1_000_000);
        assert_eq!(rate.per_second(at(1_000)), Some(1_000_000));
        rate.count(at(5_000), 1_000_000);
        assert_eq!(rate.per_second(at(5_000)), Some(200_000));
        rate.count(at(6_500), 1_000_000);
        assert_eq!(rate.per_second(at(6_500)), Some(0));
        assert_eq!(rate.time_left(at(6_500), 1), None);
    }

    #[test]
    fn a_rate_keeps_little_however_often_it_is_told_and_begins_anew_with_a_smaller_count() {
        let mut rate = Rate::new(Duration::from_secs(5));
        for step in 0..100_000_u64 {
            rate.count(at(step), step * 10);
        }
        assert!(rate.samples.len() <= 60, "{}", rate.samples.len());
        let per_second = rate.per_second(at(99_999)).unwrap();
        assert!((9_900..=10_100).contains(&per_second), "{per_second}");
        rate.count(at(100_000), 5);
        assert_eq!(rate.per_second(at(100_000)), None);
    }

    #[test]
    fn a_bucket_lets_its_rate_through_whoever_takes_and_however_much() {
        for piece in [1_000, 70_000, 5_000_000] {
            let mut bucket = Bucket::new(1_000_000);
            let (mut now, mut taken) = (at(60_000), 0);
            while taken < 10_000_000 {
                taken += piece;
                now = now.after(bucket.take(now, piece));
            }
            let took = now.since(at(60_000));
            assert!(
                (9_850..=10_100).contains(&took.as_millis()),
                "{piece}: {took:?}"
            );
        }
    }

    #[test]
    fn after_a_pause_a_bucket_lets_no_more_than_its_burst_through_at_once() {
        let mut bucket = Bucket::new(1_000_000);
        assert_eq!(bucket.take(at(3_600_000), 100_000), Duration::ZERO);
        assert_eq!(
            bucket.take(at(3_600_000), 100_000),
            Duration::from_millis(100)
        );
    }
}
