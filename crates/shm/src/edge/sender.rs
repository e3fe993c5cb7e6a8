//! The sender's end: publishing, dropping what the policy drops, and waiting for room.

mod drops;

use std::fmt;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use dataflow_ids::{EdgeId, QueuePolicy, Sequence};

use super::blocked;
use super::config::EdgeConfig;
use super::error::{AttachError, Damage, EdgeDamaged, PublishError};
use super::layout::{Layout, header};
use super::mapped::MappedWords;
use super::message::{self, ChunkKey, Outgoing};
use super::sender_slots::SenderSlots;
use super::slot::{DropReason, Head, RingEntry, SEQUENCE_MAX, SlotWord};
use super::wake;
use super::words::{FenceSite, Notify, Words};
use crate::eventfd::EventFd;

/// What became of a message. It was counted as sent.
///
/// After `Queued` the edge has the chunk, until it comes back in a `freed`; otherwise the caller has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It is in the queue.
    Queued(Sequence),
    /// The receiver has ended for good.
    ReceiverClosed(Sequence),
    /// The receiver holds every slot: the message was dropped.
    DroppedFull(Sequence),
}

/// Whether a message can be published without dropping another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It can.
    Free,
    /// The queue is full: wait for [`WaitFor::Queue`].
    QueueFull,
    /// The receiver holds every slot: wait for [`WaitFor::Release`].
    SlotsHeld,
}

/// What a sender waits for. These are two conditions: one does not bring the other about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// The receiver takes a message.
    Queue,
    /// The receiver releases a message: for a slot, or for its chunk.
    Release,
}

/// The sender's end of an edge; one thread at a time uses it.
pub struct EdgeSender<W: Words = MappedWords, N: Notify = EventFd> {
    edge: EdgeId,
    words: W,
    layout: Layout,
    policy: QueuePolicy,
    wake_receiver: N,
    slots: SenderSlots,
    tail: u64,
    /// How far the receiver was when it was last looked at.
    head: u64,
    dropped_full: u64,
    dropped_memory: u64,
    dropped_receiver_closed: u64,
    bytes: u64,
    blocked_ns: u64,
}

impl EdgeSender {
    /// Attaches this process as the sender, and adopts what an earlier incarnation has left: sequences and
    /// counters continue. `wake_receiver` is the receiver's receive waiter.
    ///
    /// # Errors
    ///
    /// [`AttachError`] when the descriptor is not this edge, cannot be mapped, or holds what cannot be.
    pub fn attach(
        fd: impl AsFd,
        config: &EdgeConfig,
        wake_receiver: EventFd,
    ) -> Result<Self, AttachError> {
        let words = MappedWords::attach(fd, config)?;
        EdgeSender::over(words, config, wake_receiver)
    }
}

impl<W: Words, N: Notify> EdgeSender<W, N> {
    /// The sender over any words.
    ///
    /// # Errors
    ///
    /// [`AttachError`] when the configuration is outside its limits, or the words hold what cannot be.
    pub fn over(words: W, config: &EdgeConfig, wake_receiver: N) -> Result<Self, AttachError> {
        let edge = config.edge;
        let layout = Layout::new(config)?;
        let damaged = |what| AttachError::Damaged(EdgeDamaged { edge, what });
        let tail = words.load(header::TAIL, Ordering::Acquire);
        if tail >= SEQUENCE_MAX {
            return Err(damaged(Damage::SequencesUsedUp { tail }));
        }
        let slots = SenderSlots::adopt(&words, layout, tail).map_err(damaged)?;
        let counter = |word| words.load(word, Ordering::Relaxed);
        Ok(EdgeSender {
            edge,
            layout,
            policy: config.policy,
            wake_receiver,
            slots,
            tail,
            head: 0,
            dropped_full: counter(header::DROPPED_FULL),
            dropped_memory: counter(header::DROPPED_MEMORY),
            dropped_receiver_closed: counter(header::DROPPED_RECEIVER_CLOSED),
            bytes: counter(header::BYTES),
            blocked_ns: counter(header::BLOCKED_NS),
            words,
        })
    }

    /// The edge.
    pub fn edge(&self) -> EdgeId {
        self.edge
    }

    /// What a full queue does.
    pub fn policy(&self) -> QueuePolicy {
        self.policy
    }

    /// The last message sent.
    pub fn last(&self) -> Sequence {
        Sequence(self.tail)
    }

    /// Whether the receiver has been Ready once. The runtime notifies the send waiter when it is.
    pub fn receiver_ready(&self) -> bool {
        self.words.load(header::RECEIVER_READY, Ordering::Acquire) != 0
    }

    /// Whether the input has closed for good. The runtime notifies the send waiter when it does.
    #[inline]
    pub fn receiver_gone(&self) -> bool {
        self.words.load(header::RECEIVER_GONE, Ordering::Acquire) != 0
    }

    fn damaged(&self, what: Damage) -> EdgeDamaged {
        EdgeDamaged {
            edge: self.edge,
            what,
        }
    }

    /// How far the receiver is; never behind what was seen before, never ahead of what was sent.
    fn read_head(&self) -> Result<u64, EdgeDamaged> {
        let head = Head::read(self.words.load(header::HEAD, Ordering::Acquire)).sequence;
        if head < self.head || head > self.tail {
            let tail = self.tail;
            return Err(self.damaged(Damage::Head { head, tail }));
        }
        Ok(head)
    }

    /// How many messages may be queued, if the receiver is at `head`.
    #[inline]
    fn queued(&self, head: u64) -> u64 {
        self.tail - head.max(self.slots.oldest() - 1)
    }

    /// Frees everything that was released since the last sweep; chunks that the edge no longer needs are
    /// added to `freed`.
    ///
    /// # Errors
    ///
    /// [`EdgeDamaged`] when the edge holds what no correct receiver writes.
    pub fn sweep(&mut self, freed: &mut Vec<ChunkKey>) -> Result<(), EdgeDamaged> {
        self.advance(freed)?;
        let gone = self.receiver_gone();
        self.slots
            .sweep(&self.words, gone, freed)
            .map_err(|what| self.damaged(what))
    }

    /// Looks at everything the receiver has taken since the last look.
    fn advance(&mut self, freed: &mut Vec<ChunkKey>) -> Result<(), EdgeDamaged> {
        self.head = self.read_head()?;
        let gone = self.receiver_gone();
        // After the end of the input the runtime releases messages that the head never passed.
        let limit = if gone { self.tail } else { self.head };
        self.slots
            .advance(&self.words, limit, gone, freed)
            .map_err(|what| self.damaged(what))
    }

    /// Whether a message can be published now without dropping another one.
    ///
    /// # Errors
    ///
    /// [`EdgeDamaged`] when the edge holds what no correct receiver writes.
    pub fn room(&self) -> Result<Room, EdgeDamaged> {
        if self.receiver_gone() {
            return Ok(Room::Free);
        }
        let head = self.read_head()?;
        if self.queued(head) >= self.layout.queue_size() {
            return Ok(Room::QueueFull);
        }
        if !self.slots.any_free() && !self.slots.anything_released(&self.words, head, false) {
            return Ok(Room::SlotsHeld);
        }
        Ok(Room::Free)
    }

    /// Publishes a message. Never waits, and wakes nobody: call `wake` when all edges of an output are
    /// written. Chunks that the edge no longer needs are added to `freed`.
    ///
    /// # Errors
    ///
    /// [`PublishError::Full`] if the edge blocks and has no room, [`PublishError::TooLong`] if the message
    /// does not fit where it wants to go, [`PublishError::Damaged`]. Nothing was sent then.
    pub fn publish(
        &mut self,
        message: &Outgoing<'_>,
        freed: &mut Vec<ChunkKey>,
    ) -> Result<Published, PublishError> {
        message.body.check()?;
        let sequence = self.tail + 1;
        if sequence >= SEQUENCE_MAX {
            let tail = self.tail;
            return Err(self.damaged(Damage::SequencesUsedUp { tail }).into());
        }
        let bytes = message.body.payload_length();
        if self.receiver_gone() {
            self.drop_new(DropReason::ReceiverClosed, bytes, freed)?;
            return Ok(Published::ReceiverClosed(Sequence(sequence)));
        }
        self.make_room_in_queue(freed)?;
        if self.slots.ring_is_full(sequence) {
            self.advance(freed)?;
        }
        let Some(slot) = self.find_slot(freed)? else {
            self.drop_new(DropReason::Full, bytes, freed)?;
            return Ok(Published::DroppedFull(Sequence(sequence)));
        };

        let at = self.layout.slot(slot);
        message::write(&self.words, at, message);
        // FREE → QUEUED(s), then the ring, then the tail: a repair completes what a sender that died in
        // between has begun.
        self.words
            .store(at, SlotWord::queued(sequence), Ordering::Release);
        self.slots.enter(sequence, Some(slot), message.body.chunk());
        self.store_tail(RingEntry { sequence, slot }, bytes);
        self.words.fence(FenceSite::Publish);
        if self.receiver_gone() {
            return Ok(self.take_back_newest()?);
        }
        Ok(Published::Queued(Sequence(sequence)))
    }

    /// The index enters the ring, and the message is sent.
    #[inline]
    fn store_tail(&mut self, entry: RingEntry, bytes: u64) {
        self.words.store(
            self.layout.ring(entry.sequence),
            entry.word(),
            Ordering::Release,
        );
        self.tail = entry.sequence;
        self.words.store(header::TAIL, self.tail, Ordering::Release);
        self.bytes = self.bytes.wrapping_add(bytes);
        self.words
            .store(header::BYTES, self.bytes, Ordering::Relaxed);
    }

    /// Sees to it that the queue has room for one more, or says that it has not.
    #[inline]
    fn make_room_in_queue(&mut self, freed: &mut Vec<ChunkKey>) -> Result<(), PublishError> {
        if self.queued(self.head) < self.layout.queue_size() {
            return Ok(());
        }
        self.head = self.read_head()?;
        if self.queued(self.head) < self.layout.queue_size() {
            return Ok(());
        }
        if self.policy == QueuePolicy::Block {
            return Err(PublishError::Full { edge: self.edge });
        }
        self.advance(freed)?;
        while self.queued(self.head) >= self.layout.queue_size() {
            if !self.evict(DropReason::Full, freed)? {
                break;
            }
        }
        Ok(())
    }

    /// A free slot. `None`: none, and the policy does not wait.
    #[inline]
    fn find_slot(&mut self, freed: &mut Vec<ChunkKey>) -> Result<Option<u32>, PublishError> {
        if let Some(slot) = self.slots.pop_free() {
            return Ok(Some(slot));
        }
        self.sweep(freed)?;
        loop {
            if let Some(slot) = self.slots.pop_free() {
                return Ok(Some(slot));
            }
            if self.policy == QueuePolicy::Block {
                return Err(PublishError::Full { edge: self.edge });
            }
            // Only a receiver that holds more than it may brings us here.
            if !self.evict(DropReason::Full, freed)? {
                return Ok(None);
            }
        }
    }

    /// Wakes the receiver if it sleeps. `publish` has fenced.
    #[inline]
    pub fn wake(&self) {
        wake::wake_receiver(&self.words, &self.wake_receiver);
    }

    /// Says that this sender is about to sleep, and looks a last time. `true`: poll the send waiter's eventfd
    /// now, then call `finish_sleep`. `false`: what is waited for is there, or nothing queues any more because
    /// the input has closed for good, or the edge is damaged; trying again tells which.
    ///
    /// An input that has closed for good frees what was queued, but not what its receiver still holds: who waits
    /// for a release sleeps until there is one. (The runtime notifies the waiter after its sweep.)
    ///
    /// The order of a wait: drain the eventfd, try, `prepare_sleep` on each edge, poll.
    pub fn prepare_sleep(&mut self, wait_for: WaitFor) -> bool {
        let reason = match wait_for {
            WaitFor::Queue => wake::SENDER_WAITS_FOR_QUEUE,
            WaitFor::Release => wake::SENDER_WAITS_FOR_RELEASE,
        };
        wake::fall_asleep(&self.words, header::SENDER_WAKE, reason);
        self.words.fence(FenceSite::SenderSleep);
        let gone = self.receiver_gone();
        let nothing = self.read_head().is_ok_and(|head| match wait_for {
            WaitFor::Queue => !gone && self.queued(head) >= self.layout.queue_size(),
            WaitFor::Release => {
                let limit = if gone { self.tail } else { head };
                !self.slots.anything_released(&self.words, limit, gone)
            }
        });
        if !nothing {
            wake::awake(&self.words, header::SENDER_WAKE);
        }
        nothing
    }

    /// Says that this sender is about to sleep until its receiver is ready, for people who look at the edge: the runtime
    /// notifies the send waiter then, whatever is said here. Call `finish_sleep` afterwards.
    pub fn sleeps_for_readiness(&mut self) {
        wake::fall_asleep(
            &self.words,
            header::SENDER_WAKE,
            wake::SENDER_WAITS_FOR_READINESS,
        );
    }

    /// Says since when this sender waits because of this edge, a moment of the machine's monotonic clock: so its wait is
    /// known while it lasts, and is not forgotten if it is killed in it. After `prepare_sleep`, before the poll.
    pub fn blocked_since(&mut self, since_ns: u64) {
        blocked::begin(&self.words, since_ns);
    }

    /// Says that this sender is awake, and for how long it has waited because of this edge.
    pub fn finish_sleep(&mut self, blocked_ns: u64) {
        wake::awake(&self.words, header::SENDER_WAKE);
        self.blocked_ns = self.blocked_ns.saturating_add(blocked_ns);
        blocked::end(&self.words, self.blocked_ns);
    }
}

impl<W: Words, N: Notify> fmt::Debug for EdgeSender<W, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeSender")
            .field("edge", &self.edge)
            .field("policy", &self.policy)
            .field("tail", &self.tail)
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}
