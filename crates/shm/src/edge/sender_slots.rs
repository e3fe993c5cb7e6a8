//! What a sender remembers of its slots. Shared memory is never asked which chunk a slot carries, or where a
//! message went: a faulty receiver can write there.

use std::sync::atomic::Ordering;

use dataflow_ids::Sequence;

use super::error::Damage;
use super::layout::Layout;
use super::message::ChunkKey;
use super::slot::{NO_SLOT, SlotState, SlotWord};
use super::words::Words;

/// What a slot carries.
#[derive(Debug, Clone, Copy, Default)]
struct SlotUse {
    sequence: u64,
    chunk: Option<ChunkKey>,
}

/// How an attempt to take a queued message back ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TakenBack {
    /// It is ours again, and so is its slot.
    Yes,
    /// The receiver has it.
    Borrowed,
    /// It is released already.
    Released,
}

/// The slots of one edge.
#[derive(Debug)]
pub(super) struct SenderSlots {
    layout: Layout,
    slots: Vec<SlotUse>,
    /// Which slot each of the last messages is in, by position.
    ring: Vec<u32>,
    free: Vec<u32>,
    /// Slots whose messages were seen taken, and not yet released.
    taken: Vec<u32>,
    /// The first message that may still be queued, as far as was looked.
    oldest: u64,
}

impl SenderSlots {
    /// Adopts the slots as another incarnation, or nobody yet, has left them. `tail` is the last message sent.
    pub(super) fn adopt<W: Words>(words: &W, layout: Layout, tail: u64) -> Result<Self, Damage> {
        let mut adopted = SenderSlots {
            layout,
            slots: vec![SlotUse::default(); layout.slots() as usize],
            ring: vec![NO_SLOT; layout.ring_size() as usize],
            free: Vec::with_capacity(layout.slots() as usize),
            taken: Vec::with_capacity(layout.slots() as usize),
            oldest: tail + 1,
        };
        for slot in (0..layout.slots()).rev() {
            let word = words.load(layout.slot(slot), Ordering::Acquire);
            let bad = Damage::SlotWord {
                sequence: Sequence(tail),
                slot,
                word,
            };
            let Some(found) = SlotWord::read(word) else {
                return Err(bad);
            };
            let never_used = found.sequence == 0;
            if found.sequence > tail || (never_used && found.state != SlotState::Free) {
                return Err(bad);
            }
            adopted.slots[slot as usize].sequence = found.sequence;
            match found.state {
                SlotState::Free => adopted.free.push(slot),
                SlotState::Borrowed | SlotState::Released => adopted.taken.push(slot),
                SlotState::Queued => {
                    let position = layout.position(found.sequence);
                    if found.sequence + layout.queue_size() <= tail
                        || adopted.ring[position] != NO_SLOT
                    {
                        return Err(bad);
                    }
                    adopted.ring[position] = slot;
                    adopted.oldest = adopted.oldest.min(found.sequence);
                }
            }
        }
        Ok(adopted)
    }

    /// The first message that may still be queued.
    #[inline]
    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Whether a slot is free, as far as was looked.
    pub(super) fn any_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Takes a free slot. It must be given to `enter` or `give_back` next.
    #[inline]
    pub(super) fn pop_free(&mut self) -> Option<u32> {
        self.free.pop()
    }

    /// Whether the ring still remembers a message that `sequence` would overwrite, and that nobody has looked
    /// at since.
    #[inline]
    pub(super) fn ring_is_full(&self, sequence: u64) -> bool {
        sequence - self.oldest >= self.layout.ring_size()
    }

    /// Remembers that `sequence` is in `slot` and carries `chunk`; or that it has no slot.
    #[inline]
    pub(super) fn enter(&mut self, sequence: u64, slot: Option<u32>, chunk: Option<ChunkKey>) {
        self.ring[self.layout.position(sequence)] = slot.unwrap_or(NO_SLOT);
        if let Some(slot) = slot {
            self.slots[slot as usize] = SlotUse { sequence, chunk };
        }
    }

    #[inline]
    fn load<W: Words>(&self, words: &W, slot: u32) -> u64 {
        // Acquire: what the receiver has read before its release, it has read before we write again (I-1).
        words.load(self.layout.slot(slot), Ordering::Acquire)
    }

    fn damage(&self, slot: u32, word: u64) -> Damage {
        Damage::SlotWord {
            sequence: Sequence(self.slots[slot as usize].sequence),
            slot,
            word,
        }
    }

    /// The slot is FREE: it may be used again, and so may the chunk.
    #[inline]
    fn reclaim(&mut self, slot: u32, freed: &mut Vec<ChunkKey>) {
        self.free.push(slot);
        freed.extend(self.slots[slot as usize].chunk.take());
    }

    /// Looks at a slot whose message is no longer queued: frees it if it is released. `Ok(false)`: the
    /// receiver still holds it.
    ///
    /// `gone`: the input has closed for good, and the runtime may not have swept this message yet.
    #[inline]
    fn settle<W: Words>(
        &mut self,
        words: &W,
        slot: u32,
        gone: bool,
        freed: &mut Vec<ChunkKey>,
    ) -> Result<bool, Damage> {
        let word = self.load(words, slot);
        let sequence = self.slots[slot as usize].sequence;
        if word == SlotWord::released(sequence) {
            words.store(
                self.layout.slot(slot),
                SlotWord::free(sequence),
                Ordering::Release,
            );
            self.reclaim(slot, freed);
            return Ok(true);
        }
        if word == SlotWord::borrowed(sequence) || (gone && word == SlotWord::queued(sequence)) {
            return Ok(false);
        }
        Err(self.damage(slot, word))
    }

    /// Looks at every message up to `limit` that was not looked at since it was queued.
    pub(super) fn advance<W: Words>(
        &mut self,
        words: &W,
        limit: u64,
        gone: bool,
        freed: &mut Vec<ChunkKey>,
    ) -> Result<(), Damage> {
        while self.oldest <= limit {
            let slot = self.ring[self.layout.position(self.oldest)];
            if slot != NO_SLOT && !self.settle(words, slot, gone, freed)? {
                self.taken.push(slot);
            }
            self.oldest += 1;
        }
        Ok(())
    }

    /// RELEASED(s) → FREE for everything that was taken.
    pub(super) fn sweep<W: Words>(
        &mut self,
        words: &W,
        gone: bool,
        freed: &mut Vec<ChunkKey>,
    ) -> Result<(), Damage> {
        let mut place = 0;
        while place < self.taken.len() {
            if self.settle(words, self.taken[place], gone, freed)? {
                self.taken.swap_remove(place);
            } else {
                place += 1;
            }
        }
        Ok(())
    }

    /// Whether a sweep would free anything. Changes nothing.
    ///
    /// `gone`: the input has closed for good, and the runtime may not have swept the queue yet.
    pub(super) fn anything_released<W: Words>(&self, words: &W, limit: u64, gone: bool) -> bool {
        let released = |slot: u32| {
            let sequence = self.slots[slot as usize].sequence;
            let word = self.load(words, slot);
            // Anything but a message that is held is worth a sweep; so is damage, which a sweep names.
            word != SlotWord::borrowed(sequence) && !(gone && word == SlotWord::queued(sequence))
        };
        self.taken.iter().any(|slot| released(*slot))
            || (self.oldest..=limit).any(|sequence| {
                let slot = self.ring[self.layout.position(sequence)];
                slot != NO_SLOT && released(slot)
            })
    }

    /// The oldest message that may be queued, if there is any up to `tail`; skips those without a slot.
    pub(super) fn oldest_queued(&mut self, tail: u64) -> Option<u64> {
        while self.oldest <= tail {
            if self.ring[self.layout.position(self.oldest)] != NO_SLOT {
                return Some(self.oldest);
            }
            self.oldest += 1;
        }
        None
    }

    /// Whether any message that may be queued is in a chunk.
    pub(super) fn any_queued_chunk(&self, tail: u64) -> bool {
        (self.oldest..=tail).any(|sequence| {
            let slot = self.ring[self.layout.position(sequence)];
            slot != NO_SLOT && self.slots[slot as usize].chunk.is_some()
        })
    }

    /// QUEUED(s) → FREE for the oldest message, which `oldest_queued` has named. If it was released instead,
    /// `settle_oldest` must follow, once the intent to drop it is withdrawn.
    pub(super) fn take_back_oldest<W: Words>(
        &mut self,
        words: &W,
        freed: &mut Vec<ChunkKey>,
    ) -> Result<TakenBack, Damage> {
        let slot = self.ring[self.layout.position(self.oldest)];
        let taken_back = self.take_back(words, slot, freed)?;
        if taken_back != TakenBack::Released {
            if taken_back == TakenBack::Borrowed {
                self.taken.push(slot);
            }
            self.oldest += 1;
        }
        Ok(taken_back)
    }

    /// RELEASED(s) → FREE for the message that `take_back_oldest` found released.
    pub(super) fn settle_oldest<W: Words>(
        &mut self,
        words: &W,
        freed: &mut Vec<ChunkKey>,
    ) -> Result<(), Damage> {
        self.advance(words, self.oldest, false, freed)
    }

    /// QUEUED(s) → FREE for the message in `slot`.
    pub(super) fn take_back<W: Words>(
        &mut self,
        words: &W,
        slot: u32,
        freed: &mut Vec<ChunkKey>,
    ) -> Result<TakenBack, Damage> {
        let sequence = self.slots[slot as usize].sequence;
        match words.compare_exchange(
            self.layout.slot(slot),
            SlotWord::queued(sequence),
            SlotWord::free(sequence),
        ) {
            Ok(_) => {
                self.reclaim(slot, freed);
                Ok(TakenBack::Yes)
            }
            Err(word) if word == SlotWord::borrowed(sequence) => Ok(TakenBack::Borrowed),
            Err(word) if word == SlotWord::released(sequence) => Ok(TakenBack::Released),
            Err(word) => Err(self.damage(slot, word)),
        }
    }

    /// Forgets a message that was taken back, or swept by the runtime, right after it was published, and
    /// that the caller still has: RELEASED(s) → FREE if the runtime was first.
    pub(super) fn forget_newest<W: Words>(&mut self, words: &W, sequence: u64, swept: bool) {
        let position = self.layout.position(sequence);
        let slot = self.ring[position];
        self.ring[position] = NO_SLOT;
        if swept {
            words.store(
                self.layout.slot(slot),
                SlotWord::free(sequence),
                Ordering::Release,
            );
            self.slots[slot as usize].chunk = None;
            self.free.push(slot);
        }
    }

    /// The slot of the message published last.
    pub(super) fn slot_of(&self, sequence: u64) -> u32 {
        self.ring[self.layout.position(sequence)]
    }
}
