//! The figures of an edge.

use dataflow_ids::stats::{EdgeKey, EdgeRow, Statistics};
use dataflow_ids::{Lacks, QueuePolicy};
use serde::Serialize;

use super::level::Dropped;
use super::span::{Known, SpanFigures, seconds};

/// The figures of an edge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::top) struct EdgeFigures {
    #[serde(skip)]
    pub(in crate::top) key: EdgeKey,
    /// Its dataflow, by its run's name when two dataflows have one name.
    pub(in crate::top) dataflow: String,
    /// Its sender.
    pub(in crate::top) source: String,
    /// The sender's output.
    pub(in crate::top) output: String,
    /// Its receiver.
    pub(in crate::top) target: String,
    /// The receiver's input.
    pub(in crate::top) input: String,
    /// What a full queue does.
    pub(in crate::top) policy: QueuePolicy,
    /// How many messages may be queued.
    pub(in crate::top) queue_size: u32,
    /// Messages sent.
    pub(in crate::top) sent: u64,
    /// And how many in a second.
    pub(in crate::top) sent_per_s: Option<f64>,
    /// Payload bytes sent.
    pub(in crate::top) sent_bytes: u64,
    /// And how many in a second.
    pub(in crate::top) sent_bytes_per_s: Option<f64>,
    /// Messages that have reached the receiver.
    pub(in crate::top) delivered: u64,
    /// And how many in a second.
    pub(in crate::top) delivered_per_s: Option<f64>,
    /// Messages that were dropped, by reason.
    pub(in crate::top) dropped: Dropped,
    /// And how many in a second.
    pub(in crate::top) dropped_per_s: Option<f64>,
    /// Messages that the receiver held when it died.
    pub(in crate::top) lost: u64,
    /// Messages that wait in the queue.
    pub(in crate::top) queued: u64,
    /// Messages that the receiver holds.
    pub(in crate::top) held: u64,
    /// How long ago the oldest message in the queue was sent, in seconds.
    pub(in crate::top) oldest_s: Option<f64>,
    /// Whether the sender waits for room on it at this moment.
    pub(in crate::top) is_blocked: bool,
    /// What the sender lacks there, if it waits because of it, also for a receiver that is not ready yet.
    pub(in crate::top) lacks: Option<Lacks>,
    /// How much of the time the sender waited on it.
    pub(in crate::top) blocked_percent: Option<f64>,
    /// How long the sender has waited on it, in seconds.
    pub(in crate::top) blocked_s: f64,
    /// Whether its sender has ended for good.
    pub(in crate::top) is_closed: bool,
    /// How long messages were on their way.
    pub(in crate::top) latency: Option<SpanFigures>,
    /// How long they waited in the queue.
    pub(in crate::top) queue_wait: Option<SpanFigures>,
    /// How long the receiver had them in hand.
    pub(in crate::top) handling: Option<SpanFigures>,
}

impl EdgeFigures {
    /// `ends`: the names of its sender and of its receiver.
    pub(super) fn of(
        known: &Known<'_>,
        row: &EdgeRow,
        dataflow: String,
        ends: (String, String),
    ) -> EdgeFigures {
        let find = |statistics: &'_ Statistics| {
            let rows = &statistics.edges;
            let place = rows.binary_search_by_key(&row.key, |row| row.key).ok()?;
            Some((rows[place].counters, *rows[place].histograms))
        };
        let before = known
            .for_rates
            .and_then(|statistics| Some(find(statistics)?.0));
        let spans = known
            .for_spans
            .and_then(|statistics| Some(find(statistics)?.1));
        let (spans, counters) = (spans.as_ref(), &row.counters);
        let rates = known.edge_rates(before.as_ref(), counters);
        let (source, target) = ends;
        EdgeFigures {
            key: row.key,
            dataflow,
            source,
            output: row.output.to_string(),
            target,
            input: row.input.to_string(),
            policy: row.policy,
            queue_size: row.queue_size,
            sent: counters.sent.get(),
            sent_per_s: rates.map(|rates| rates.sent),
            sent_bytes: counters.bytes.get(),
            sent_bytes_per_s: rates.map(|rates| rates.bytes),
            delivered: counters.delivered.get(),
            delivered_per_s: rates.map(|rates| rates.delivered),
            dropped: Dropped::of(counters),
            dropped_per_s: rates.map(|rates| rates.dropped),
            lost: counters.lost.get(),
            queued: row.gauges.queued.get(),
            held: row.gauges.held.get(),
            oldest_s: row.oldest_ns.map(|sent_ns| known.since_s(sent_ns)),
            is_blocked: row.gauges.blocked.get() > 0,
            lacks: row.lacks,
            blocked_percent: rates.map(|rates| (rates.blocked * 100.0).min(100.0)),
            blocked_s: seconds(counters.blocked_ns.get()),
            is_closed: row.is_closed,
            latency: known.spans(spans.map(|spans| &spans.latency), &row.histograms.latency),
            queue_wait: known.spans(
                spans.map(|spans| &spans.queue_wait),
                &row.histograms.queue_wait,
            ),
            handling: known.spans(spans.map(|spans| &spans.handling), &row.histograms.handling),
        }
    }
}
