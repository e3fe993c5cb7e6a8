//! What a node writes down about each message: 32 bytes a fact, in a file that a SIGKILL cannot cut.
//!
//! A fact is one `write` at the end of the file (`O_APPEND`). Its length divides a page, so none lies on two
//! pages, and the kernel looks for a SIGKILL only between pages: a fact is in the file whole, or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The length of a fact in a ledger, in bytes.
const FACT_BYTES: usize = 32;

/// Where in its program a node kills itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Point {
    /// Before it has said hello.
    BeforeHello,
    /// Connected, and not Ready yet.
    BeforeReady,
    /// Ready, before its first receive or send.
    Ready,
    /// With a message in its hands that is not written down.
    Received,
    /// With a message in its hands that is written down.
    Held,
    /// Between a loan and its send.
    Loaned,
    /// After a send.
    Sent,
    /// After an input has closed, or a stop was delivered.
    Ending,
}

impl Point {
    /// Every point, in the order of a life.
    pub const ALL: [Point; 8] = [
        Point::BeforeHello,
        Point::BeforeReady,
        Point::Ready,
        Point::Received,
        Point::Held,
        Point::Loaned,
        Point::Sent,
        Point::Ending,
    ];

    /// As a table names it.
    pub fn name(self) -> &'static str {
        match self {
            Point::BeforeHello => "before hello",
            Point::BeforeReady => "before ready",
            Point::Ready => "ready",
            Point::Received => "in its hands",
            Point::Held => "while holding",
            Point::Loaned => "between loan and send",
            Point::Sent => "after a send",
            Point::Ending => "ending",
        }
    }
}

/// A message that a node's program has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumed {
    /// Which of its inputs: the number in the input's name.
    pub input: u16,
    /// Its number on the edge.
    pub sequence: u64,
    /// What was stamped on it; `None` when it was damaged.
    pub stamp: Option<crate::message::Stamp>,
}

/// One fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// An incarnation has begun, as this process.
    Began {
        /// Its number.
        pid: u32,
    },
    /// A message was seen.
    Consumed(Consumed),
    /// The node is about to kill itself.
    Dying(Point),
    /// The node has ended by itself, having sent so many messages on this output in this incarnation.
    Sent {
        /// Which: the number in the output's name.
        output: u16,
        /// How many.
        count: u64,
        /// Whether the next one was refused when it had reached some of the inputs already.
        and_one_partly: bool,
    },
    /// The node has ended by itself: the last fact of its incarnation.
    Ended,
    /// The node has verified so many messages, all there were, without writing each of them down.
    Verified {
        /// How many.
        count: u64,
    },
}

impl Fact {
    fn to_bytes(self) -> [u8; FACT_BYTES] {
        // kind, state, port, -, sender, epoch, number, sequence
        let (kind, state, port, sender, epoch, number, sequence) = match self {
            Fact::Began { pid } => (1, 0, 0, pid, 0, 0, 0),
            Fact::Consumed(Consumed {
                input,
                sequence,
                stamp: Some(stamp),
            }) => (
                2,
                1,
                input,
                stamp.sender,
                stamp.epoch,
                stamp.number,
                sequence,
            ),
            Fact::Consumed(Consumed {
                input,
                sequence,
                stamp: None,
            }) => (2, 0, input, 0, 0, 0, sequence),
            Fact::Dying(point) => (3, point as u8, 0, 0, 0, 0, 0),
            Fact::Sent {
                output,
                count,
                and_one_partly,
            } => (4, u8::from(and_one_partly), output, 0, 0, count, 0),
            Fact::Ended => (6, 0, 0, 0, 0, 0, 0),
            Fact::Verified { count } => (5, 0, 0, 0, 0, count, 0),
        };
        let mut bytes = [0; FACT_BYTES];
        bytes[0] = kind;
        bytes[1] = state;
        bytes[2..4].copy_from_slice(&port.to_le_bytes());
        bytes[8..12].copy_from_slice(&sender.to_le_bytes());
        bytes[12..16].copy_from_slice(&epoch.to_le_bytes());
        bytes[16..24].copy_from_slice(&number.to_le_bytes());
        bytes[24..].copy_from_slice(&sequence.to_le_bytes());
        bytes
    }

    fn of_bytes(bytes: &[u8; FACT_BYTES]) -> Option<Fact> {
        let port = u16::from_le_bytes([bytes[2], bytes[3]]);
        let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        Some(match bytes[0] {
            1 => Fact::Began { pid: half(8) },
            2 => Fact::Consumed(Consumed {
                input: port,
                sequence: word(24),
                stamp: (bytes[1] == 1).then(|| crate::message::Stamp {
                    sender: half(8),
                    epoch: half(12),
                    number: word(16),
                }),
            }),
            3 => Fact::Dying(*Point::ALL.get(usize::from(bytes[1]))?),
            4 => Fact::Sent {
                output: port,
                count: word(16),
                and_one_partly: bytes[1] == 1,
            },
            6 => Fact::Ended,
            5 => Fact::Verified { count: word(16) },
            _ => return None,
        })
    }
}

/// A node's side of its ledger. Every incarnation appends to the same file.
#[derive(Debug)]
pub struct Ledger {
    file: File,
}

impl Ledger {
    /// Opens the ledger at this place, and makes it if there is none.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Ledger> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Ledger { file })
    }

    /// Whether nobody has written anything yet.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == 0)
    }

    /// Writes a fact down.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn write(&mut self, fact: Fact) -> io::Result<()> {
        self.file.write_all(&fact.to_bytes())
    }
}

/// Where the ledger of a node lies.
pub fn ledger_path(records: &Path, node: &str) -> PathBuf {
    records.join(format!("{node}.ledger"))
}

/// Every fact of a ledger, in the order in which they were written; none when there is no ledger.
///
/// # Panics
///
/// When it cannot be read, or is not a whole number of facts: then a fact was cut.
pub fn read_ledger(path: &Path) -> Vec<Fact> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => panic!("cannot read {}: {error}", path.display()),
    };
    let (facts, rest) = bytes.as_chunks::<FACT_BYTES>();
    assert!(rest.is_empty(), "{} ends in a cut fact", path.display());
    facts
        .iter()
        .map(|bytes| {
            Fact::of_bytes(bytes)
                .unwrap_or_else(|| panic!("no fact in {}: {bytes:?}", path.display()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Stamp;

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = ledger_path(folder.path(), "camera");
        assert_eq!(read_ledger(&path), []);
        let stamp = Stamp {
            sender: 7,
            epoch: 2,
            number: u64::MAX,
        };
        let mut facts = vec![Fact::Began { pid: 4711 }];
        facts.extend([Some(stamp), None].map(|stamp| {
            Fact::Consumed(Consumed {
                input: 3,
                sequence: 9,
                stamp,
            })
        }));
        facts.extend(Point::ALL.map(Fact::Dying));
        facts.extend([false, true].map(|and_one_partly| Fact::Sent {
            output: 1,
            count: 12,
            and_one_partly,
        }));
        facts.push(Fact::Verified { count: 1 << 40 });
        facts.push(Fact::Ended);
        for fact in &facts {
            Ledger::open(&path).unwrap().write(*fact).unwrap();
        }
        assert_eq!(read_ledger(&path), facts);
    }
}
