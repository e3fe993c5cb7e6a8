//! How often something may happen: so many at once, and one every so long after that.

use std::time::Duration;

use tokio::time::Instant;

/// How often something may happen. Takes the size of a moment, however much happens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    at_once: u32,
    every: Duration,
    /// When all that was allowed so far is paid for.
    paid_at: Option<Instant>,
}

impl Rate {
    /// `at_once` and one more after each `every`.
    pub(super) fn new(at_once: u32, every: Duration) -> Rate {
        Rate {
            at_once: at_once.max(1),
            every,
            paid_at: None,
        }
    }

    /// Whether it may happen now. If so, it has.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let paid_at = self.paid_at.map_or(now, |paid_at| paid_at.max(now));
        let ahead = paid_at.saturating_duration_since(now);
        if ahead + self.every > self.every * self.at_once {
            return false;
        }
        self.paid_at = Some(paid_at + self.every);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_one_more_each_time() {
        let start = Instant::now();
        let mut rate = Rate::new(3, Duration::from_secs(1));
        let allowed = |rate: &mut Rate, at: u64| {
            let now = start + Duration::from_secs(at);
            (0..10).filter(|_| rate.allows(now)).count()
        };
        assert_eq!(allowed(&mut rate, 0), 3);
        assert_eq!(allowed(&mut rate, 0), 0);
        assert_eq!(allowed(&mut rate, 1), 1);
        assert_eq!(allowed(&mut rate, 3), 2);
        assert_eq!(
            allowed(&mut rate, 100),
            3,
            "a long silence saves up no more"
        );
    }
}
