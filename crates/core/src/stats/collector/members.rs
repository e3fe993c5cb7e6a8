//! Rows of another keeper, taken into a book.
//!
//! A row is believed as it is, but for its counters: they grow, or stay. When a member came in here is a revision of ours, and
//! not of its keeper, so that what is told to others holds in itself: a member that comes in after a revision of its keeper
//! that is known is a new one, whoever has its key.

use std::sync::Arc;

use dataflow_ids::LifeCycle;
use dataflow_ids::NodeIndex;
use dataflow_ids::stats::{
    Counter, EdgeCounters, EdgeHistograms, EdgeKey, EdgeRow, NodeKey, NodeNumbers, NodeRow,
    RunNumber, StatesNs,
};

use super::super::book::Book;
use super::super::facts::EdgeSpec;
use super::super::groups::GroupNumber;
use super::super::levels::{self, Faults};
use super::super::misplaced::{Span, epoch_stays};
use super::super::readings::{
    MEMORY_MAX_BYTES, bounded, bounded_gauges, counters_growth, growth, histograms_growth,
};
use super::super::rows::{EdgeNumbers, Life, Traffic};
use super::clock::Offset;

/// Where a row's node is put, and how its moments become ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Put {
    pub(super) run: RunNumber,
    /// The revisions of its keeper between which it has become what it is.
    pub(super) span: Span,
    pub(super) offset: Offset,
    /// The moment of what the collector has published last.
    pub(super) published_ns: u64,
    /// The collector's moment: nothing is later.
    pub(super) now_ns: u64,
}

fn followed(known: Counter, now: Counter) -> Counter {
    Counter::new(known.get().saturating_add(growth(known.get(), now.get())))
}

fn counters_followed(known: &EdgeCounters, now: &EdgeCounters) -> EdgeCounters {
    let mut followed = *known;
    levels::add_counters(&mut followed, &counters_growth(known, now));
    followed
}

/// Since when a node is there and in its state, and how long it was in each before.
///
/// Moments may come out earlier than before, since one learns how far the clocks are apart: then it is older than was known.
/// A row may say that the node has left a state at a moment up to which somebody has seen it in that state here. What was
/// seen stays, so it has left it at that moment, and was as much shorter in another state: it is in one state at a time, and
/// its times add up to its age.
fn followed_times(
    put: Put,
    known: Option<&Life>,
    numbers: &NodeNumbers,
) -> (u64, u64, StatesNs<u64>) {
    let known_added_ns = known.map_or(put.now_ns, |known| known.added_ns);
    let added_ns = put.offset.ours(numbers.added_ns).min(known_added_ns);
    let said_ns = put.offset.ours(numbers.since_ns);
    let mut seen_ns = known.map_or_else(StatesNs::default, |known| known.time_in_state_ns);
    let since_ns = match known {
        None => said_ns.min(put.now_ns),
        Some(known) if known.state == numbers.state && said_ns <= known.since_ns => {
            // It is in it still. There is room for what was seen before.
            let before_ns = LifeCycle::ALL.map(|state| seen_ns[state]);
            let before_ns = before_ns.into_iter().fold(added_ns, u64::saturating_add);
            said_ns.max(before_ns).min(known.since_ns)
        }
        Some(known) => {
            let seen = &mut seen_ns[known.state];
            *seen = seen.saturating_add(put.published_ns.saturating_sub(known.since_ns));
            said_ns.max(put.published_ns).min(put.now_ns)
        }
    };
    let mut times_ns = seen_ns;
    let mut all_ns = 0;
    for state in LifeCycle::ALL {
        times_ns[state] = numbers.time_in_state_ns[state].max(seen_ns[state]);
        all_ns += u128::from(times_ns[state]);
    }
    let age_ns = u128::from(since_ns.saturating_sub(added_ns));
    for state in LifeCycle::ALL {
        let excess_ns = u64::try_from(all_ns.saturating_sub(age_ns)).unwrap_or(u64::MAX);
        let fewer_ns = (times_ns[state] - seen_ns[state]).min(excess_ns);
        times_ns[state] -= fewer_ns;
        all_ns -= u128::from(fewer_ns);
    }
    (added_ns, since_ns, times_ns)
}

/// Takes a node's row: of one that is there, of a new one, or of one that has the key of another that has gone. One of an
/// earlier incarnation than what is known is not taken.
pub(super) fn take_node(
    book: &mut Book,
    put: Put,
    row: &NodeRow,
    group: impl FnOnce(&mut Book) -> (GroupNumber, Arc<dataflow_ids::NodeId>),
) {
    let key = NodeKey {
        run: put.run,
        node: row.key.node,
    };
    let node = u64::from(key.node.0);
    let Some(run) = book.now.runs.get(key.run.0) else {
        return;
    };
    let known = run
        .lives
        .get(node)
        .copied()
        .zip(run.traffic.get(node).copied());
    let numbers = &row.numbers;
    let is_new = put.span.is_new(numbers.added_revision);
    if known.is_some() && is_new {
        // It was there a moment ago.
        let _ = book.remove_node_at(put.now_ns, key);
    }
    let known = known.filter(|_| !is_new);
    if (known.as_ref()).is_some_and(|(life, _)| epoch_stays(numbers.epoch, life.epoch).is_err()) {
        return;
    }
    let (group, name) = match &known {
        Some((life, _)) => (life.group, None),
        None => {
            let (group, name) = group(book);
            (group, Some(name))
        }
    };
    let (old, old_traffic) = known.unwrap_or_else(|| {
        let life = Life {
            sequence: 0,
            added_revision: 0,
            group,
            added_ns: put.offset.ours(numbers.added_ns).min(put.now_ns),
            since_ns: put.now_ns,
            time_in_state_ns: Default::default(),
            transitions: Counter::default(),
            restarts: Counter::default(),
            epoch: numbers.epoch,
            state: numbers.state,
        };
        (life, Traffic::default())
    });
    let known = known.as_ref().map(|(life, _)| life);
    let (added_ns, since_ns, time_in_state_ns) = followed_times(put, known, numbers);
    let life = Life {
        added_ns,
        since_ns,
        time_in_state_ns,
        transitions: followed(old.transitions, numbers.transitions),
        restarts: followed(old.restarts, numbers.restarts),
        epoch: numbers.epoch,
        state: numbers.state,
        ..old
    };
    let mut traffic = Traffic {
        out: counters_followed(&old_traffic.out, &numbers.out),
        into: counters_followed(&old_traffic.into, &numbers.into),
        pid: row.pid,
        ..old_traffic
    };
    let process = &mut traffic.process;
    process.cpu_ns = followed(process.cpu_ns, numbers.process.cpu_ns);
    process.memory_bytes = bounded(
        process.memory_bytes,
        numbers.process.memory_bytes.get(),
        book.now.total.memory_bytes,
        MEMORY_MAX_BYTES,
    );
    let read_at_ns = numbers.process.read_at_ns;
    process.read_at_ns = read_at_ns.map(|at_ns| put.offset.ours(at_ns).min(put.now_ns));
    match name {
        Some(name) => book.put_node(key, name, life, traffic),
        None => book.replace_node(key, (&old, &old_traffic), (life, traffic)),
    }
}

/// Takes an edge's row, as [`take_node`] does a node's. One whose nodes are not there is not taken.
pub(super) fn take_edge(book: &mut Book, put: Put, row: &EdgeRow) {
    let key = EdgeKey {
        run: put.run,
        edge: row.key.edge,
    };
    let edge = u64::from(key.edge.0);
    let known = book.now.edge(key).copied();
    let is_new = put.span.is_new(row.added_revision);
    if known.is_some() && is_new {
        // It was there a moment ago.
        let _ = book.remove_edge(key);
    }
    let known = known.filter(|_| !is_new);
    let Some(run) = book.now.runs.get(key.run.0) else {
        return;
    };
    let has = |node: NodeIndex| run.lives.get(node.0.into()).is_some();
    if !has(row.source) || !has(row.target) {
        return;
    }
    let nothing = EdgeHistograms::default();
    let old = known.unwrap_or_default();
    let old_histograms = match &known {
        Some(_) => run.histograms.get(edge).map_or(&nothing, |there| &**there),
        None => &nothing,
    };
    let timed = histograms_growth(old_histograms, &row.histograms);
    let timed = (timed != nothing).then_some(timed);
    let total = book.now.total();
    let numbers = EdgeNumbers {
        sequence: 0,
        added_revision: old.added_revision,
        counters: counters_followed(&old.counters, &row.counters),
        gauges: bounded_gauges(&old.gauges, &row.gauges, &total.gauges),
        oldest_ns: row
            .oldest_ns
            .map(|oldest| put.offset.ours(oldest).min(put.now_ns)),
        lacks: row.lacks,
        is_closed: row.is_closed,
    };
    if known.is_some() {
        book.replace_edge(key, &old, numbers, timed.as_ref());
        return;
    }
    let spec = EdgeSpec {
        key,
        source: row.source,
        output: row.output.clone(),
        target: row.target,
        input: row.input.clone(),
        policy: row.policy,
        queue_size: row.queue_size,
    };
    book.put_edge(spec, numbers, timed.map(Arc::new));
}

impl Book {
    /// Makes of a node's numbers others.
    fn replace_node(&mut self, key: NodeKey, old: (&Life, &Traffic), new: (Life, Traffic)) {
        let (old_life, old_traffic) = old;
        let (mut life, mut traffic) = new;
        let is_same = life == *old_life && traffic == *old_traffic;
        if is_same {
            return;
        }
        let sequence = self.changed();
        (life.sequence, traffic.sequence) = (sequence, sequence);
        let node = u64::from(key.node.0);
        if let Some(run) = self.run_mut(key.run) {
            run.lives.insert(node, life);
            run.traffic.insert(node, traffic);
        }
        let mut faults = Faults::default();
        self.each_level(key.run, life.group, |level| {
            levels::replace(
                level,
                (old_life, old_traffic),
                (&life, &traffic),
                &mut faults,
            );
        });
        self.blame(&faults);
    }

    /// Makes of an edge's numbers others.
    fn replace_edge(
        &mut self,
        key: EdgeKey,
        old: &EdgeNumbers,
        new: EdgeNumbers,
        timed: Option<&EdgeHistograms>,
    ) {
        let sequence = old.sequence;
        if timed.is_none() && *old == (EdgeNumbers { sequence, ..new }) {
            return;
        }
        let sequence = self.changed();
        let edge = u64::from(key.edge.0);
        let Some(run) = self.run_mut(key.run) else {
            return;
        };
        run.edge_numbers
            .insert(edge, EdgeNumbers { sequence, ..new });
        if let Some(timed) = timed {
            run.add_histograms(edge, timed);
        }
        let target = run.edges.get(edge).map(|spec| spec.target);
        let group = target.and_then(|target| Some(run.lives.get(target.0.into())?.group));
        let Some(group) = group else {
            return;
        };
        let mut faults = Faults::default();
        self.each_level(key.run, group, |level| {
            levels::replace_edge(level, &old.gauges, &new.gauges, timed, &mut faults);
        });
        self.blame(&faults);
    }
}
