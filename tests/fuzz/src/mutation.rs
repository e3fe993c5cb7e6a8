//! Small changes of an input, all of which follow from a seed: what a machine without a fuzzer can do.

/// Makes up changed inputs. Two with one seed make the same ones.
#[derive(Debug, Clone)]
pub struct Mutations {
    state: u64,
}

impl Mutations {
    /// The mutations of a seed.
    pub fn new(seed: u64) -> Mutations {
        Mutations {
            state: seed ^ 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The next random number (splitmix64).
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.state;
        number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ number >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound.max(1) as u64) as usize
    }

    /// `input` with one to four small changes; `other` lends pieces.
    pub fn of(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let length = self.below(16).min(bytes.len() - at);
            match self.below(7) {
                0 => drop(bytes.drain(at..at + length)),
                1 => {
                    let piece: Vec<u8> = (0..=length).map(|_| self.number() as u8).collect();
                    bytes.splice(at..at, piece);
                }
                2 => {
                    let piece = bytes[at..at + length].to_vec();
                    bytes.splice(at..at, piece);
                }
                3 => {
                    let from = self.below(other.len() + 1);
                    let end = other.len().min(from + self.below(32));
                    bytes.splice(at..at + length, other[from..end].iter().copied());
                }
                4 => bytes.truncate(at),
                kind => {
                    if let Some(byte) = bytes.get_mut(at) {
                        let bit = self.state % 8;
                        *byte = match kind {
                            5 => *byte ^ 1 << bit,
                            _ => [0, 1, 0x7f, 0x80, 0xff, b'\n', b' ', b'0'][bit as usize],
                        };
                    }
                }
            }
        }
        bytes
    }
}
