//! Words with more than one meaning in them: slot words, ring entries, the head, the last sequence.

use dataflow_ids::Sequence;

/// The greatest sequence: a ring entry keeps 48 bits of it.
pub const SEQUENCE_MAX: u64 = (1 << 48) - 1;

/// The slot of a message that was sent and dropped without one.
pub const NO_SLOT: u32 = 0xffff;

/// Where a slot stands (section 5 of the design).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlotState {
    /// The sender may write it.
    Free,
    /// It waits for the receiver.
    Queued,
    /// The receiver holds it.
    Borrowed,
    /// The receiver needs it no more; the sender has not looked yet.
    Released,
}

/// A slot's word: (sequence, state) in one, so that who reads late cannot win a race for a reused slot.
///
/// A free slot keeps the sequence of its last message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SlotWord {
    /// The message.
    pub sequence: u64,
    /// Where it stands.
    pub state: SlotState,
}

impl SlotWord {
    /// FREE after `sequence`.
    #[inline]
    pub const fn free(sequence: u64) -> u64 {
        sequence << 3
    }

    /// QUEUED(`sequence`).
    #[inline]
    pub const fn queued(sequence: u64) -> u64 {
        sequence << 3 | 1
    }

    /// BORROWED(`sequence`).
    #[inline]
    pub const fn borrowed(sequence: u64) -> u64 {
        sequence << 3 | 2
    }

    /// RELEASED(`sequence`).
    #[inline]
    pub const fn released(sequence: u64) -> u64 {
        sequence << 3 | 3
    }

    /// What a word says; `None` for a state that there is not.
    pub const fn read(word: u64) -> Option<SlotWord> {
        let state = match word & 7 {
            0 => SlotState::Free,
            1 => SlotState::Queued,
            2 => SlotState::Borrowed,
            3 => SlotState::Released,
            _ => return None,
        };
        Some(SlotWord {
            sequence: word >> 3,
            state,
        })
    }
}

/// An entry of the ring: which slot a message is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RingEntry {
    /// The message.
    pub sequence: u64,
    /// Its slot, or [`NO_SLOT`].
    pub slot: u32,
}

impl RingEntry {
    /// The entry as a word.
    pub const fn word(self) -> u64 {
        self.sequence << 16 | self.slot as u64
    }

    /// What a word says.
    pub const fn read(word: u64) -> RingEntry {
        RingEntry {
            sequence: word >> 16,
            slot: (word & 0xffff) as u32,
        }
    }
}

/// The head: the last sequence that the receiver is past, and the parity of `delivered` at that moment.
///
/// The receiver counts a delivery just before it moves the head. The parity tells a repair whether the
/// message taken last was counted when the receiver died between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Head {
    /// Every message up to this one is taken, or dropped.
    pub(super) sequence: u64,
    /// The lowest bit of `delivered`.
    pub(super) parity: u64,
}

impl Head {
    pub(super) const fn word(sequence: u64, delivered: u64) -> u64 {
        sequence << 1 | (delivered & 1)
    }

    pub(super) const fn read(word: u64) -> Head {
        Head {
            sequence: word >> 1,
            parity: word & 1,
        }
    }
}

/// `closed_at`: the sender's last sequence, once its end is final.
pub(super) const fn closed_word(last: u64) -> u64 {
    last << 1 | 1
}

/// What `closed_at` says; `None` while the sender may still send.
pub(super) fn closed_at(word: u64) -> Option<Sequence> {
    (word & 1 == 1).then_some(Sequence(word >> 1))
}

/// Why a sender drops a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DropReason {
    /// The queue, or the table of slots, is full.
    Full,
    /// To make room in the sender's memory.
    Memory,
    /// The receiver has ended for good.
    ReceiverClosed,
}

/// What a sender is about to drop, written before it does so.
///
/// A message and its counter cannot change in one step. The intent names the message, and the parity that
/// the counter had; from these a repair sees whether a sender that died in between had dropped the message,
/// and whether it had counted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DropIntent {
    pub(super) sequence: u64,
    pub(super) reason: DropReason,
    pub(super) parity: u64,
}

impl DropIntent {
    /// The word of no intent at all.
    pub(super) const NONE: u64 = 0;

    pub(super) const fn word(sequence: u64, reason: DropReason, counter: u64) -> u64 {
        let reason = match reason {
            DropReason::Full => 0,
            DropReason::Memory => 1,
            DropReason::ReceiverClosed => 2,
        };
        sequence << 3 | reason << 1 | (counter & 1)
    }

    pub(super) const fn read(word: u64) -> Option<DropIntent> {
        let reason = match word >> 1 & 3 {
            0 => DropReason::Full,
            1 => DropReason::Memory,
            2 => DropReason::ReceiverClosed,
            _ => return None,
        };
        if word >> 3 == 0 {
            return None;
        }
        Some(DropIntent {
            sequence: word >> 3,
            reason,
            parity: word & 1,
        })
    }
}
