//! Memory for a message that is filled in place.

use std::borrow::Borrow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use dataflow_shm::Chunk;
use dataflow_shm::edge::ChunkKey;
use dataflow_wire::metadata::Metadata;

use crate::error::SendError;
use crate::payload::AlignedBytes;
use crate::sender::SenderInner;
use crate::wait::{OnSignal, SignalHook};

/// Memory lent for one message: write into it, then [`Loan::send`]. Dropping it instead sends nothing.
///
/// It belongs to its owner alone, on whatever thread, and may outlive the node's halves.
pub struct Loan {
    length: usize,
    /// Before `ticket`, so that the memory is back when the ticket says so.
    memory: LoanMemory,
    ticket: Ticket,
    place: usize,
}

enum LoanMemory {
    /// A small message travels in the slot: until then it is here.
    Small(AlignedBytes),
    /// In shared memory already.
    Chunk(Chunk),
}

/// Keeps the memory of a loan that was sent from being used again, for who still has a view of it.
pub struct SentLoan {
    _memory: Option<LoanMemory>,
    _ticket: Ticket,
}

/// Counts a loan, and gives a hold on its chunk back when it goes. Never waits.
struct Ticket {
    sender: Arc<SenderInner>,
    key: Option<ChunkKey>,
}

impl Ticket {
    fn new(sender: Arc<SenderInner>) -> Ticket {
        sender.loan_begins();
        Ticket { sender, key: None }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.sender.loan_ends(self.key.take());
    }
}

impl Loan {
    pub(crate) fn small(sender: Arc<SenderInner>, place: usize, length: usize) -> Loan {
        Loan {
            length,
            memory: LoanMemory::Small(AlignedBytes::zeroed(length)),
            ticket: Ticket::new(sender),
            place,
        }
    }

    pub(crate) fn chunk(
        sender: Arc<SenderInner>,
        place: usize,
        length: usize,
        chunk: Chunk,
    ) -> Loan {
        Loan {
            length,
            memory: LoanMemory::Chunk(chunk),
            ticket: Ticket::new(sender),
            place,
        }
    }

    /// Sends what was written, to every input that is connected to the output. Nothing is copied, unless the
    /// payload is small, or the metadata is longer than 4 KiB and than any before it on this output.
    ///
    /// # Errors
    ///
    /// [`SendError`], never [`SendError::Interrupted`]. The memory is given back either way.
    pub fn send(self, metadata: impl Borrow<Metadata>) -> Result<(), SendError> {
        let (result, _sent) = self.send_keeping(metadata.borrow(), &mut || OnSignal::GoOn);
        result
    }

    /// As [`Loan::send`], for callers that have raw views of the memory: it is not used for another message
    /// before the [`SentLoan`] goes, whatever the outcome. Asks `on_signal` whenever a signal has interrupted a
    /// wait; when that gives up, the outcome is [`SendError::Interrupted`].
    pub fn send_keeping(
        self,
        metadata: &Metadata,
        on_signal: &mut SignalHook<'_>,
    ) -> (Result<(), SendError>, SentLoan) {
        let Loan {
            length,
            memory,
            mut ticket,
            place,
        } = self;
        let sender = ticket.sender.clone();
        let metadata = match metadata.encode() {
            Ok(metadata) => metadata,
            Err(error) => {
                return (Err(error.into()), SentLoan::of(Some(memory), ticket));
            }
        };
        let mut writer = match sender.writer() {
            Ok(writer) => writer,
            Err(error) => return (Err(error), SentLoan::of(Some(memory), ticket)),
        };
        if let Err(error) = writer.begin(place) {
            return (Err(error), SentLoan::of(Some(memory), ticket));
        }
        match memory {
            LoanMemory::Chunk(chunk) if chunk.capacity() >= length + metadata_room(&metadata) => {
                let (result, key) = writer.send_chunk(place, chunk, length, &metadata, on_signal);
                ticket.key = Some(key);
                (result, SentLoan::of(None, ticket))
            }
            // Metadata that the chunk has no room for (see `Writer::metadata_room`): the exception is copied.
            memory => {
                let result = writer.send(place, &memory.bytes()[..length], &metadata, on_signal);
                (result, SentLoan::of(Some(memory), ticket))
            }
        }
    }
}

fn metadata_room(metadata: &[u8]) -> usize {
    crate::sender::metadata_behind(metadata)
}

impl SentLoan {
    fn of(memory: Option<LoanMemory>, ticket: Ticket) -> SentLoan {
        SentLoan {
            _memory: memory,
            _ticket: ticket,
        }
    }
}

impl LoanMemory {
    fn bytes(&self) -> &[u8] {
        match self {
            LoanMemory::Small(bytes) => bytes.bytes(),
            LoanMemory::Chunk(chunk) => chunk.bytes(),
        }
    }
}

impl Deref for Loan {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory.bytes()[..self.length]
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            LoanMemory::Small(bytes) => &mut bytes.bytes_mut()[..self.length],
            LoanMemory::Chunk(chunk) => &mut chunk.bytes_mut()[..self.length],
        }
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SentLoan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentLoan").finish_non_exhaustive()
    }
}
