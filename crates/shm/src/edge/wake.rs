//! The wake words: who sleeps, and for what.

use std::sync::atomic::Ordering;

use dataflow_ids::SenderSleep;

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
/// The sender sleeps until its receiver is ready: no receiver wakes it for that, the runtime does.
pub(super) const SENDER_WAITS_FOR_READINESS: u64 = 4;

/// Says that the owner of `word` is about to sleep, and why. A fence must follow, and a last look.
///
/// A swap where a store would do, here and in `awake`: a waker's swap can come between two writes of the
/// owner. Which of them is the last follows for the memory model from what that swap has read, but not for
/// the model checker, which then finds wake-ups lost that are not.
pub(super) fn fall_asleep<W: Words>(words: &W, word: usize, reason: u64) {
    words.swap(word, reason);
}

/// Says that the owner of `word` is awake.
pub(super) fn awake<W: Words>(words: &W, word: usize) {
    words.swap(word, AWAKE);
}

/// What a sender sleeps for whose wake word says this. No correct sender writes anything else.
pub(super) fn sender_sleep(says: u64) -> Option<SenderSleep> {
    match says {
        SENDER_WAITS_FOR_QUEUE => Some(SenderSleep::Queue),
        SENDER_WAITS_FOR_RELEASE => Some(SenderSleep::Release),
        SENDER_WAITS_FOR_READINESS => Some(SenderSleep::Readiness),
        _ => None,
    }
}

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
