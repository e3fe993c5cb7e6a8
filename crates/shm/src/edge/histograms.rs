//! The histograms in an edge's header: how long messages took, from a sample that stands for all.
//!
//! The thread that receives is their one writer. A reader never waits for it: it reads the sum before the buckets, and
//! the writer writes it after them, so all that is in a sum that was read is in the buckets too.

use std::sync::atomic::Ordering;

use dataflow_ids::stats::{EdgeHistograms, HISTOGRAM_BUCKETS, Histogram};

use super::layout::header;
use super::words::Words;

/// What is measured of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span {
    /// From the beginning of the send, also while it waited for room, until the receiver's program has the message.
    Latency,
    /// From its place in the queue until the receiver has taken it.
    QueueWait,
    /// From when the receiver's program has it until that program asks for the next event.
    Handling,
}

/// The longest time that a sum counts: 3.3 days. So a sum says no more than its buckets allow.
const COUNTED_NS_MAX: u64 = (1 << 48) - 1;

impl Span {
    /// Each of them.
    pub const ALL: [Span; 3] = [Span::Latency, Span::QueueWait, Span::Handling];

    /// Where its sum stands; its buckets follow.
    fn sum(self) -> usize {
        match self {
            Span::Latency => header::LATENCY,
            Span::QueueWait => header::QUEUE_WAIT,
            Span::Handling => header::HANDLING,
        }
    }

    /// What it is called in an error.
    pub(super) fn name(self) -> &'static str {
        match self {
            Span::Latency => "observed for their latency",
            Span::QueueWait => "observed for their wait",
            Span::Handling => "observed for their handling",
        }
    }
}

/// The longest time that a bucket counts.
fn longest_ns(bucket: usize) -> u64 {
    if bucket + 1 == HISTOGRAM_BUCKETS {
        COUNTED_NS_MAX
    } else {
        (1 << bucket) - 1
    }
}

/// Records a time, `messages` times.
pub(super) fn observe<W: Words>(words: &W, span: Span, duration_ns: u64, messages: u64) {
    let add = |word: usize, more: u64| {
        let before = words.load(word, Ordering::Relaxed);
        // Release: who sees this has seen what was counted before.
        words.store(word, before.saturating_add(more), Ordering::Release);
    };
    add(span.sum() + 1 + Histogram::bucket_of(duration_ns), messages);
    let counted_ns = duration_ns.min(COUNTED_NS_MAX);
    add(span.sum(), counted_ns.saturating_mul(messages));
    let observations = words.load(header::OBSERVATIONS, Ordering::Relaxed);
    let observations = observations.wrapping_add(1);
    words.store(header::OBSERVATIONS, observations, Ordering::Release);
}

/// What the words say, whatever that is.
pub(super) fn read<W: Words>(words: &W) -> EdgeHistograms {
    let load = |word| words.load(word, Ordering::Acquire);
    let one = |span: Span| {
        let sum_ns = load(span.sum());
        let buckets = std::array::from_fn(|bucket| load(span.sum() + 1 + bucket));
        Histogram { buckets, sum_ns }
    };
    EdgeHistograms {
        latency: one(Span::Latency),
        queue_wait: one(Span::QueueWait),
        handling: one(Span::Handling),
    }
}

/// How many times a histogram has, and whether it can follow on `before`: no bucket falls, and neither does the sum,
/// which is not more than the buckets allow.
pub(super) fn check(before: &Histogram, says: &Histogram) -> Result<u64, u64> {
    let (mut count, mut most_ns, mut is_good) = (0_u64, 0_u64, says.sum_ns >= before.sum_ns);
    for (bucket, (now, was)) in says.buckets.iter().zip(&before.buckets).enumerate() {
        is_good &= now >= was;
        count = count.saturating_add(*now);
        most_ns = most_ns.saturating_add(now.saturating_mul(longest_ns(bucket)));
    }
    if is_good && says.sum_ns <= most_ns {
        Ok(count)
    } else {
        Err(count)
    }
}
