//! What a receiver shares between its threads: releasing messages, and saying which are still owed.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dataflow_ids::{EdgeId, Sequence};

use super::layout::{Layout, header};
use super::mapped::MappedWords;
use super::slot::SlotWord;
use super::tokens::{self, Tokens};
use super::wake;
use super::words::{FenceSite, Notify, Words};
use crate::eventfd::EventFd;

/// The part of a receiver that leases and the control thread use too.
pub(super) struct ReceiverShared<W: Words, N: Notify> {
    pub(super) edge: EdgeId,
    pub(super) words: W,
    pub(super) layout: Layout,
    pub(super) wake_sender: N,
    /// Wakes the control thread.
    pub(super) drained: N,
    pub(super) held_messages: AtomicU64,
    pub(super) held_bytes: AtomicU64,
}

impl<W: Words, N: Notify> ReceiverShared<W, N> {
    /// BORROWED(s) → RELEASED(s), and who wants to know of it.
    ///
    /// `also` adds to the reasons for which a sleeping sender is woken.
    #[inline]
    pub(super) fn release(&self, slot: u32, sequence: u64, site: FenceSite, also: u64) {
        // Release: what the receiver has read of the message, it has read before the sender may reuse its
        // memory (I-1).
        self.words.store(
            self.layout.slot(slot),
            SlotWord::released(sequence),
            Ordering::Release,
        );
        self.words.fetch_add(header::RELEASED, 1, Ordering::Relaxed);
        self.words.fence(site);
        wake::wake(
            &self.words,
            header::SENDER_WAKE,
            wake::SENDER_WAITS_FOR_RELEASE | also,
            &self.wake_sender,
        );
        let watch = self.words.load(header::WATCH, Ordering::Relaxed);
        if watch != 0 {
            self.watched(watch);
        }
    }

    /// Wakes the control thread if this release was the last one that it waits for.
    #[cold]
    fn watched(&self, watch: u64) {
        // Of two threads that release the last two messages, the one whose fence is later sees both. The
        // exchange fails when the control thread has armed the watch anew: it then looks for itself.
        if !tokens::any(&self.words, &self.layout, watch - 1)
            && self.words.compare_exchange(header::WATCH, watch, 0).is_ok()
        {
            self.drained.notify();
        }
    }
}

impl<W: Words, N: Notify> fmt::Debug for ReceiverShared<W, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverShared")
            .field("edge", &self.edge)
            .field("held_messages", &self.held_messages)
            .field("held_bytes", &self.held_bytes)
            .finish_non_exhaustive()
    }
}

/// A message that is held. Dropping it, on any thread, releases the message: some atomics and perhaps a write
/// to an eventfd; it never blocks, allocates or locks.
#[derive(Debug)]
pub struct Lease<W: Words = MappedWords, N: Notify = EventFd> {
    shared: Arc<ReceiverShared<W, N>>,
    slot: u32,
    sequence: u64,
    bytes: u64,
}

impl<W: Words, N: Notify> Lease<W, N> {
    /// Begins to hold a message that has just been borrowed.
    pub(super) fn begin(
        shared: &Arc<ReceiverShared<W, N>>,
        slot: u32,
        sequence: u64,
        bytes: u64,
    ) -> Self {
        shared.held_messages.fetch_add(1, Ordering::Relaxed);
        shared.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        Lease {
            shared: Arc::clone(shared),
            slot,
            sequence,
            bytes,
        }
    }

    /// The message.
    pub fn sequence(&self) -> Sequence {
        Sequence(self.sequence)
    }

    /// The edge it came over.
    pub fn edge(&self) -> EdgeId {
        self.shared.edge
    }

    /// Ends it as a SIGKILL does: nothing is released, the message stays borrowed until the runtime has repaired
    /// the edge. For simulated processes.
    pub fn abandon(self) {
        let lease = ManuallyDrop::new(self);
        // SAFETY: `lease` is never dropped nor used again, so the reference is taken out of it once.
        drop(unsafe { std::ptr::read(&lease.shared) });
    }
}

impl<W: Words, N: Notify> Drop for Lease<W, N> {
    fn drop(&mut self) {
        // A child of `fork` has inherited this value, but neither the mapping nor the debt.
        if !self.shared.words.usable() {
            return;
        }
        self.shared.held_messages.fetch_sub(1, Ordering::Relaxed);
        self.shared
            .held_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
        self.shared
            .release(self.slot, self.sequence, FenceSite::Release, 0);
    }
}

/// A receiver's end, as its control thread sees it.
#[derive(Debug)]
pub struct EdgeReceiverHandle<W: Words = MappedWords, N: Notify = EventFd> {
    pub(super) shared: Arc<ReceiverShared<W, N>>,
}

impl<W: Words, N: Notify> Clone for EdgeReceiverHandle<W, N> {
    fn clone(&self) -> Self {
        EdgeReceiverHandle {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<W: Words, N: Notify> EdgeReceiverHandle<W, N> {
    /// The edge.
    pub fn edge(&self) -> EdgeId {
        self.shared.edge
    }

    /// The tokens owed up to and including `upto`.
    pub fn tokens(&self, upto: Sequence) -> Tokens {
        tokens::read(&self.shared.words, &self.shared.layout, upto)
    }

    /// Asks to be woken, once, by the release that leaves nothing up to and including `upto` owed. Gives
    /// `true` if nothing is owed already; then no wake-up follows. A later watch replaces an earlier one.
    pub fn watch(&self, upto: Sequence) -> bool {
        let words = &self.shared.words;
        let upto = upto.0.min(u64::MAX - 1);
        words.store(header::WATCH, upto + 1, Ordering::Relaxed);
        words.fence(FenceSite::Watch);
        if tokens::any(words, &self.shared.layout, upto) {
            return false;
        }
        words.store(header::WATCH, 0, Ordering::Relaxed);
        true
    }
}
