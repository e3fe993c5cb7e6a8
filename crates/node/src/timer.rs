//! Timers among a node's inputs: fired by the library, in the thread that receives.

use std::time::{Duration, Instant};

/// One timer. Ticks that nobody was there to see coalesce into the next one, which counts them.
#[derive(Debug)]
pub(crate) struct Timer {
    period: Duration,
    /// When the next tick is due; `None` before the first look, from which the timer counts.
    next: Option<Instant>,
    /// How many periods have passed, seen or missed.
    ticks: u64,
}

/// A tick that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick {
    /// The number of periods since the start; the first is 1.
    pub(crate) sequence: u64,
    /// How many ticks before this one were missed.
    pub(crate) missed: u64,
}

impl Timer {
    pub(crate) fn new(period: Duration) -> Timer {
        Timer {
            // A period of nothing would tick for ever; the description refuses it, and so does this.
            period: period.max(Duration::from_nanos(1)),
            next: None,
            ticks: 0,
        }
    }

    /// The tick that is due at `now`, if one is. The first look starts the timer, so the time that a
    /// program takes to begin is not counted as missed.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Tick> {
        let next = *self.next.get_or_insert_with(|| now + self.period);
        let late = now.checked_duration_since(next)?;
        let missed = (late.as_nanos() / self.period.as_nanos()) as u64;
        self.ticks += missed + 1;
        // The rhythm is kept: the next tick is a whole number of periods after the first look.
        let into_period = (late.as_nanos() % self.period.as_nanos()) as u64;
        self.next = Some(now + self.period - Duration::from_nanos(into_period));
        Some(Tick {
            sequence: self.ticks,
            missed,
        })
    }

    /// When the next tick is due; `None` before the first look.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn the_first_tick_comes_one_period_after_the_first_look() {
        let start = Instant::now();
        let mut timer = Timer::new(PERIOD);
        assert_eq!(timer.due(start), None);
        assert_eq!(timer.due(at(start, 9)), None);
        assert_eq!(
            timer.due(at(start, 10)),
            Some(Tick {
                sequence: 1,
                missed: 0
            })
        );
        assert_eq!(timer.due(at(start, 10)), None, "one tick a period");
    }

    #[test]
    fn missed_ticks_coalesce_and_are_counted_and_the_rhythm_is_kept() {
        let start = Instant::now();
        let mut timer = Timer::new(PERIOD);
        timer.due(start);
        assert_eq!(
            timer.due(at(start, 47)),
            Some(Tick {
                sequence: 4,
                missed: 3
            })
        );
        assert_eq!(timer.next(), Some(at(start, 50)));
        assert_eq!(
            timer.due(at(start, 50)),
            Some(Tick {
                sequence: 5,
                missed: 0
            })
        );
    }
}
