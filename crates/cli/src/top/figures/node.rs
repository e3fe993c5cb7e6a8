//! The figures of a node.

use std::collections::BTreeMap;
use std::time::Duration;

use dataflow_core::stats::rate;
use dataflow_ids::LifeCycle;
use dataflow_ids::stats::{Histogram, NodeKey, NodeNumbers, NodeRow, ProcessNumbers, Statistics};
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
    /// How much of one processor its processes have used between two readings; `None` without two.
    pub(in crate::top) cpu_percent: Option<f64>,
    /// Time of processors that all of its incarnations have used, in seconds.
    pub(in crate::top) cpu_s: f64,
    /// Resident memory of its processes; `None` before they were read.
    pub(in crate::top) memory_bytes: Option<u64>,
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
    /// For which nodes it waits as well: one send goes to all of them.
    pub(in crate::top) also_blocked_by: Vec<String>,
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
        (blocked_by, also_blocked_by): (Vec<String>, Vec<String>),
    ) -> NodeFigures {
        let numbers = &row.numbers;
        let process = &numbers.process;
        let before = known.for_rates.and_then(|before| of_key(before, row.key));
        let read_before = known
            .for_processes
            .and_then(|before| of_key(before, row.key));
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
            cpu_percent: read_before.and_then(|before| cpu_percent(&before.process, process)),
            cpu_s: seconds(process.cpu_ns.get()),
            memory_bytes: (process.read_at_ns).map(|_| process.memory_bytes.get()),
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
            also_blocked_by,
        }
    }
}

fn of_key(statistics: &Statistics, key: NodeKey) -> Option<&NodeNumbers> {
    let nodes = &statistics.nodes;
    let place = nodes.binary_search_by_key(&key, |row| row.key);
    place.ok().map(|place| &nodes[place].numbers)
}

/// How much of one processor was used between two readings.
fn cpu_percent(before: &ProcessNumbers, now: &ProcessNumbers) -> Option<f64> {
    let over_ns = now.read_at_ns?.checked_sub(before.read_at_ns?)?;
    let over = Duration::from_nanos(over_ns);
    // Nanoseconds in a second, as percent.
    rate(before.cpu_ns, now.cpu_ns, over).map(|ns_per_s| ns_per_s / 1e7)
}

/// What the nodes of a level use: those figures of theirs that it cannot have of itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    /// How much of one processor; `None` when it is known of no node.
    pub(super) cpu_percent: Option<f64>,
    /// Resident memory; `None` when it is known of no node.
    pub(super) memory_bytes: Option<u64>,
}

impl Used {
    /// Of these nodes together.
    pub(super) fn by<'a>(nodes: impl IntoIterator<Item = &'a NodeFigures>) -> Used {
        let mut used = Used::default();
        for node in nodes {
            if let Some(percent) = node.cpu_percent {
                used.cpu_percent = Some(used.cpu_percent.unwrap_or_default() + percent);
            }
            if let Some(bytes) = node.memory_bytes {
                let sum = used.memory_bytes.unwrap_or_default();
                used.memory_bytes = Some(sum.saturating_add(bytes));
            }
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dataflow_ids::stats::{Counter, Statistics};

    use super::super::runtime::{Answer, RuntimeKind, figures};
    use crate::top::example::statistics_at;
    use crate::top::past::Past;

    /// What is known at this second of nodes of which `cpu_ms` was read at another one.
    fn read(second: u64, read_at_ms: Option<u64>, cpu_ms: u64) -> Statistics {
        let mut statistics = statistics_at(Duration::from_secs(second));
        for row in &mut statistics.nodes {
            row.numbers.process.read_at_ns = read_at_ms.map(|at| at * 1_000_000);
            row.numbers.process.cpu_ns = Counter::new(cpu_ms * 1_000_000);
        }
        statistics
    }

    fn answer(known: impl IntoIterator<Item = Statistics>) -> Answer {
        let mut past = Past::over(Duration::from_millis(100));
        for statistics in known {
            past.push(statistics);
        }
        figures(RuntimeKind::Dataflow, &past).unwrap()
    }

    #[test]
    fn the_first_reading_of_a_process_says_nothing_of_how_much_it_uses_now() {
        let answer = answer([read(1, None, 0), read(2, Some(1_900), 300_000)]);
        assert!(answer.nodes.iter().all(|node| node.cpu_percent.is_none()));
        assert!(answer.dataflows[0].level.cpu_percent.is_none());
        assert!(answer.total.cpu_percent.is_none());
        assert_eq!(answer.nodes[2].memory_bytes, Some(36_000_000));
        assert_eq!(answer.total.memory_bytes, Some(72_000_000));
    }

    #[test]
    fn memory_is_unknown_before_it_was_read() {
        let answer = answer([read(1, None, 0)]);
        assert!(answer.nodes.iter().all(|node| node.memory_bytes.is_none()));
        assert_eq!(answer.groups[0].level.memory_bytes, None);
        assert_eq!(answer.total.memory_bytes, None);
    }

    #[test]
    fn the_use_of_processors_is_over_the_time_between_two_readings() {
        // The one a second that is read comes now early, now late.
        let known = [
            read(300, Some(10_000), 1_000),
            read(301, Some(300_100), 91_000),
            read(302, Some(301_150), 91_525),
        ];
        let first = answer(known.clone());
        assert_eq!(first.nodes[0].cpu_percent, Some(50.0));
        assert_eq!(first.total.cpu_percent, Some(150.0));
        assert_eq!(first.dataflows[0].level.cpu_percent, Some(150.0));
        assert_eq!(first.groups[0].level.cpu_percent, Some(50.0));
        let more = [
            read(303, Some(301_150), 91_525),
            read(304, Some(303_100), 92_500),
            read(305, Some(304_900), 93_400),
        ];
        for length in 1..=more.len() {
            let known = known.iter().chain(&more[..length]).cloned();
            assert_eq!(answer(known).nodes[0].cpu_percent, Some(50.0), "{length}");
        }
    }
}
