//! How long a sender without room looks again before it sleeps.
//!
//! A busy receiver makes room in less time than a sleep and a wake-up take, and needs a system call to wake who
//! sleeps. So it is worth a look for some microseconds, but only where that has helped lately: a receiver that
//! works for milliseconds, or needs this very processor, is slept for at once.

use std::time::{Duration, Instant};

/// The longest look: about as long as a sleep and a wake-up take, so that a look in vain at most doubles the wait. One
/// that is longer also takes the processor from others, the receiver among them, where processors are few.
const LOOK_MAX: Duration = Duration::from_micros(5);

/// The shortest look, after many in vain.
const LOOK_MIN: Duration = Duration::from_micros(1);

/// A sleep shorter than this was hardly worth it: a longer look might have saved it.
const SHORT_SLEEP: Duration = Duration::from_micros(60);

/// How many pauses of the processor lie between two looks, so that they do not disturb who makes room.
const PAUSES_BETWEEN_LOOKS: u32 = 16;

/// What was learned from the last waits.
#[derive(Debug)]
pub(super) struct Patience {
    look: Duration,
}

impl Patience {
    pub(super) fn new() -> Patience {
        Patience { look: LOOK_MAX }
    }

    /// For how long to look before the next sleep.
    pub(super) fn look(&self) -> Look {
        Look {
            begun: Instant::now(),
            longest: self.look,
        }
    }

    /// A look has saved a sleep.
    pub(super) fn helped(&mut self) {
        self.look = (self.look * 2).min(LOOK_MAX);
    }

    /// A look was in vain, and so long was slept after it.
    pub(super) fn slept(&mut self, slept: Duration) {
        self.look = if slept < SHORT_SLEEP {
            (self.look * 2).min(LOOK_MAX)
        } else {
            (self.look / 2).max(LOOK_MIN)
        };
    }
}

/// One look that is under way.
pub(super) struct Look {
    begun: Instant,
    longest: Duration,
}

impl Look {
    /// Pauses for a moment, and gives for how long it has lasted by now. `None`: it is over.
    pub(super) fn again(&self) -> Option<Duration> {
        for _ in 0..PAUSES_BETWEEN_LOOKS {
            std::hint::spin_loop();
        }
        let lasted = self.begun.elapsed();
        (lasted < self.longest).then_some(lasted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_in_vain_become_short_and_grow_again_with_short_sleeps() {
        let mut patience = Patience::new();
        for _ in 0..10 {
            patience.slept(Duration::from_millis(1));
        }
        assert_eq!(patience.look, LOOK_MIN);
        patience.slept(Duration::from_micros(30));
        assert_eq!(patience.look, LOOK_MIN * 2);
        for _ in 0..10 {
            patience.helped();
        }
        assert_eq!(patience.look, LOOK_MAX);
    }
}
