//! A small seeded generator (splitmix64), so that one seed reproduces every jitter of a run.

use std::time::Duration;

/// A generator of numbers that depend on the seed alone. Not for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator that begins at `seed`. Every seed is good.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Random { state: seed }
    }

    /// The next number, evenly spread over all of `u64`.
    pub fn draw(&mut self) -> u64 {
        // Constants of splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators".
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The duration that `random` picks between `shortest` and `longest`, both included.
pub(crate) fn pick(random: u64, shortest: Duration, longest: Duration) -> Duration {
    let span_ns = u64::try_from(longest.saturating_sub(shortest).as_nanos()).unwrap_or(u64::MAX);
    let picked_ns = (u128::from(random) * (u128::from(span_ns) + 1)) >> 64;
    shortest.saturating_add(Duration::from_nanos(
        u64::try_from(picked_ns).unwrap_or(span_ns),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut random = Random::new(1234567);
        assert_eq!(random.draw(), 6457827717110365317);
        assert_eq!(random.draw(), 3203168211198807973);
    }

    #[test]
    fn a_pick_reaches_both_ends_and_never_passes_them() {
        let (shortest, longest) = (Duration::from_millis(5), Duration::from_millis(9));
        assert_eq!(pick(0, shortest, longest), shortest);
        assert_eq!(pick(u64::MAX, shortest, longest), longest);
        assert_eq!(pick(u64::MAX, longest, shortest), longest);
    }
}
