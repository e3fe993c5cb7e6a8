//! Random histories: what happens to members, what hostile processes write, and moments that go back. How states change,
//! and how a book hears of it, is in `changes`.

use std::sync::Arc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::random::Random;
use dataflow_core::stats::{Book, EdgeFacts, EdgeSpec, ProcessFacts, Snapshot};
use dataflow_ids::stats::{Counter, EdgeKey, Gauge, Keeper, NodeKey, RunNumber};
use dataflow_ids::{EdgeId, Epoch, NodeId, NodeIndex, QueuePolicy};

use super::changes::Changes;
use super::naive::Naive;

/// How many runs there are at once.
const RUNS: usize = 3;
/// How many nodes a run may have.
const NODES: u64 = 6;
/// How many edges a run may have.
const EDGES: u64 = 8;
/// How many names nodes have; fewer have a group.
const NAMES: u64 = 9;
/// How many names have a group.
pub(super) const GROUPS_MAX: usize = 5;

/// What processes write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Processes {
    /// Counters that fall, but none that is beyond all measure.
    Faulty,
    /// Anything.
    Hostile,
}

/// A book and what it must say, told the same.
pub(super) struct Play {
    pub(super) random: Random,
    pub(super) book: Book,
    pub(super) naive: Naive,
    pub(super) runs: Vec<RunNumber>,
    pub(super) changes: Changes,
    now_ns: u64,
    processes: Processes,
}

impl Play {
    pub(super) fn new(seed: u64, processes: Processes) -> Play {
        let mut random = Random::new(seed);
        Play {
            book: Book::new(Keeper(random.draw()), GROUPS_MAX),
            random,
            naive: Naive::new(GROUPS_MAX),
            runs: Vec::new(),
            changes: Changes::default(),
            now_ns: 0,
            processes,
        }
    }

    /// A number below this one.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.random.draw() % end
    }

    /// Now, or now and then a moment that has been.
    pub(super) fn moment(&mut self) -> Time {
        self.now_ns += self.below(1000);
        let back = match self.below(10) {
            0 => self.below(5000),
            _ => 0,
        };
        Time(Duration::from_nanos(self.now_ns.saturating_sub(back)))
    }

    pub(super) fn publish(&mut self) -> Arc<Snapshot> {
        let at = self.moment();
        self.naive.moment(nanoseconds(at));
        self.book.publish(at)
    }

    /// Some node, which may not be there.
    pub(super) fn node(&mut self) -> Option<NodeKey> {
        let run = self.run()?;
        let node = u32::try_from(self.below(NODES)).expect("few");
        // Numbers need not be without gaps.
        let node = NodeIndex(if node == 5 { u32::MAX } else { node * 13 });
        Some(NodeKey { run, node })
    }

    fn run(&mut self) -> Option<RunNumber> {
        let place = self.below(RUNS as u64);
        self.runs.get(usize::try_from(place).expect("few")).copied()
    }

    fn edge(&mut self) -> Option<EdgeKey> {
        let run = self.run()?;
        let edge = EdgeId(u32::try_from(self.below(EDGES)).expect("few") * 7);
        Some(EdgeKey { run, edge })
    }

    fn number(&mut self) -> u64 {
        match (self.processes, self.below(40)) {
            (Processes::Hostile, 0) => self.random.draw(),
            (Processes::Hostile, 1) => u64::MAX,
            (_, 2) => 0,
            _ => self.below(1 << 20),
        }
    }

    /// One thing happens.
    pub(super) fn step(&mut self) {
        match self.below(1000) {
            0..2 => self.run_comes_or_goes(),
            2..30 => self.node_comes(),
            30..36 => self.node_goes(),
            36..60 => self.edge_comes(),
            60..70 => self.edge_goes(),
            70..200 => self.edge_is_read(),
            200..240 => self.process_is_read(),
            240..270 => self.told_again(),
            270..300 => self.catches_up(),
            _ => self.changes_state(),
        }
    }

    fn run_comes_or_goes(&mut self) {
        let at = self.moment();
        if self.runs.len() < RUNS {
            let peer = "here".parse().expect("a name");
            let name = "vision".parse().expect("a name");
            let run = self.book.add_dataflow(at, peer, "a run".to_owned(), name);
            self.naive.moment(nanoseconds(at));
            self.runs.push(run);
        } else {
            let run = self.runs.remove(0);
            let nothing_before = self.book.remove_dataflow(at, run);
            assert_eq!(nothing_before, Ok(()));
            self.naive.remove_run(nanoseconds(at), run);
            self.changes.run_goes(run);
        }
    }

    fn node_comes(&mut self) {
        let (at, name) = (self.moment(), self.below(NAMES));
        let name: NodeId = format!("name-{name}").parse().expect("a name");
        if let Some(key) = self.node() {
            self.book
                .add_node(at, key, &name)
                .expect("its run is there");
            self.naive.add_node(nanoseconds(at), key, &name);
            self.changes.node_comes(key);
        }
    }

    fn node_goes(&mut self) {
        let at = self.moment();
        if let Some(key) = self.node() {
            self.ends(at, key);
        }
    }

    pub(super) fn ends(&mut self, at: Time, key: NodeKey) {
        let _ = self.book.remove_node(at, key);
        self.naive.remove_node(nanoseconds(at), key);
        self.changes.node_goes(key);
    }

    fn edge_comes(&mut self) {
        let (Some(key), Some(source), Some(target)) = (self.edge(), self.node(), self.node())
        else {
            return;
        };
        let spec = EdgeSpec {
            key,
            source: source.node,
            output: "out".parse().expect("a name"),
            target: target.node,
            input: "in".parse().expect("a name"),
            policy: QueuePolicy::DropOldest,
            queue_size: 10,
        };
        self.naive.add_edge(&spec);
        let _ = self.book.add_edge(spec);
    }

    fn edge_goes(&mut self) {
        if let Some(key) = self.edge() {
            let _ = self.book.remove_edge(key);
            self.naive.remove_edge(key);
        }
    }

    fn edge_is_read(&mut self) {
        let Some(key) = self.edge() else {
            return;
        };
        let mut facts = EdgeFacts::default();
        let (counters, gauges) = (&mut facts.counters, &mut facts.gauges);
        for counter in [
            &mut counters.sent,
            &mut counters.delivered,
            &mut counters.released,
            &mut counters.lost,
            &mut counters.dropped_full,
            &mut counters.dropped_receiver_closed,
            &mut counters.dropped_memory,
            &mut counters.bytes,
            &mut counters.blocked_ns,
        ] {
            *counter = Counter::new(self.number());
        }
        for gauge in [&mut gauges.queued, &mut gauges.held, &mut gauges.blocked] {
            *gauge = Gauge::new(self.number());
        }
        for _ in 0..self.below(4) {
            let bucket = usize::try_from(self.below(48)).expect("few");
            let number = self.number();
            facts.histograms.latency.buckets[bucket] = number;
            facts.histograms.handling.buckets[47 - bucket] = number / 2;
            facts.histograms.queue_wait.sum_ns = number;
        }
        facts.is_closed = self.below(9) == 0;
        let oldest = Time(Duration::from_nanos(self.below(self.now_ns + 1)));
        facts.oldest = (self.below(2) == 0).then_some(oldest);
        let is_there = self.book.edge_read(key, &facts).is_ok();
        self.naive.edge_read(key, &facts);
        let revision = self.book.revision();
        assert_eq!(self.book.edge_read(key, &facts).is_ok(), is_there);
        assert_eq!(
            self.book.revision(),
            revision,
            "read twice, it says nothing new"
        );
    }

    fn process_is_read(&mut self) {
        let Some(key) = self.node() else {
            return;
        };
        let facts = ProcessFacts {
            epoch: Epoch(u32::try_from(self.below(4)).expect("few")),
            pid: (self.below(4) > 0).then_some(7),
            cpu_ns: self.number(),
            memory_bytes: self.number(),
            read_at: Some(Time(Duration::from_nanos(self.now_ns))),
        };
        let _ = self.book.process_read(key, &facts);
        self.naive.process_read(key, &facts);
    }
}

pub(super) fn nanoseconds(at: Time) -> u64 {
    u64::try_from(at.0.as_nanos()).expect("soon")
}
