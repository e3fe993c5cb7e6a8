//! What happens in a second, from two looks at the same counters.

use std::time::Duration;

use dataflow_ids::stats::{Counter, EdgeCounters};

/// By how much a counter grows in a second. `None` when no time lies between the two looks.
#[must_use]
pub fn rate(before: Counter, now: Counter, between: Duration) -> Option<f64> {
    let seconds = between.as_secs_f64();
    (seconds > 0.0).then(|| before.growth_to(now) as f64 / seconds)
}

/// What happens on an edge in a second, or on all edges of a level.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EdgeRates {
    /// Messages sent.
    pub sent: f64,
    /// Messages that reached the receiver.
    pub delivered: f64,
    /// Messages dropped, for any reason.
    pub dropped: f64,
    /// Payload bytes sent.
    pub bytes: f64,
    /// The share of the time that the sender has waited: 1 is all of it. Of a level it is the sum over its edges.
    pub blocked: f64,
}

/// What happens on an edge in a second. `None` when no time lies between the two looks.
#[must_use]
pub fn rates(before: &EdgeCounters, now: &EdgeCounters, between: Duration) -> Option<EdgeRates> {
    let mut grown = *now;
    grown.zip(before, u64::saturating_sub);
    // What is new on an edge is to be thought of here: without a word, it does not compile.
    let EdgeCounters {
        sent,
        delivered,
        released: _,
        lost: _,
        dropped_full,
        dropped_receiver_closed,
        dropped_memory,
        bytes,
        blocked_ns,
    } = grown;
    let of = |grown: Counter| rate(Counter::default(), grown, between);
    Some(EdgeRates {
        sent: of(sent)?,
        delivered: of(delivered)?,
        dropped: of(dropped_full)? + of(dropped_receiver_closed)? + of(dropped_memory)?,
        bytes: of(bytes)?,
        blocked: of(blocked_ns)? / 1e9,
    })
}
