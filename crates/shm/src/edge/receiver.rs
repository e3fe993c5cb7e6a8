//! The receiver's end: taking messages in order, sleeping, and seeing the end.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dataflow_ids::{EdgeId, QueuePolicy, Sequence};

use super::config::EdgeConfig;
use super::error::{AttachError, Damage, EdgeDamaged};
use super::histograms::{self, Span};
use super::layout::{Layout, header};
use super::lease::{EdgeReceiverHandle, Lease, ReceiverShared};
use super::mapped::MappedWords;
use super::message::{self, ChunkMessage, Described, Incoming, IncomingBody};
use super::slot::{Head, NO_SLOT, RingEntry, SEQUENCE_MAX, SlotState, SlotWord, closed_at};
use super::wake;
use super::words::{FenceSite, Notify, Words};
use crate::eventfd::EventFd;

/// Whether more messages can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The sender lives, or may be started again.
    Open,
    /// The sender's end is final.
    Closed {
        /// Its last message.
        last: Sequence,
        /// Whether this receiver is past the last message.
        everything_taken: bool,
    },
}

/// The receiver's end of an edge. One thread takes; leases and handles may be on any thread.
#[derive(Debug)]
pub struct EdgeReceiver<W: Words = MappedWords, N: Notify = EventFd> {
    shared: Arc<ReceiverShared<W, N>>,
    policy: QueuePolicy,
    /// Every message up to this one is taken, or was dropped.
    head: u64,
    /// What the header says of it.
    head_word: u64,
    /// The sender's last message, as it was when it was last looked at.
    tail: u64,
    delivered: u64,
    /// Nothing after this one is taken.
    upto: u64,
    /// The caller has been told that the edge is closed.
    ending_told: bool,
}

impl EdgeReceiver {
    /// Attaches this process as the receiver. `wake_sender` is the sender's send waiter, `drained` the one of
    /// this process' control thread.
    ///
    /// # Errors
    ///
    /// [`AttachError`] when the descriptor is not this edge, cannot be mapped, or holds what cannot be.
    pub fn attach(
        fd: impl AsFd,
        config: &EdgeConfig,
        wake_sender: EventFd,
        drained: EventFd,
    ) -> Result<Self, AttachError> {
        let words = MappedWords::attach(fd, config)?;
        EdgeReceiver::over(words, config, wake_sender, drained)
    }
}

impl<W: Words, N: Notify> EdgeReceiver<W, N> {
    /// The receiver over any words.
    ///
    /// # Errors
    ///
    /// [`AttachError`] when the configuration is outside its limits, or the words hold what cannot be.
    pub fn over(
        words: W,
        config: &EdgeConfig,
        wake_sender: N,
        drained: N,
    ) -> Result<Self, AttachError> {
        let layout = Layout::new(config)?;
        let head_word = words.load(header::HEAD, Ordering::Acquire);
        let head = Head::read(head_word).sequence;
        let delivered = words.load(header::DELIVERED, Ordering::Relaxed);
        let mut receiver = EdgeReceiver {
            shared: Arc::new(ReceiverShared {
                edge: config.edge,
                words,
                layout,
                wake_sender,
                drained,
                held_messages: AtomicU64::new(0),
                held_bytes: AtomicU64::new(0),
            }),
            policy: config.policy,
            head,
            head_word,
            tail: head,
            delivered,
            upto: u64::MAX,
            ending_told: false,
        };
        receiver.load_tail()?;
        Ok(receiver)
    }

    /// The edge.
    pub fn edge(&self) -> EdgeId {
        self.shared.edge
    }

    /// The end of this edge as the control thread sees it.
    pub fn handle(&self) -> EdgeReceiverHandle<W, N> {
        EdgeReceiverHandle {
            shared: Arc::clone(&self.shared),
        }
    }

    /// How many messages, and bytes, are held.
    pub fn held(&self) -> (u64, u64) {
        (
            self.shared.held_messages.load(Ordering::Relaxed),
            self.shared.held_bytes.load(Ordering::Relaxed),
        )
    }

    fn damaged(&self, what: Damage) -> EdgeDamaged {
        EdgeDamaged {
            edge: self.shared.edge,
            what,
        }
    }

    /// Looks at the sender's position.
    fn load_tail(&mut self) -> Result<(), EdgeDamaged> {
        let tail = self.shared.words.load(header::TAIL, Ordering::Acquire);
        // A sender's position never falls.
        if tail < self.tail || tail > SEQUENCE_MAX {
            let head = self.tail;
            return Err(self.damaged(Damage::Tail { tail, head }));
        }
        let queue_size = self.shared.layout.queue_size();
        let queued = tail - self.head;
        if self.policy == QueuePolicy::Block && queued > queue_size && !self.closed_for_good() {
            return Err(self.damaged(Damage::Overfull { queued, queue_size }));
        }
        self.tail = tail;
        Ok(())
    }

    /// Whether the runtime has closed this input for good: then messages are swept from under us.
    fn closed_for_good(&self) -> bool {
        self.shared
            .words
            .load(header::RECEIVER_GONE, Ordering::Acquire)
            != 0
    }

    /// Takes the next message, if there is one. Never waits. `None` does not say that the queue is empty (a
    /// fast sender may have overtaken this look at it): `prepare_sleep` does.
    ///
    /// # Errors
    ///
    /// [`EdgeDamaged`] when the edge holds what no correct sender writes.
    pub fn take(&mut self) -> Result<Option<Incoming<W, N>>, EdgeDamaged> {
        let layout = self.shared.layout;
        // A bound, so that a sender that floods, or a faulty one, cannot keep us here (I-3).
        for _ in 0..layout.ring_size() * 2 {
            let mut sequence = self.head + 1;
            if sequence > self.upto {
                break;
            }
            if sequence > self.tail {
                self.load_tail()?;
                if sequence > self.tail {
                    break;
                }
            }
            // What is more than a queue behind was dropped, and the ring has other entries in its place.
            let oldest = self.tail.saturating_sub(layout.queue_size()) + 1;
            if sequence < oldest {
                if oldest > self.upto {
                    // All that was left up to the limit was dropped, and the ring may have forgotten it.
                    self.head = self.upto;
                    break;
                }
                sequence = oldest;
                self.head = sequence - 1;
            }
            let Some(slot) = self.find(sequence)? else {
                continue;
            };
            if self.borrow(slot, sequence)? {
                return self.deliver(slot, sequence).map(Some);
            }
        }
        self.store_head();
        Ok(None)
    }

    /// The slot of a message. `None`: it was dropped; go on from the new head, or look at the ring again.
    #[inline]
    fn find(&mut self, sequence: u64) -> Result<Option<u32>, EdgeDamaged> {
        let layout = self.shared.layout;
        // Acquire: who sees a later entry sees that the tail has moved, too.
        let word = self
            .shared
            .words
            .load(layout.ring(sequence), Ordering::Acquire);
        let entry = RingEntry::read(word);
        if entry.sequence != sequence {
            // The sender has gone on by a whole ring since we looked at its position: so that has moved.
            let seen = self.tail;
            self.load_tail()?;
            if self.tail == seen || entry.sequence < sequence {
                return Err(self.damaged(Damage::Ring {
                    wanted: Sequence(sequence),
                    found: Sequence(entry.sequence),
                }));
            }
            return Ok(None);
        }
        if entry.slot == NO_SLOT {
            self.head = sequence;
            return Ok(None);
        }
        if entry.slot >= layout.slots() {
            return Err(self.damaged(Damage::SlotIndex {
                sequence: Sequence(sequence),
                slot: u64::from(entry.slot),
                slots: u64::from(layout.slots()),
            }));
        }
        Ok(Some(entry.slot))
    }

    /// QUEUED(s) → BORROWED(s). `false`: it was dropped.
    #[inline]
    fn borrow(&mut self, slot: u32, sequence: u64) -> Result<bool, EdgeDamaged> {
        let exchanged = self.shared.words.compare_exchange(
            self.shared.layout.slot(slot),
            SlotWord::queued(sequence),
            SlotWord::borrowed(sequence),
        );
        let Err(word) = exchanged else {
            return Ok(true);
        };
        // Lost to the sender, who may use the slot again already; or to the runtime, at the end of this
        // input. A `block` sender drops nothing.
        let dropped = match SlotWord::read(word) {
            Some(found) if found.sequence == sequence => {
                matches!(found.state, SlotState::Free)
                    || (found.state == SlotState::Released && self.closed_for_good())
            }
            Some(found) => found.sequence > sequence,
            None => false,
        };
        if !dropped || (self.policy == QueuePolicy::Block && !self.closed_for_good()) {
            return Err(self.damaged(Damage::SlotWord {
                sequence: Sequence(sequence),
                slot,
                word,
            }));
        }
        self.head = sequence;
        Ok(false)
    }

    /// Copies the descriptor out, counts, moves the head, and releases what was inline.
    #[inline]
    fn deliver(&mut self, slot: u32, sequence: u64) -> Result<Incoming<W, N>, EdgeDamaged> {
        let read = message::read(
            &self.shared.words,
            self.shared.layout.slot(slot),
            Sequence(sequence),
        );
        // The order is what a repair relies on: the message is BORROWED until the head is past it, so that
        // one taken and not yet counted can always be seen; and the head's parity says which of the two
        // stores was the last (see `Head`).
        self.delivered = self.delivered.wrapping_add(1);
        self.shared
            .words
            .store(header::DELIVERED, self.delivered, Ordering::Release);
        self.head = sequence;
        self.store_head();
        let shared = &self.shared;
        let message::Read {
            sent_at_ns,
            waited_ns,
            described,
        } = match read {
            Ok(read) => read,
            Err(what) => {
                // Nobody gets a lease of it, so it is given back here: the sums stay whole (I-2).
                shared.release(
                    slot,
                    sequence,
                    FenceSite::Take,
                    wake::SENDER_WAITS_FOR_QUEUE,
                );
                return Err(self.damaged(what));
            }
        };
        let body = match described {
            Described::Inline(inline) => {
                shared.release(
                    slot,
                    sequence,
                    FenceSite::Take,
                    wake::SENDER_WAITS_FOR_QUEUE,
                );
                IncomingBody::Inline(inline)
            }
            Described::Chunk {
                epoch,
                number,
                offset,
                payload_length,
                metadata,
            } => {
                shared.words.fence(FenceSite::Take);
                wake::wake(
                    &shared.words,
                    header::SENDER_WAKE,
                    wake::SENDER_WAITS_FOR_QUEUE,
                    &shared.wake_sender,
                );
                IncomingBody::Chunk(ChunkMessage {
                    epoch,
                    number,
                    offset,
                    payload_length,
                    metadata,
                    lease: Lease::begin(shared, slot, sequence, payload_length),
                })
            }
        };
        Ok(Incoming {
            sequence: Sequence(sequence),
            sent_at_ns,
            waited_ns,
            body,
        })
    }

    /// Tells the sender how far we are.
    #[inline]
    fn store_head(&mut self) {
        let word = Head::word(self.head, self.delivered);
        if word != self.head_word {
            self.head_word = word;
            self.shared
                .words
                .store(header::HEAD, word, Ordering::Release);
        }
    }

    /// Whether more can come. A closed edge whose ending was asked for no longer keeps `prepare_sleep` from
    /// sleeping.
    pub fn ending(&mut self) -> Ending {
        let word = self.shared.words.load(header::CLOSED_AT, Ordering::Acquire);
        match closed_at(word) {
            None => Ending::Open,
            Some(last) => {
                self.ending_told = true;
                Ending::Closed {
                    last,
                    everything_taken: self.head >= last.0,
                }
            }
        }
    }

    /// From now on takes nothing after `upto`: the stop of a cycle.
    pub fn set_upto(&mut self, upto: Sequence) {
        self.upto = upto.0;
    }

    /// Whether everything up to the limit of `set_upto` is taken; `false` without a limit.
    pub fn upto_reached(&self) -> bool {
        self.head >= self.upto
    }

    /// Says that this receiver is about to sleep, and looks a last time. `true`: nothing is there, poll the
    /// receive waiter's eventfd now, then call `finish_sleep`. `false`: take again, or ask for the ending.
    ///
    /// The order of a wait: drain the eventfd, look at everything, `prepare_sleep` on each edge, poll.
    pub fn prepare_sleep(&mut self) -> bool {
        let words = &self.shared.words;
        wake::fall_asleep(words, header::RECEIVER_WAKE, wake::RECEIVER_IDLE);
        words.fence(FenceSite::ReceiverSleep);
        let more =
            words.load(header::TAIL, Ordering::Acquire) != self.head && self.head < self.upto;
        let closed = !self.ending_told
            && closed_at(words.load(header::CLOSED_AT, Ordering::Acquire)).is_some();
        if more || closed {
            self.finish_sleep();
            return false;
        }
        true
    }

    /// Says that this receiver is awake.
    pub fn finish_sleep(&mut self) {
        wake::awake(&self.shared.words, header::RECEIVER_WAKE);
    }

    /// Records, in the header, how long a message took, or `messages` of them that it stands for. Histograms go on
    /// from one incarnation to the next.
    pub fn observe(&mut self, span: Span, duration_ns: u64, messages: u64) {
        histograms::observe(&self.shared.words, span, duration_ns, messages);
    }
}
