//! Choices that follow from a seed.

use std::time::Duration;

use dataflow_core::random::Random;

/// A source of choices.
#[derive(Debug, Clone)]
pub(crate) struct Draw(Random);

impl Draw {
    /// Choices that follow from `seed` and from what they are for.
    pub(crate) fn new(seed: u64, purpose: u64) -> Draw {
        let mut random = Random::new(seed);
        let mixed = random.draw() ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Draw(Random::new(mixed))
    }

    /// Any number.
    pub(crate) fn any(&mut self) -> u64 {
        self.0.draw()
    }

    /// A number below `count`; 0 if that is 0.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        self.0.draw() % count.max(1)
    }

    /// A place in something of that length.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// A number from `least` to `most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub(crate) fn one_of<T: Clone>(&mut self, these: &[T]) -> T {
        these[self.place(these.len())].clone()
    }

    /// A time, in whole milliseconds.
    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }
}
