//! What a sender drops: the oldest of a full queue, what nobody will read, and how each is said before it is done.

use std::sync::atomic::Ordering;

use dataflow_ids::{QueuePolicy, Sequence};

use super::super::error::EdgeDamaged;
use super::super::layout::header;
use super::super::message::ChunkKey;
use super::super::sender_slots::TakenBack;
use super::super::slot::{DropIntent, DropReason, NO_SLOT, RingEntry};
use super::super::words::{Notify, Words};
use super::{EdgeSender, Published};

impl<W: Words, N: Notify> EdgeSender<W, N> {
    /// Tries to drop the oldest queued message, once. `false`: nothing is queued. `true`: the queue is
    /// shorter by one, because it was dropped or because the receiver was first.
    pub(super) fn evict(
        &mut self,
        reason: DropReason,
        freed: &mut Vec<ChunkKey>,
    ) -> Result<bool, EdgeDamaged> {
        let Some(sequence) = self.slots.oldest_queued(self.tail) else {
            return Ok(false);
        };
        self.intend(sequence, reason);
        let taken_back = self.slots.take_back_oldest(&self.words, freed);
        if let Ok(TakenBack::Yes) = taken_back {
            self.count_drop(reason);
            return Ok(true);
        }
        self.withdraw();
        if taken_back.map_err(|what| self.damaged(what))? == TakenBack::Released {
            self.slots
                .settle_oldest(&self.words, freed)
                .map_err(|what| self.damaged(what))?;
        }
        Ok(true)
    }

    /// Drops the oldest queued messages until a chunk comes free, to make room in the sender's memory. Gives
    /// whether one did; an edge that blocks drops nothing.
    ///
    /// # Errors
    ///
    /// [`EdgeDamaged`] when the edge holds what no correct receiver writes.
    pub fn evict_oldest(&mut self, freed: &mut Vec<ChunkKey>) -> Result<bool, EdgeDamaged> {
        if self.policy == QueuePolicy::Block {
            return Ok(false);
        }
        self.advance(freed)?;
        let before = freed.len();
        while freed.len() == before && self.slots.any_queued_chunk(self.tail) {
            self.evict(DropReason::Memory, freed)?;
        }
        Ok(freed.len() > before)
    }

    /// Counts a message as sent and dropped, without a slot.
    pub(super) fn drop_new(
        &mut self,
        reason: DropReason,
        bytes: u64,
        freed: &mut Vec<ChunkKey>,
    ) -> Result<(), EdgeDamaged> {
        let sequence = self.tail + 1;
        if self.slots.ring_is_full(sequence) {
            self.advance(freed)?;
        }
        self.intend(sequence, reason);
        self.slots.enter(sequence, None, None);
        let slot = NO_SLOT;
        self.store_tail(RingEntry { sequence, slot }, bytes);
        self.count_drop(reason);
        Ok(())
    }

    /// The input closed for good while we published: takes the message back, unless the runtime has seen it.
    #[cold]
    pub(super) fn take_back_newest(&mut self) -> Result<Published, EdgeDamaged> {
        let sequence = self.tail;
        let slot = self.slots.slot_of(sequence);
        self.intend(sequence, DropReason::ReceiverClosed);
        // The caller still has the chunk, so it is not given back here.
        let mut kept = Vec::new();
        let taken_back = self.slots.take_back(&self.words, slot, &mut kept);
        if let Ok(TakenBack::Yes) = taken_back {
            self.count_drop(DropReason::ReceiverClosed);
            self.slots.forget_newest(&self.words, sequence, false);
            return Ok(Published::ReceiverClosed(Sequence(sequence)));
        }
        self.withdraw();
        match taken_back.map_err(|what| self.damaged(what))? {
            TakenBack::Borrowed => Ok(Published::Queued(Sequence(sequence))),
            TakenBack::Yes | TakenBack::Released => {
                self.slots.forget_newest(&self.words, sequence, true);
                Ok(Published::ReceiverClosed(Sequence(sequence)))
            }
        }
    }

    fn counter(&mut self, reason: DropReason) -> (usize, &mut u64) {
        match reason {
            DropReason::Full => (header::DROPPED_FULL, &mut self.dropped_full),
            DropReason::Memory => (header::DROPPED_MEMORY, &mut self.dropped_memory),
            DropReason::ReceiverClosed => (
                header::DROPPED_RECEIVER_CLOSED,
                &mut self.dropped_receiver_closed,
            ),
        }
    }

    /// Says what is about to be dropped (see `DropIntent`).
    fn intend(&mut self, sequence: u64, reason: DropReason) {
        let counter = *self.counter(reason).1;
        self.words.store(
            header::DROP_INTENT,
            DropIntent::word(sequence, reason, counter),
            Ordering::Release,
        );
    }

    /// The message of the last intent was not dropped.
    fn withdraw(&mut self) {
        self.words
            .store(header::DROP_INTENT, DropIntent::NONE, Ordering::Release);
    }

    /// Counts the message of the last intent.
    fn count_drop(&mut self, reason: DropReason) {
        let (word, counter) = self.counter(reason);
        *counter = counter.wrapping_add(1);
        let count = *counter;
        self.words.store(word, count, Ordering::Release);
    }
}
