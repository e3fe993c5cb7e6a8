//! How long to wait before the next try: exponential, jittered, bounded. Used by restarts and by drains.

use std::time::Duration;

use crate::random::pick;

/// The wait before try number `step` (counted from 0), never outside `shortest..=longest`.
///
/// It doubles from `shortest` on; the jitter spreads a third of it, so that what failed together does not
/// try again together.
pub(crate) fn delay(shortest: Duration, longest: Duration, step: u32, random: u64) -> Duration {
    let longest = longest.max(shortest);
    let factor = 1_u32.checked_shl(step).unwrap_or(u32::MAX);
    let base = shortest.saturating_mul(factor).min(longest);
    let upper = base.saturating_add(base / 2).min(longest);
    let lower = (upper / 3).saturating_mul(2).max(shortest);
    pick(random, lower, upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_doubles_until_its_bound_and_stays_in_it() {
        let (shortest, longest) = (Duration::from_millis(50), Duration::from_secs(2));
        for random in [0, 1 << 63, u64::MAX] {
            let mut previous = Duration::ZERO;
            for step in 0..100 {
                let delay = delay(shortest, longest, step, random);
                assert!(delay >= shortest && delay <= longest, "{delay:?}");
                assert!(delay >= previous, "it grows: {previous:?} then {delay:?}");
                previous = delay;
            }
            assert!(previous >= longest / 2);
        }
    }

    #[test]
    fn bounds_in_the_wrong_order_mean_the_shortest() {
        let (shortest, longest) = (Duration::from_secs(3), Duration::from_secs(1));
        assert_eq!(delay(shortest, longest, 7, 42), shortest);
    }
}
