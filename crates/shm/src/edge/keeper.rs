//! The runtime's role on an edge: making it, closing its ends, repairing it after a death, and reading it.
//!
//! A repair plays the part of a process that has been reaped, and only then: until the kernel says so, that
//! process may still write.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use dataflow_ids::{EdgeId, Epoch, QueuePolicy, SenderSleep, Sequence};

use super::audit::Audit;
use super::blocked;
use super::config::EdgeConfig;
use super::error::{CreateError, EdgeDamaged};
use super::histograms;
use super::layout::{Layout, header, slot};
use super::look::EdgeMark;
use super::mapped::MappedWords;
use super::message;
use super::reading::{EdgeCounts, EdgeReading};
use super::slot::{
    DropIntent, DropReason, Head, NO_SLOT, RingEntry, SlotState, SlotWord, closed_word,
};
use super::tokens::{self, Tokens};
use super::wake;
use super::words::{FenceSite, Notify, Words};
use crate::clock::monotonic_now_ns;
use crate::eventfd::EventFd;
use crate::memfd;

/// The runtime's hold of an edge. It belongs to one thread at a time.
pub struct EdgeKeeper<W: Words = MappedWords, N: Notify = EventFd> {
    edge: EdgeId,
    policy: QueuePolicy,
    words: W,
    layout: Layout,
    /// What it has written itself, and what it has read so far.
    audit: Audit,
    /// The edge's memory; a model has none.
    fd: Option<OwnedFd>,
    sender_waiter: N,
    receiver_waiter: N,
}

impl EdgeKeeper {
    /// Makes an edge. `run` goes into the name of its memfd. The waiters are the sender's send waiter and the
    /// receiver's receive waiter.
    ///
    /// # Errors
    ///
    /// [`CreateError`] when the configuration is outside its limits, or the kernel has no memory or
    /// descriptor.
    pub fn create(
        run: &str,
        config: &EdgeConfig,
        sender_waiter: EventFd,
        receiver_waiter: EventFd,
    ) -> Result<Self, CreateError> {
        let edge = config.edge;
        let bytes = Layout::new(config)?.bytes() as u64;
        let fd = memfd::create(&memfd::name(run, &format!("-{edge}")), bytes)
            .and_then(|fd| memfd::seal(&fd, memfd::FIXED_LENGTH).map(|()| fd))
            .map_err(|source| CreateError::Memory { edge, source })?;
        let words =
            MappedWords::map(&fd, bytes).map_err(|source| CreateError::Map { edge, source })?;
        let mut keeper = EdgeKeeper::over(words, config, sender_waiter, receiver_waiter)?;
        keeper.fd = Some(fd);
        Ok(keeper)
    }

    /// The edge's memfd, to be handed to both ends.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.fd {
            Some(fd) => fd.as_fd(),
            None => unreachable!("`create` is the only way to a keeper of mapped words"),
        }
    }
}

impl<W: Words, N: Notify> EdgeKeeper<W, N> {
    /// The keeper over any words, which are all 0.
    ///
    /// # Errors
    ///
    /// [`CreateError::Config`] when the configuration is outside its limits.
    pub fn over(
        words: W,
        config: &EdgeConfig,
        sender_waiter: N,
        receiver_waiter: N,
    ) -> Result<Self, CreateError> {
        let layout = Layout::new(config)?;
        let audit = Audit::begin(&words, config, &layout);
        Ok(EdgeKeeper {
            edge: config.edge,
            policy: config.policy,
            words,
            layout,
            audit,
            fd: None,
            sender_waiter,
            receiver_waiter,
        })
    }

    /// The edge.
    pub fn edge(&self) -> EdgeId {
        self.edge
    }

    fn load(&self, word: usize) -> u64 {
        self.words.load(word, Ordering::Acquire)
    }

    fn store(&self, word: usize, value: u64) {
        self.words.store(word, value, Ordering::Release);
    }

    fn add(&self, word: usize, value: u64) {
        self.store(word, self.load(word).wrapping_add(value));
    }

    /// Writes a word that is the runtime's alone.
    fn own(&self, word: usize, value: u64) {
        self.audit.write(&self.words, word, value);
    }

    /// The last message sent, as far as the header can be believed.
    fn tail(&self) -> u64 {
        self.audit.sent(self.load(header::TAIL))
    }

    fn slot_words(&self) -> impl Iterator<Item = (u32, SlotWord)> {
        (0..self.layout.slots()).filter_map(|slot| {
            SlotWord::read(self.load(self.layout.slot(slot))).map(|word| (slot, word))
        })
    }

    /// Wakes both sides, whatever their wake words say: a SIGKILL can fall between a swap and its write.
    fn wake_both(&self) {
        self.store(header::SENDER_WAKE, wake::AWAKE);
        self.store(header::RECEIVER_WAKE, wake::AWAKE);
        self.sender_waiter.notify();
        self.receiver_waiter.notify();
    }

    /// Says which incarnation the sender is.
    pub fn set_sender_epoch(&self, epoch: Epoch) {
        self.audit.sender_begins(monotonic_now_ns());
        self.own(header::SENDER_EPOCH, u64::from(epoch.0));
        self.wake_both();
    }

    /// Says which incarnation the receiver is.
    pub fn set_receiver_epoch(&self, epoch: Epoch) {
        self.own(header::RECEIVER_EPOCH, u64::from(epoch.0));
        self.wake_both();
    }

    /// Says that the receiver is Ready: the sender's first `send` waits for it.
    pub fn set_receiver_ready(&self) {
        self.own(header::RECEIVER_READY, 1);
        self.wake_both();
    }

    /// The sender's end is final: it has been reaped and no restart follows. Repairs after it, and gives its
    /// last message. May be repeated.
    pub fn close(&self) -> Sequence {
        // Asked of what we have written, not of the header: there anybody can have written an end.
        let last = match self.audit.closed_at() {
            Some(last) => last,
            None => {
                self.repair_after_sender();
                let last = self.tail();
                self.own(header::CLOSED_AT, closed_word(last));
                Sequence(last)
            }
        };
        self.wake_both();
        last
    }

    /// The input has closed for good: nobody will take from it again, because its receiver has ended and no
    /// restart follows, or because it has closed its end of a damaged edge. Drops what is queued and gives how
    /// many messages that were. What the receiver holds it may go on holding, if it lives. May be repeated.
    pub fn receiver_gone(&self) -> u64 {
        self.own(header::RECEIVER_GONE, 1);
        // A sender that publishes now either sees the flag, or its message is seen by the sweep.
        self.words.fence(FenceSite::ReceiverGone);
        let dropped = self.sweep_queue();
        self.wake_both();
        dropped
    }

    /// QUEUED(s) → RELEASED(s) for everything queued.
    fn sweep_queue(&self) -> u64 {
        let mut dropped = 0;
        for (slot, word) in self.slot_words() {
            let sequence = word.sequence;
            if word.state == SlotState::Queued
                && self
                    .words
                    .compare_exchange(
                        self.layout.slot(slot),
                        SlotWord::queued(sequence),
                        SlotWord::released(sequence),
                    )
                    .is_ok()
            {
                dropped += 1;
            }
        }
        let before = self.audit.own(header::DROPPED_AT_CLOSE);
        self.own(header::DROPPED_AT_CLOSE, before + dropped);
        dropped
    }

    /// Repairs after a sender that has been reaped: completes a half-done publish, counts a half-done drop,
    /// and frees what was released. Queued messages stay, sequences continue.
    pub fn repair_sender(&self) {
        self.repair_after_sender();
        self.wake_both();
    }

    fn repair_after_sender(&self) {
        self.audit.restore(&self.words);
        // A wait that it has not come out of lasted until now.
        let blocked_ns = (self.audit).blocked_ns(blocked::read(&self.words), monotonic_now_ns());
        blocked::end(&self.words, blocked_ns);
        self.complete_publish();
        self.complete_drop();
        if self.audit.own(header::RECEIVER_GONE) != 0 {
            // It may have died before it saw the flag, with a message that our sweep came too early for.
            self.sweep_queue();
        }
        for (slot, word) in self.slot_words() {
            if word.state == SlotState::Released {
                self.store(self.layout.slot(slot), SlotWord::free(word.sequence));
            }
        }
    }

    /// A message whose slot is written and whose tail is not: the index enters the ring, and it is sent.
    fn complete_publish(&self) {
        let sequence = self.load(header::TAIL).wrapping_add(1);
        // Queued, or already swept at the end of the input; a slot never used is (0, FREE).
        let half_done = self
            .slot_words()
            .find(|(_, word)| word.sequence == sequence && sequence != 0);
        if let Some((slot, _)) = half_done {
            let entry = RingEntry { sequence, slot };
            self.store(self.layout.ring(sequence), entry.word());
            self.store(header::TAIL, sequence);
            let at = self.layout.slot(slot) + slot::PAYLOAD_LENGTH;
            self.add(header::BYTES, self.load(at));
        }
    }

    /// A message that the sender meant to drop: if it did so and did not count it, it is counted.
    fn complete_drop(&self) {
        let intent = DropIntent::read(self.load(header::DROP_INTENT));
        self.store(header::DROP_INTENT, DropIntent::NONE);
        let Some(DropIntent {
            sequence,
            reason,
            parity,
        }) = intent
        else {
            return;
        };
        let counter = match reason {
            DropReason::Full => header::DROPPED_FULL,
            DropReason::Memory => header::DROPPED_MEMORY,
            DropReason::ReceiverClosed => header::DROPPED_RECEIVER_CLOSED,
        };
        if self.load(counter) & 1 != parity || sequence > self.load(header::TAIL) {
            return;
        }
        let without_slot = RingEntry {
            sequence,
            slot: NO_SLOT,
        };
        let free = SlotWord {
            sequence,
            state: SlotState::Free,
        };
        if self.load(self.layout.ring(sequence)) == without_slot.word()
            || self.slot_words().any(|(_, word)| word == free)
        {
            self.add(counter, 1);
        }
    }

    /// Repairs after a receiver that has been reaped: everything that it held is released and lost. Gives
    /// those messages, in order. Queued messages stay for the next incarnation.
    pub fn repair_receiver(&self) -> Vec<Sequence> {
        self.audit.restore(&self.words);
        let head = Head::read(self.load(header::HEAD));
        let mut lost: Vec<(u64, u32)> = self
            .slot_words()
            .filter(|(_, word)| word.state == SlotState::Borrowed)
            .map(|(slot, word)| (word.sequence, slot))
            .collect();
        lost.sort_unstable();
        // It moves the head before it releases, so the one message that it can have died over is borrowed.
        if let Some((sequence, _)) = lost
            .last()
            .filter(|(sequence, _)| *sequence > head.sequence)
        {
            let delivered = self.load(header::DELIVERED);
            if delivered & 1 == head.parity {
                self.store(header::DELIVERED, delivered.wrapping_add(1));
            }
            let delivered = self.load(header::DELIVERED);
            self.store(header::HEAD, Head::word(*sequence, delivered));
        }
        let lost_before = self.audit.own(header::LOST);
        self.own(header::LOST, lost_before + lost.len() as u64);
        for (sequence, slot) in &lost {
            self.store(self.layout.slot(*slot), SlotWord::released(*sequence));
        }
        // Any number of its threads can have died between a release and its count; nothing is held now.
        let delivered = self.load(header::DELIVERED);
        let released = delivered.saturating_sub(self.audit.own(header::LOST));
        self.store(header::RELEASED, released);
        self.store(header::WATCH, 0);
        self.wake_both();
        lost.into_iter()
            .map(|(sequence, _)| Sequence(sequence))
            .collect()
    }

    /// The tokens owed up to and including `upto`.
    pub fn tokens(&self, upto: Sequence) -> Tokens {
        tokens::read(&self.words, &self.layout, upto)
    }

    /// The segments, by epoch and number of the sender, that queued or held messages are in; each once. What a
    /// dead incarnation's segments wait for.
    pub fn segments(&self) -> Vec<(Epoch, u32)> {
        let mut segments: Vec<_> = self
            .slot_words()
            .filter(|(_, word)| matches!(word.state, SlotState::Queued | SlotState::Borrowed))
            .filter_map(|(slot, _)| message::segment_of(&self.words, self.layout.slot(slot)))
            .collect();
        segments.sort_unstable();
        segments.dedup();
        segments
    }

    /// Reads everything. A counter that cannot be what it says (I-3) is given as it was when it last could, so
    /// none ever falls and sums of edges do not overflow; [`EdgeKeeper::damage`] says so then.
    pub fn read(&self) -> EdgeReading {
        self.read_at(monotonic_now_ns())
    }

    /// As [`EdgeKeeper::read`], at this moment of the machine's monotonic clock, until which a wait of the sender has lasted.
    pub fn read_at(&self, now_ns: u64) -> EdgeReading {
        let observations = self.load(header::OBSERVATIONS);
        let histograms = (self.audit.histograms_since(observations))
            .ok_or_else(|| histograms::read(&self.words));
        // What follows from a message is read before the message itself, so that a reading in full flight
        // does not have more delivered than sent.
        let released = self.load(header::RELEASED);
        let delivered = self.load(header::DELIVERED);
        let head = Head::read(self.load(header::HEAD)).sequence;
        let owed = self.tokens(Sequence(u64::MAX));
        let oldest_sent_at_ns = match owed.queued {
            0 => None,
            _ => tokens::oldest_sent_at_ns(&self.words, &self.layout),
        };
        let own = |word| self.audit.own(word);
        let counts = EdgeCounts {
            released,
            delivered,
            queued: owed.queued,
            held: owed.held.len() as u64,
            lost: own(header::LOST),
            dropped_receiver_closed: self.load(header::DROPPED_RECEIVER_CLOSED),
            dropped_full: self.load(header::DROPPED_FULL),
            dropped_memory: self.load(header::DROPPED_MEMORY),
            bytes: self.load(header::BYTES),
            blocked_ns: (self.audit).blocked_ns(blocked::read(&self.words), now_ns),
            sent: self.load(header::TAIL),
        };
        self.audit.check_own(&self.words);
        let mut counts = self.audit.check(counts);
        let histograms = histograms.unwrap_or_else(|says| {
            self.audit
                .check_histograms(observations, says, counts.delivered)
        });
        counts.dropped_receiver_closed += own(header::DROPPED_AT_CLOSE);
        let sender_sleep = wake::sender_sleep(self.load(header::SENDER_WAKE));
        let is_for_room = sender_sleep.is_some_and(SenderSleep::is_for_room);
        EdgeReading {
            counts,
            receiver_idle: self.load(header::RECEIVER_WAKE) != wake::AWAKE,
            sender_sleep,
            sender_blocked: is_for_room && self.policy == QueuePolicy::Block,
            head,
            tail: counts.sent,
            oldest_sent_at_ns,
            histograms,
        }
    }

    /// As [`EdgeKeeper::read`], if anything that is counted has changed since the reading that left this mark; `None` if
    /// not. A mark is of one keeper. What a faulty process writes where nothing happens may be found by `read` alone.
    pub fn read_if_changed(&self, mark: &mut EdgeMark) -> Option<EdgeReading> {
        let done = self.audit.done();
        if mark.is_at_rest(done, self.load(header::TAIL)) {
            return None;
        }
        let is_ready = self.audit.own(header::RECEIVER_READY) != 0;
        if !mark.look(done, is_ready, |word| self.load(word)) {
            return None;
        }
        let reading = self.read();
        mark.was_read(&reading);
        Some(reading)
    }

    /// The first damage that this keeper has found, in whatever it did so far: what no correct process at either
    /// end writes.
    pub fn damage(&self) -> Option<EdgeDamaged> {
        let what = self.audit.damage()?;
        let edge = self.edge;
        Some(EdgeDamaged { edge, what })
    }

    /// Reads everything after both processes have been reaped and repaired: then every message is accounted for
    /// (I-2), or [`EdgeKeeper::damage`] says that it is not.
    pub fn read_settled(&self) -> EdgeReading {
        let reading = self.read();
        self.audit.check_settled(&reading.counts);
        reading
    }
}

impl<W: Words, N: Notify> fmt::Debug for EdgeKeeper<W, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeKeeper")
            .field("edge", &self.edge)
            .finish_non_exhaustive()
    }
}
