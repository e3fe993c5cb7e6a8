//! The figures of a level: of a dataflow, a group, or a whole runtime.

use std::collections::BTreeMap;

use dataflow_ids::stats::{DataflowRow, EdgeCounters, Level};
use dataflow_ids::{DropReason, LifeCycle};
use serde::Serialize;

use super::node::Used;
use super::span::{Known, SpanFigures, seconds};

/// Messages that were not delivered and will not be, by reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(in crate::top) struct Dropped(BTreeMap<DropReason, u64>);

impl Dropped {
    pub(super) fn of(counters: &EdgeCounters) -> Dropped {
        let reasons = DropReason::ALL.into_iter();
        Dropped(
            reasons
                .map(|reason| (reason, counters.dropped(reason).get()))
                .collect(),
        )
    }

    fn add(&mut self, more: &Dropped) {
        for (reason, more) in &more.0 {
            let sum = self.0.entry(*reason).or_default();
            *sum = sum.saturating_add(*more);
        }
    }

    /// How many for this reason.
    pub(in crate::top) fn because(&self, reason: DropReason) -> u64 {
        self.0.get(&reason).copied().unwrap_or_default()
    }
}

/// The figures of a level.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::top) struct LevelFigures {
    /// How many nodes there are.
    pub(in crate::top) nodes: u64,
    /// How many edges end in them.
    pub(in crate::top) edges: u64,
    /// How many nodes are in each state that one is in.
    pub(in crate::top) states: BTreeMap<LifeCycle, u64>,
    /// How often the state of one has changed.
    pub(in crate::top) transitions: u64,
    /// How often one was started again.
    pub(in crate::top) restarts: u64,
    /// Messages that they have sent.
    pub(in crate::top) sent: u64,
    /// And how many in a second.
    pub(in crate::top) sent_per_s: Option<f64>,
    /// Messages that have reached them.
    pub(in crate::top) received: u64,
    /// And how many in a second.
    pub(in crate::top) received_per_s: Option<f64>,
    /// Payload bytes that they have sent.
    pub(in crate::top) sent_bytes: u64,
    /// And how many in a second.
    pub(in crate::top) sent_bytes_per_s: Option<f64>,
    /// Messages to them that were dropped, by reason.
    pub(in crate::top) dropped: Dropped,
    /// And how many in a second.
    pub(in crate::top) dropped_per_s: Option<f64>,
    /// Messages that they held when they died.
    pub(in crate::top) lost: u64,
    /// Messages that wait for them.
    pub(in crate::top) queued: u64,
    /// Messages that they hold.
    pub(in crate::top) held: u64,
    /// Edges to them on which the sender waits: it is the senders that are blocked, and not they.
    pub(in crate::top) blocked_senders: u64,
    /// How much of one processor they use, as far as it is known of each.
    pub(in crate::top) cpu_percent: Option<f64>,
    /// Time of processors that they have used, in seconds.
    pub(in crate::top) cpu_s: f64,
    /// Memory that their processes have; `None` before any was read.
    pub(in crate::top) memory_bytes: Option<u64>,
    /// How long messages were on their way to them.
    pub(in crate::top) latency: Option<SpanFigures>,
    /// How long messages waited in a queue for them.
    pub(in crate::top) queue_wait: Option<SpanFigures>,
    /// How long they had a message in hand.
    pub(in crate::top) handling: Option<SpanFigures>,
}

impl LevelFigures {
    pub(super) fn of(
        known: &Known<'_>,
        for_rates: Option<&Level>,
        for_spans: Option<&Level>,
        now: &Level,
        used: Used,
    ) -> LevelFigures {
        let before = for_rates;
        let out = known.edge_rates(before.map(|level| &level.out), &now.out);
        let into = known.edge_rates(before.map(|level| &level.into), &now.into);
        let spans = for_spans.map(|level| &level.histograms);
        let states = LifeCycle::ALL.map(|state| (state, now.states[state].get()));
        LevelFigures {
            nodes: now.nodes.get(),
            edges: now.edges.get(),
            states: states.into_iter().filter(|(_, count)| *count > 0).collect(),
            transitions: now.transitions.get(),
            restarts: now.restarts.get(),
            sent: now.out.sent.get(),
            sent_per_s: out.map(|rates| rates.sent),
            received: now.into.delivered.get(),
            received_per_s: into.map(|rates| rates.delivered),
            sent_bytes: now.out.bytes.get(),
            sent_bytes_per_s: out.map(|rates| rates.bytes),
            dropped: Dropped::of(&now.into),
            dropped_per_s: into.map(|rates| rates.dropped),
            lost: now.into.lost.get(),
            queued: now.gauges.queued.get(),
            held: now.gauges.held.get(),
            blocked_senders: now.gauges.blocked.get(),
            cpu_percent: used.cpu_percent,
            cpu_s: seconds(now.cpu_ns.get()),
            memory_bytes: used.memory_bytes,
            latency: known.spans(spans.map(|spans| &spans.latency), &now.histograms.latency),
            queue_wait: known.spans(
                spans.map(|spans| &spans.queue_wait),
                &now.histograms.queue_wait,
            ),
            handling: known.spans(spans.map(|spans| &spans.handling), &now.histograms.handling),
        }
    }
}

/// A sum of what is known of two; what is known of neither is not known.
fn sum<N>(one: Option<N>, other: Option<N>, add: fn(N, N) -> N) -> Option<N> {
    match (one, other) {
        (Some(one), Some(other)) => Some(add(one, other)),
        (one, other) => one.or(other),
    }
}

impl LevelFigures {
    /// Adds the figures of other members. Spans of time cannot be added: they stay as they are.
    pub(super) fn add(&mut self, more: &LevelFigures) {
        let counts = [
            (&mut self.nodes, more.nodes),
            (&mut self.edges, more.edges),
            (&mut self.transitions, more.transitions),
            (&mut self.restarts, more.restarts),
            (&mut self.sent, more.sent),
            (&mut self.received, more.received),
            (&mut self.sent_bytes, more.sent_bytes),
            (&mut self.lost, more.lost),
            (&mut self.queued, more.queued),
            (&mut self.held, more.held),
            (&mut self.blocked_senders, more.blocked_senders),
        ];
        for (sum, more) in counts {
            *sum = sum.saturating_add(more);
        }
        let rates = [
            (&mut self.sent_per_s, more.sent_per_s),
            (&mut self.received_per_s, more.received_per_s),
            (&mut self.sent_bytes_per_s, more.sent_bytes_per_s),
            (&mut self.dropped_per_s, more.dropped_per_s),
            (&mut self.cpu_percent, more.cpu_percent),
        ];
        for (one, more) in rates {
            *one = sum(*one, more, |one, more| one + more);
        }
        self.cpu_s += more.cpu_s;
        self.memory_bytes = sum(self.memory_bytes, more.memory_bytes, u64::saturating_add);
        self.dropped.add(&more.dropped);
        for (state, more) in &more.states {
            let sum = self.states.entry(*state).or_default();
            *sum = sum.saturating_add(*more);
        }
    }
}

/// The figures of a dataflow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::top) struct DataflowFigures {
    /// Its number at its runtime.
    pub(in crate::top) number: u64,
    /// Its name.
    pub(in crate::top) dataflow: String,
    /// The run's name.
    pub(in crate::top) run: String,
    /// The peer that runs it.
    pub(in crate::top) peer: String,
    /// For how long it has been there, in seconds.
    pub(in crate::top) up_for_s: f64,
    /// Its figures.
    #[serde(flatten)]
    pub(in crate::top) level: LevelFigures,
}

impl DataflowFigures {
    pub(super) fn of(known: &Known<'_>, row: &DataflowRow, used: Used) -> DataflowFigures {
        let level = |statistics: &'_ dataflow_ids::stats::Statistics| {
            let rows = &statistics.dataflows;
            let place = rows.binary_search_by_key(&row.number, |row| row.number);
            place.ok().map(|place| rows[place].level)
        };
        DataflowFigures {
            number: row.number.0,
            dataflow: row.name.to_string(),
            run: super::service::line(&row.run),
            peer: row.peer.to_string(),
            up_for_s: known.since_s(row.added_ns),
            level: LevelFigures::of(
                known,
                known.for_rates.and_then(level).as_ref(),
                known.for_spans.and_then(level).as_ref(),
                &row.level,
                used,
            ),
        }
    }
}
