//! Which drop tokens are owed, as the slots say, and since when.

use std::sync::atomic::Ordering;

use dataflow_ids::Sequence;

use super::layout::{Layout, slot};
use super::slot::{SlotState, SlotWord};
use super::words::Words;

/// The tokens that a receiver owes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens {
    /// Messages that wait in the queue.
    pub queued: u64,
    /// Messages that the receiver holds, in order.
    pub held: Vec<Sequence>,
    /// The first message that is owed at all.
    pub lowest: Option<Sequence>,
}

impl Tokens {
    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.queued == 0 && self.held.is_empty()
    }
}

/// Reads the tokens up to and including `upto`. Each slot is read once, so that a message on its way from
/// the queue to the receiver is counted once.
pub(super) fn read<W: Words>(words: &W, layout: &Layout, upto: Sequence) -> Tokens {
    let mut tokens = Tokens::default();
    for slot in 0..layout.slots() {
        let Some(word) = SlotWord::read(words.load(layout.slot(slot), Ordering::Acquire))
            .filter(|word| word.sequence <= upto.0)
        else {
            continue;
        };
        let sequence = Sequence(word.sequence);
        match word.state {
            SlotState::Queued => tokens.queued += 1,
            SlotState::Borrowed => tokens.held.push(sequence),
            SlotState::Free | SlotState::Released => continue,
        }
        tokens.lowest = Some(
            tokens
                .lowest
                .map_or(sequence, |lowest| lowest.min(sequence)),
        );
    }
    tokens.held.sort_unstable();
    tokens
}

/// Whether any token up to and including `upto` is owed. Allocates nothing.
pub(super) fn any<W: Words>(words: &W, layout: &Layout, upto: u64) -> bool {
    (0..layout.slots()).any(|slot| {
        let word = words.load(layout.slot(slot), Ordering::Acquire);
        SlotWord::read(word).is_some_and(|word| {
            word.sequence <= upto && matches!(word.state, SlotState::Queued | SlotState::Borrowed)
        })
    })
}

/// When the oldest message that waits in the queue was sent. Allocates nothing.
///
/// A message that leaves its slot while this looks is not there any more: the slot's word is read before and after the
/// time. The time is what the sender has written: who counts an age from it saturates.
pub(super) fn oldest_sent_at_ns<W: Words>(words: &W, layout: &Layout) -> Option<u64> {
    let mut oldest: Option<(u64, u64)> = None;
    for slot in 0..layout.slots() {
        let at = layout.slot(slot);
        let word = words.load(at, Ordering::Acquire);
        let queued = SlotWord::read(word).filter(|word| word.state == SlotState::Queued);
        let Some(SlotWord { sequence, .. }) = queued else {
            continue;
        };
        let sent_at_ns = words.load(at + slot::SENT_AT_NS, Ordering::Acquire);
        if words.load(at, Ordering::Relaxed) == word
            && oldest.is_none_or(|(oldest, _)| sequence < oldest)
        {
            oldest = Some((sequence, sent_at_ns));
        }
    }
    oldest.map(|(_, sent_at_ns)| sent_at_ns)
}
