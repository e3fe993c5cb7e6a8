//! How often something is said that happens again and again.

use std::time::Duration;

use crate::Time;

/// Says at once what happens for the first time, and then ever more seldom; what was not said is counted.
#[derive(Debug, Clone)]
pub struct Repeats {
    least: Duration,
    longest: Duration,
    /// The time that has to pass after the last that was said.
    wait: Duration,
    told_at: Option<Time>,
    more: u64,
}

impl Repeats {
    /// Nothing has happened yet. The first wait is `least`; it doubles up to `longest`, and begins anew when nothing was
    /// to be said for twice the longest.
    #[must_use]
    pub fn new(least: Duration, longest: Duration) -> Repeats {
        Repeats {
            least,
            longest: longest.max(least),
            wait: least,
            told_at: None,
            more: 0,
        }
    }

    /// It has happened, so many times. If it is to be said: how many more times since it was said last.
    pub fn tell(&mut self, now: Time, times: u64) -> Option<u64> {
        self.more = self.more.saturating_add(times);
        if let Some(told_at) = self.told_at {
            if now.since(told_at) < self.wait {
                return None;
            }
            self.wait = if self.is_over(now) {
                self.least
            } else {
                self.wait.saturating_mul(2).min(self.longest)
            };
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.more).saturating_sub(1))
    }

    /// Whether it may be forgotten: it would be said at once, as if for the first time.
    #[must_use]
    pub fn is_over(&self, now: Time) -> bool {
        let over = self.longest.saturating_mul(2);
        (self.told_at).is_none_or(|told_at| now.since(told_at) >= over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Time {
        Time(SECOND * u32::try_from(seconds).unwrap())
    }

    #[test]
    fn what_happens_every_second_for_a_day_is_said_some_hundred_times_and_all_of_it_is_counted() {
        let mut repeats = Repeats::new(SECOND, SECOND * 600);
        let told: Vec<(u64, u64)> = (0..86_400)
            .filter_map(|second| Some((second, repeats.tell(at(second), 1)?)))
            .collect();
        assert_eq!(told[..5], [(0, 0), (1, 0), (3, 1), (7, 3), (15, 7)]);
        assert!((140..160).contains(&told.len()), "{}", told.len());
        let last = told[told.len() - 1].0;
        let counted: u64 = told.iter().map(|(_, more)| more + 1).sum();
        assert_eq!(counted, last + 1);
    }

    #[test]
    fn what_comes_back_every_half_minute_is_said_ever_more_seldom_too() {
        let mut repeats = Repeats::new(SECOND, SECOND * 600);
        let told = (0..2880).filter(|visit| repeats.tell(at(visit * 30), 1).is_some());
        assert!((140..160).contains(&told.count()));
    }

    #[test]
    fn what_stands_for_several_is_counted_as_such() {
        let mut repeats = Repeats::new(SECOND, SECOND);
        assert_eq!(repeats.tell(at(0), 4), Some(3));
        assert_eq!(repeats.tell(at(0), 2), None);
        assert_eq!(repeats.tell(at(1), 1), Some(2));
    }

    #[test]
    fn what_has_not_happened_for_long_is_said_at_once_and_begins_anew() {
        let mut repeats = Repeats::new(SECOND, SECOND * 600);
        for second in 0..1000 {
            repeats.tell(at(second), 1);
        }
        assert!(!repeats.is_over(at(1000)));
        assert!(repeats.is_over(at(5000)));
        assert!(repeats.tell(at(5000), 1).is_some());
        assert_eq!(repeats.tell(at(5001), 1), Some(0), "after a second again");
    }

    #[test]
    fn with_one_wait_nothing_is_said_more_often_than_that() {
        let mut repeats = Repeats::new(SECOND * 60, SECOND * 60);
        let told = (0..600).filter(|second| repeats.tell(at(*second), 1).is_some());
        assert_eq!(told.count(), 10);
    }
}
