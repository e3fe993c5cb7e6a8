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
    let of = |counter: fn(&EdgeCounters) -> Counter| rate(counter(before), counter(now), between);
    Some(EdgeRates {
        sent: of(|it| it.sent)?,
        delivered: of(|it| it.delivered)?,
        dropped: of(|it| it.dropped_full)?
            + of(|it| it.dropped_receiver_closed)?
            + of(|it| it.dropped_memory)?,
        bytes: of(|it| it.bytes)?,
        blocked: of(|it| it.blocked_ns)? / 1e9,
    })
}
