//! What the payload of a simulated message says of itself, so that every reader can tell whether it is whole.

use dataflow_core::random::Random;

/// The shortest payload, in bytes.
pub const STAMP_BYTES: usize = 40;

/// Where the checksum stands.
const CHECKSUM: std::ops::Range<usize> = 32..40;

/// Who sent a message, and which one it is. The rest of the payload follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Which run of several.
    pub run: u32,
    /// The sender.
    pub node: u32,
    /// The place of its output.
    pub output: u32,
    /// The sender's incarnation.
    pub epoch: u32,
    /// Counted from 1, for each output of an incarnation.
    pub number: u64,
}

/// A payload that is not what its sender wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Spoiled {
    /// It is shorter than any.
    #[error("{0} bytes are no payload")]
    Short(usize),
    /// It says another length than it has.
    #[error("it has {has} bytes and says {says}")]
    Length {
        /// What arrived.
        has: usize,
        /// What was sent.
        says: u64,
    },
    /// Something in it has changed.
    #[error("its checksum is {found:#x}, its bytes give {computed:#x}")]
    Checksum {
        /// What stands in it.
        found: u64,
        /// What follows from its bytes.
        computed: u64,
    },
}

impl Stamp {
    /// Writes a payload that takes all of `into`.
    ///
    /// # Panics
    ///
    /// When `into` is shorter than [`STAMP_BYTES`].
    pub fn write(&self, into: &mut [u8]) {
        assert!(
            into.len() >= STAMP_BYTES,
            "a payload has room for its stamp"
        );
        let length = into.len() as u64;
        for (place, word) in [self.run, self.node, self.output, self.epoch]
            .into_iter()
            .enumerate()
        {
            into[place * 4..place * 4 + 4].copy_from_slice(&word.to_le_bytes());
        }
        into[16..24].copy_from_slice(&self.number.to_le_bytes());
        into[24..32].copy_from_slice(&length.to_le_bytes());
        let mut filler = Random::new(self.number ^ u64::from(self.node) << 40);
        for bytes in into[STAMP_BYTES..].chunks_mut(8) {
            bytes.copy_from_slice(&filler.draw().to_le_bytes()[..bytes.len()]);
        }
        let checksum = checksum(into);
        into[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// [`Spoiled`] when it is not what [`Stamp::write`] has written.
    pub fn read(payload: &[u8]) -> Result<Stamp, Spoiled> {
        if payload.len() < STAMP_BYTES {
            return Err(Spoiled::Short(payload.len()));
        }
        let says = long(payload, 24);
        if says != payload.len() as u64 {
            let has = payload.len();
            return Err(Spoiled::Length { has, says });
        }
        let (found, computed) = (long(payload, CHECKSUM.start), checksum(payload));
        if found != computed {
            return Err(Spoiled::Checksum { found, computed });
        }
        let short = |place: usize| long(payload, place) as u32;
        Ok(Stamp {
            run: short(0),
            node: short(4),
            output: short(8),
            epoch: short(12),
            number: long(payload, 16),
        })
    }
}

fn long(bytes: &[u8], place: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[place..place + 8]);
    u64::from_le_bytes(eight)
}

/// Of everything but the checksum itself.
fn checksum(payload: &[u8]) -> u64 {
    let mut sum = 0x9e37_79b9_7f4a_7c15_u64;
    let mut mix = |word: u64| sum = (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    for part in [&payload[..CHECKSUM.start], &payload[CHECKSUM.end..]] {
        for bytes in part.chunks(8) {
            let mut eight = [0; 8];
            eight[..bytes.len()].copy_from_slice(bytes);
            mix(u64::from_le_bytes(eight));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_says_who_sent_it_and_every_changed_byte_shows() {
        let stamp = Stamp {
            run: 1,
            node: 2,
            output: 3,
            epoch: 4,
            number: 5,
        };
        for length in [STAMP_BYTES, STAMP_BYTES + 3, 200] {
            let mut payload = vec![0; length];
            stamp.write(&mut payload);
            assert_eq!(Stamp::read(&payload), Ok(stamp));
            for place in 0..length {
                payload[place] ^= 0x10;
                assert!(Stamp::read(&payload).is_err(), "{length}, {place}");
                payload[place] ^= 0x10;
            }
            assert!(Stamp::read(&payload[..length - 1]).is_err());
        }
    }
}
