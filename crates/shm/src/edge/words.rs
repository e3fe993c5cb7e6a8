//! What the protocol is written over: shared words, fences with names, and something to wake a waiter with.

use std::sync::atomic::Ordering;

use crate::eventfd::EventFd;

/// Every fence of the protocol. Each separates "I have written mine" from "now I read yours" where two
/// parties do the same to each other; without it both may read the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FenceSite {
    /// The sender, between the tail and the receiver's wake word, and `receiver_gone`.
    Publish,
    /// The receiver, between its wake word and a last look at the tail.
    ReceiverSleep,
    /// The receiver, between the head, or an inline release, and the sender's wake word and the watch.
    Take,
    /// Any thread of the receiver, between the release of a lease and the sender's wake word and the watch.
    Release,
    /// The sender, between its wake word and a last look for room.
    SenderSleep,
    /// The runtime, between `receiver_gone` and its sweep.
    ReceiverGone,
    /// The receiver's control thread, between its watch and a last look at the slots.
    Watch,
}

impl FenceSite {
    /// Every site.
    pub const ALL: [FenceSite; 7] = [
        FenceSite::Publish,
        FenceSite::ReceiverSleep,
        FenceSite::Take,
        FenceSite::Release,
        FenceSite::SenderSleep,
        FenceSite::ReceiverGone,
        FenceSite::Watch,
    ];
}

/// Shared 64-bit words. One implementation is a mapping, the other one a model checker's.
///
/// Indices come from a [`super::Layout`]. An implementation may panic on an index outside of it, and must not
/// touch memory that is not its own.
pub trait Words: Send + Sync {
    /// Reads a word.
    fn load(&self, index: usize, ordering: Ordering) -> u64;
    /// Writes a word.
    fn store(&self, index: usize, value: u64, ordering: Ordering);
    /// Writes `new` if the word is `current` (acquire and release; acquire when it is not).
    ///
    /// # Errors
    ///
    /// What the word is instead.
    fn compare_exchange(&self, index: usize, current: u64, new: u64) -> Result<u64, u64>;
    /// Writes a word and gives what it was (acquire and release).
    fn swap(&self, index: usize, value: u64) -> u64;
    /// Adds to a word and gives what it was.
    fn fetch_add(&self, index: usize, value: u64, ordering: Ordering) -> u64;
    /// A sequentially consistent fence.
    fn fence(&self, site: FenceSite);
    /// Whether this process may touch the words: a child after `fork` has no such mapping.
    fn usable(&self) -> bool {
        true
    }
}

/// Wakes a waiter. Never blocks.
pub trait Notify: Send + Sync {
    /// Makes the waiter's next, or present, wait end.
    fn notify(&self);
}

impl Notify for EventFd {
    fn notify(&self) {
        EventFd::notify(self);
    }
}
