//! The wake words: who sleeps, and for what.

use std::sync::atomic::Ordering;

use super::layout::header;
use super::words::{Notify, Words};

/// The waiter is awake, or has been woken.
pub(super) const AWAKE: u64 = 0;
/// The receiver sleeps.
pub(super) const RECEIVER_IDLE: u64 = 1;
/// The sender sleeps until the head moves.
pub(super) const SENDER_WAITS_FOR_QUEUE: u64 = 1;
/// The sender sleeps until something is released.
pub(super) const SENDER_WAITS_FOR_RELEASE: u64 = 2;

/// Wakes who sleeps at `word` for one of the reasons in `mask`. The caller has fenced.
///
/// The word is looked at before it is swapped, so that it stays in both processors' caches while nobody
/// sleeps. Who wins the swap writes the eventfd, so it is written once a sleep.
#[inline]
pub(super) fn wake<W: Words, N: Notify>(words: &W, word: usize, mask: u64, waiter: &N) {
    if words.load(word, Ordering::Relaxed) & mask != 0 && words.swap(word, AWAKE) != AWAKE {
        waiter.notify();
    }
}

/// Wakes a sleeping receiver.
#[inline]
pub(super) fn wake_receiver<W: Words, N: Notify>(words: &W, waiter: &N) {
    wake(words, header::RECEIVER_WAKE, RECEIVER_IDLE, waiter);
}
