//! The figures of a node.

use std::collections::BTreeMap;

use dataflow_ids::LifeCycle;
use dataflow_ids::stats::{Histogram, NodeKey, NodeRow, Statistics};
use serde::Serialize;

use super::span::{self, Known, SpanFigures, seconds};

/// The figures of a node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::top) struct NodeFigures {
    #[serde(skip)]
    pub(in crate::top) key: NodeKey,
    /// Its dataflow, by its run's name when two dataflows have one name.
    pub(in crate::top) dataflow: String,
    /// Its name.
    pub(in crate::top) node: String,
    /// Its state.
    pub(in crate::top) state: LifeCycle,
    /// For how long it has been in it, in seconds.
    pub(in crate::top) state_for_s: f64,
    /// Its incarnation.
    pub(in crate::top) epoch: u32,
    /// Its process, while it has one.
    pub(in crate::top) pid: Option<u32>,
    /// How often its state has changed.
    pub(in crate::top) transitions: u64,
    /// How often it was started again.
    pub(in crate::top) restarts: u64,
    /// How much of one processor it uses.
    pub(in crate::top) cpu_percent: Option<f64>,
    /// Time of processors that all of its incarnations have used, in seconds.
    pub(in crate::top) cpu_s: f64,
    /// Resident memory of its processes.
    pub(in crate::top) memory_bytes: u64,
    /// Messages that have reached it.
    pub(in crate::top) received: u64,
    /// And how many in a second.
    pub(in crate::top) received_per_s: Option<f64>,
    /// Messages that it has sent.
    pub(in crate::top) sent: u64,
    /// And how many in a second.
    pub(in crate::top) sent_per_s: Option<f64>,
    /// Messages that wait for it.
    pub(in crate::top) queued: u64,
    /// Messages that it holds.
    pub(in crate::top) held: u64,
    /// Messages that it held when it died.
    pub(in crate::top) lost: u64,
    /// How long it had a message in hand.
    pub(in crate::top) handling: Option<SpanFigures>,
    /// Which node it waits for with a message, and which that one waits for, and so on.
    pub(in crate::top) blocked_by: Vec<String>,
}

/// What the edges say of the nodes that they end in.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    queued: u64,
    held: u64,
    handling: Histogram,
}

impl Inputs {
    /// Of each node into which an edge goes.
    pub(super) fn of(statistics: &Statistics) -> BTreeMap<NodeKey, Inputs> {
        let mut nodes = BTreeMap::<NodeKey, Inputs>::new();
        for edge in &statistics.edges {
            let key = NodeKey {
                run: edge.key.run,
                node: edge.target,
            };
            let inputs = nodes.entry(key).or_default();
            inputs.queued = inputs.queued.saturating_add(edge.gauges.queued.get());
            inputs.held = inputs.held.saturating_add(edge.gauges.held.get());
            span::add(&mut inputs.handling, &edge.histograms.handling);
        }
        nodes
    }
}

impl NodeFigures {
    /// `inputs`: now, and when recent spans are counted from.
    pub(super) fn of(
        known: &Known<'_>,
        row: &NodeRow,
        dataflow: String,
        inputs: (Option<&Inputs>, Option<&Inputs>),
        blocked_by: Vec<String>,
    ) -> NodeFigures {
        let numbers = &row.numbers;
        let before = known.for_rates.and_then(|statistics| {
            let place = statistics
                .nodes
                .binary_search_by_key(&row.key, |row| row.key);
            place.ok().map(|place| &statistics.nodes[place].numbers)
        });
        let (now, then) = inputs;
        NodeFigures {
            key: row.key,
            dataflow,
            node: row.name.to_string(),
            state: numbers.state,
            state_for_s: known.since_s(numbers.since_ns),
            epoch: numbers.epoch.0,
            pid: row.pid,
            transitions: numbers.transitions.get(),
            restarts: numbers.restarts.get(),
            cpu_percent: known
                .rate(
                    before.map(|before| before.process.cpu_ns),
                    numbers.process.cpu_ns,
                )
                .map(percent),
            cpu_s: seconds(numbers.process.cpu_ns.get()),
            memory_bytes: numbers.process.memory_bytes.get(),
            received: numbers.into.delivered.get(),
            received_per_s: known.rate(
                before.map(|before| before.into.delivered),
                numbers.into.delivered,
            ),
            sent: numbers.out.sent.get(),
            sent_per_s: known.rate(before.map(|before| before.out.sent), numbers.out.sent),
            queued: now.map_or(0, |inputs| inputs.queued),
            held: now.map_or(0, |inputs| inputs.held),
            lost: numbers.into.lost.get(),
            handling: now
                .and_then(|now| known.spans(then.map(|then| &then.handling), &now.handling)),
            blocked_by,
        }
    }
}

/// Nanoseconds of something in a second, as percent.
pub(super) fn percent(nanoseconds_per_s: f64) -> f64 {
    nanoseconds_per_s / 1e7
}
