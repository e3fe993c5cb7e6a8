//! A snapshot of statistics and the deltas after it, as they come over the wire, make the later snapshot, byte for byte.

use std::sync::Arc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::random::Random;
use dataflow_core::stats::{Book, EdgeFacts, EdgeSpec, ProcessFacts, Snapshot, Transition, apply};
use dataflow_ids::stats::{
    ActorRow, Counter, Delta, DownloadRow, Downloads, EdgeKey, Gauge, Keeper, NodeKey, PeerRow,
    PoolRow, RunNumber, Statistics,
};
use dataflow_ids::{EdgeId, Epoch, Lacks, LifeCycle, NodeIndex, PeerState, QueuePolicy};
use dataflow_wire::frame::{decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What happens.
const STEPS: u64 = 20_000;

/// What comes at the other end of a socket.
fn over_the_wire<T: Serialize + DeserializeOwned>(message: &T) -> T {
    decode(&encode(message).expect("it is short")).expect("it was encoded a moment ago")
}

struct History {
    random: Random,
    book: Book,
    runs: Vec<RunNumber>,
    moment: u64,
}

impl History {
    fn new() -> History {
        History {
            random: Random::new(0x0062_7974),
            book: Book::new(Keeper(1), 3),
            runs: Vec::new(),
            moment: 0,
        }
    }

    fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.random.draw() % u64::from(end)).expect("it is below one that fits")
    }

    fn now(&mut self) -> Time {
        self.moment += u64::from(self.below(1000));
        Time(Duration::from_nanos(self.moment))
    }

    fn publish(&mut self) -> Arc<Snapshot> {
        let now = self.now();
        self.book.publish(now)
    }

    fn node(&mut self) -> Option<NodeKey> {
        let place = self.below(3) as usize;
        let node = NodeIndex(self.below(6) * 11);
        let run = *self.runs.get(place)?;
        Some(NodeKey { run, node })
    }

    fn edge(&mut self) -> Option<EdgeKey> {
        let run = self.node()?.run;
        let edge = EdgeId(self.below(8) * 7);
        Some(EdgeKey { run, edge })
    }

    fn counter(&mut self) -> Counter {
        Counter::new(self.below(1 << 20).into())
    }

    fn gauge(&mut self) -> Gauge {
        Gauge::new(self.below(1 << 10).into())
    }

    /// One thing happens, to a member that may not be there.
    fn step(&mut self) {
        match self.below(100) {
            0 => self.run_comes_or_goes(),
            1..10 => self.node_comes_or_goes(),
            10..20 => self.edge_comes_or_goes(),
            20..45 => self.edge_is_read(),
            45..55 => self.process_is_read(),
            55..60 => self.services_change(),
            _ => self.state_changes(),
        }
    }

    fn run_comes_or_goes(&mut self) {
        let now = self.now();
        if self.runs.len() < 3 {
            let (peer, name) = ("here".parse(), "vision".parse());
            let run = self.book.add_dataflow(
                now,
                peer.expect("a name"),
                "a run".to_owned(),
                name.expect("a name"),
            );
            self.runs.push(run);
        } else {
            let run = self.runs.remove(0);
            self.book
                .remove_dataflow(now, run)
                .expect("it was added and not removed");
        }
    }

    fn node_comes_or_goes(&mut self) {
        let (now, name) = (self.now(), self.below(5));
        let name = format!("name-{name}").parse().expect("a name");
        let Some(key) = self.node() else {
            return;
        };
        if self.below(5) == 0 {
            let _ = self.book.remove_node(now, key);
        } else {
            self.book
                .add_node(now, key, &name)
                .expect("its run is there");
        }
    }

    fn edge_comes_or_goes(&mut self) {
        let (source, target) = (self.below(6) * 11, self.below(6) * 11);
        let Some(key) = self.edge() else {
            return;
        };
        if self.below(5) == 0 {
            let _ = self.book.remove_edge(key);
            return;
        }
        let _ = self.book.add_edge(EdgeSpec {
            key,
            source: NodeIndex(source),
            output: "out".parse().expect("a name"),
            target: NodeIndex(target),
            input: "in".parse().expect("a name"),
            policy: QueuePolicy::DropOldest,
            queue_size: 10,
        });
    }

    fn edge_is_read(&mut self) {
        let mut facts = EdgeFacts::default();
        facts.counters.sent = self.counter();
        facts.counters.bytes = self.counter();
        facts.counters.dropped_full = self.counter();
        facts.gauges.queued = self.gauge();
        let bucket = self.below(48) as usize;
        facts.histograms.latency.buckets[bucket] = self.counter().get();
        facts.oldest = (self.below(3) == 0).then(|| self.now());
        facts.lacks = Lacks::ALL.get(self.below(9) as usize).copied();
        facts.is_closed = self.below(9) == 0;
        if let Some(key) = self.edge() {
            let _ = self.book.edge_read(key, &facts);
        }
    }

    fn process_is_read(&mut self) {
        let facts = ProcessFacts {
            epoch: Epoch(self.below(4)),
            pid: (self.below(3) > 0).then(|| 1 + self.below(9)),
            cpu_ns: self.counter().get(),
            memory_bytes: self.gauge().get(),
            read_at: None,
        };
        if let Some(key) = self.node() {
            let _ = self.book.process_read(key, &facts);
        }
    }

    fn services_change(&mut self) {
        let actors = ["node", "dataflow", "stats"].map(|actor| ActorRow {
            actor: actor.to_owned(),
            actors: self.gauge(),
            sent: self.counter(),
            handled: self.counter(),
            returned: Counter::default(),
            dead_lettered: Counter::default(),
            waiting: self.gauge(),
            rebuilt: Counter::default(),
        });
        self.book.actors(actors.to_vec());
        let peer = PeerRow {
            peer: "there".parse().expect("a name"),
            state: PeerState::Healthy,
            since_ns: self.moment,
            because: "it answers".to_owned(),
            transitions: self.counter(),
            round_trip_ns: (self.below(2) == 0).then_some(7),
        };
        let shown = self.below(2) as usize;
        self.book.peers(vec![peer; shown]);
        let download = DownloadRow {
            model: "acme/tiny@main".to_owned(),
            state: "43 %".to_owned(),
            bytes_done: self.counter().get(),
            bytes_total: 0,
            bytes_per_second: None,
        };
        let downloads = Downloads {
            rows: vec![download; shown],
            active: self.gauge(),
            ready: self.counter(),
            ..Downloads::default()
        };
        self.book.downloads(downloads);
        let pool = PoolRow {
            running: self.gauge(),
            completed: self.counter(),
            ..PoolRow::default()
        };
        self.book.pool(pool);
        let recounted = self.below(3).into();
        self.book.audited(recounted, 0);
    }

    fn state_changes(&mut self) {
        let at = self.now();
        let Some(key) = self.node() else {
            return;
        };
        let to = LifeCycle::ALL[self.below(13) as usize % LifeCycle::ALL.len()];
        let known = self.book.node(key);
        let epoch = known.map_or(Epoch::NONE, |node| node.epoch);
        let changes = known.map_or(0, |node| node.transitions.get());
        let epoch = match to {
            LifeCycle::Starting => epoch.next(),
            _ => epoch,
        };
        // Most of them the life cycle does not allow; that is counted too.
        let _ = self.book.transition(
            key.run,
            Transition {
                node: key.node,
                to,
                epoch,
                sequence: changes + 1,
                at,
            },
        );
    }
}

#[test]
fn a_snapshot_and_the_deltas_after_it_are_the_later_snapshot_byte_for_byte() {
    let mut history = History::new();
    let mut told = history.publish();
    let mut known: Statistics = over_the_wire(&told.statistics());
    let (mut looks, mut nodes_seen, mut edges_seen) = (0, 0, 0);
    for step in 0..STEPS {
        history.step();
        if history.below(20) > 0 {
            continue;
        }
        let now = history.publish();
        let delta: Delta = over_the_wire(&now.since(&told));
        apply(&mut known, &delta).expect("it follows on what is known");
        let is = encode(&known).expect("it is short");
        let must = encode(&now.statistics()).expect("it is short");
        assert!(is == must, "after step {step}");
        looks += 1;
        nodes_seen += known.nodes.len();
        edges_seen += known.edges.len();
        told = now;
    }
    assert!(looks > 500, "{looks} looks");
    assert!(nodes_seen > looks && edges_seen > looks);
}
