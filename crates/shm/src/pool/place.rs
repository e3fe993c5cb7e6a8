//! Where a chunk lies, and a quick hash of that.

use std::hash::{BuildHasherDefault, Hasher};

/// Where a chunk lies: number of the segment, and offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) number: u32,
    pub(super) offset: u64,
}

pub(super) type BuildPlaceHasher = BuildHasherDefault<PlaceHasher>;

/// A hash for the pool's own small numbers, which no peer chooses: it stands on the path of each message.
#[derive(Debug, Default)]
pub(super) struct PlaceHasher(u64);

impl PlaceHasher {
    fn mix(&mut self, value: u64) {
        // Fibonacci hashing: 2⁶⁴ divided by the golden ratio. Offsets end in zeros, so the high half comes down.
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

impl Hasher for PlaceHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.mix(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }
}
