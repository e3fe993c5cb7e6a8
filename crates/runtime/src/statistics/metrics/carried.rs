//! The families of what edges carry, which a level has of all its edges and an edge of itself. Only their meanings are said in
//! other words.

use dataflow_ids::DropReason;
use dataflow_ids::stats::{EdgeCounters, EdgeGauges, EdgeHistograms, Level};

use super::edges::EdgeFigures;
use super::family::{Family, Number, Reading, Several, bytes, plain, seconds, span, whole};

/// What has numbers of edges.
pub(super) trait Carries {
    /// What was counted where messages are sent.
    fn out(&self) -> &EdgeCounters;
    /// What was counted where messages are received.
    fn into(&self) -> &EdgeCounters;
    /// What there is where messages are received.
    fn gauges(&self) -> &EdgeGauges;
    /// How long messages took to where they are received.
    fn histograms(&self) -> &EdgeHistograms;
}

impl Carries for Level {
    fn out(&self) -> &EdgeCounters {
        &self.out
    }

    fn into(&self) -> &EdgeCounters {
        &self.into
    }

    fn gauges(&self) -> &EdgeGauges {
        &self.gauges
    }

    fn histograms(&self) -> &EdgeHistograms {
        &self.histograms
    }
}

/// An edge is sent on and received from.
impl Carries for EdgeFigures {
    fn out(&self) -> &EdgeCounters {
        &self.counters
    }

    fn into(&self) -> &EdgeCounters {
        &self.counters
    }

    fn gauges(&self) -> &EdgeGauges {
        &self.gauges
    }

    fn histograms(&self) -> &EdgeHistograms {
        &self.histograms
    }
}

pub(super) const fn sent<T: Carries>(help: &'static str) -> Family<T> {
    let reading = Reading::Counter(|row: &T, _| whole(row.out().sent));
    plain("messages_sent", help, reading)
}

pub(super) const fn sent_bytes<T: Carries>(help: &'static str) -> Family<T> {
    bytes(
        "sent",
        help,
        Reading::Counter(|row: &T, _| whole(row.out().bytes)),
    )
}

pub(super) const fn blocked<T: Carries>(help: &'static str) -> Family<T> {
    let reading = Reading::Counter(|row: &T, _| span(row.out().blocked_ns));
    seconds("send_blocked", help, reading)
}

pub(super) const fn delivered<T: Carries>(help: &'static str) -> Family<T> {
    let reading = Reading::Counter(|row: &T, _| whole(row.into().delivered));
    plain("messages_delivered", help, reading)
}

pub(super) const fn released<T: Carries>(help: &'static str) -> Family<T> {
    let reading = Reading::Counter(|row: &T, _| whole(row.into().released));
    plain("messages_released", help, reading)
}

pub(super) const fn lost<T: Carries>(help: &'static str) -> Family<T> {
    let reading = Reading::Counter(|row: &T, _| whole(row.into().lost));
    plain("messages_lost", help, reading)
}

pub(super) const fn dropped<T: Carries>(help: &'static str) -> Family<T> {
    let reading = Reading::Counters("reason", |row: &T, _| by_reason(row.into()));
    plain("messages_dropped", help, reading)
}

pub(super) const fn queued<T: Carries>(help: &'static str) -> Family<T> {
    let reading = Reading::Gauge(|row: &T, _| Some(Number::Whole(row.gauges().queued.get())));
    plain("messages_queued", help, reading)
}

pub(super) const fn held<T: Carries>(help: &'static str) -> Family<T> {
    let reading = Reading::Gauge(|row: &T, _| Some(Number::Whole(row.gauges().held.get())));
    plain("messages_held", help, reading)
}

pub(super) const fn latency<T: Carries>() -> Family<T> {
    seconds(
        "message_latency",
        "From the beginning of a send until the receiver's program had the message",
        Reading::Histogram(|row: &T| &row.histograms().latency),
    )
}

pub(super) const fn queue_wait<T: Carries>() -> Family<T> {
    seconds(
        "message_queue_wait",
        "From a message's place in the queue until the receiver took it",
        Reading::Histogram(|row: &T| &row.histograms().queue_wait),
    )
}

pub(super) const fn handling<T: Carries>() -> Family<T> {
    seconds(
        "message_handling",
        "From when the receiver's program had a message until it asked for the next event",
        Reading::Histogram(|row: &T| &row.histograms().handling),
    )
}

/// Messages that were not delivered, by why.
fn by_reason(counters: &EdgeCounters) -> Several {
    let reasons = DropReason::ALL.iter();
    reasons
        .map(|reason| (reason.as_str(), whole(counters.dropped(*reason))))
        .collect()
}
