//! What a numbered message contains: who sent it, its number, and a checksum over every byte.
//!
//! 24 bytes are the shortest: sender and epoch, number, checksum. Every longer one carries words that depend on
//! all three.

/// The length of the shortest message, in bytes.
pub const MESSAGE_BYTES_MIN: usize = 24;

/// What is stamped on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Whose: [`tag`] of the sender's node and output.
    pub sender: u32,
    /// The sender's incarnation.
    pub epoch: u32,
    /// Its number, from 1 in each incarnation, without gaps.
    pub number: u64,
}

/// A number for a name (FNV-1a).
pub fn tag(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

fn scramble(value: u64) -> u64 {
    (value ^ 0x5bd1_e995)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
}

impl Stamp {
    fn who(self) -> u64 {
        u64::from(self.sender) << 32 | u64::from(self.epoch)
    }

    fn checksum(self, length: usize) -> u64 {
        scramble(scramble(self.who() ^ length as u64).wrapping_add(self.number))
    }

    /// Writes a message of this stamp into all of `bytes`.
    ///
    /// # Panics
    ///
    /// When they are less than [`MESSAGE_BYTES_MIN`].
    pub fn fill(self, bytes: &mut [u8]) {
        let checksum = self.checksum(bytes.len());
        bytes[..8].copy_from_slice(&self.who().to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&checksum.to_le_bytes());
        let mut word = checksum;
        for eight in bytes[24..].chunks_mut(8) {
            word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
            eight.copy_from_slice(&word.to_le_bytes()[..eight.len()]);
        }
    }

    /// The stamp of a message; `None` when one of its bytes is not as it was sent.
    pub fn of(bytes: &[u8]) -> Option<Stamp> {
        let word = |at: usize| {
            let eight = bytes.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_le_bytes(eight))
        };
        let who = word(0)?;
        let stamp = Stamp {
            sender: (who >> 32) as u32,
            epoch: who as u32,
            number: word(8)?,
        };
        let mut expected = stamp.checksum(bytes.len());
        if word(16)? != expected {
            return None;
        }
        let whole = bytes[24..].chunks(8).all(|eight| {
            expected = expected.wrapping_add(0x9e37_79b9_7f4a_7c15);
            expected.to_le_bytes().starts_with(eight)
        });
        whole.then_some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_one_bit_turned_has_no_stamp() {
        for length in [24, 25, 31, 32, 500] {
            let stamp = Stamp {
                sender: tag("camera/image"),
                epoch: 3,
                number: 77,
            };
            let mut bytes = vec![0; length];
            stamp.fill(&mut bytes);
            assert_eq!(Stamp::of(&bytes), Some(stamp));
            for bit in 0..length * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Stamp::of(&bytes), None, "bit {bit} of {length} bytes");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            assert_eq!(Stamp::of(&bytes[..length - 1]), None, "cut off");
        }
    }
}
