//! Pages of small books.

mod documented;
mod edges;
mod format;

use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::stats::{Book, EdgeFacts, EdgeSpec, GROUPS_MAX, Transition};
use dataflow_ids::stats::{
    ActorRow, Counter, Downloads, EdgeKey, Gauge, Keeper, NodeKey, PeerRow, PoolRow, RunNumber,
};
use dataflow_ids::{
    DataflowName, EdgeId, Epoch, InputId, LifeCycle, NodeId, NodeIndex, OutputId, PeerId,
    PeerState, QueuePolicy,
};

use super::Format;
use super::page::Exporter;
use super::rows::Facts;

pub(in crate::statistics) fn at(seconds: f64) -> Time {
    Time(Duration::from_secs_f64(seconds))
}

/// What an edge says on which `sent` messages of 100 bytes were sent and delivered, each in about a millisecond.
fn counted(sent: u64) -> EdgeFacts {
    let mut facts = EdgeFacts::default();
    facts.counters.sent = Counter::new(sent);
    facts.counters.delivered = Counter::new(sent);
    facts.counters.released = Counter::new(sent);
    facts.counters.bytes = Counter::new(100 * sent);
    facts.histograms.latency.buckets[20] = sent;
    facts.histograms.latency.sum_ns = sent * 1_000_000;
    facts
}

pub(in crate::statistics) fn add_node(book: &mut Book, run: RunNumber, node: u32, name: &str) {
    let key = NodeKey {
        run,
        node: NodeIndex(node),
    };
    let name = NodeId::new(name).unwrap();
    book.add_node(Time::START, key, &name).unwrap();
}

/// An edge from the node 0 to the node 1, to an input of its own.
fn add_edge(book: &mut Book, run: RunNumber, edge: u32) -> EdgeKey {
    let key = EdgeKey {
        run,
        edge: EdgeId(edge),
    };
    let spec = EdgeSpec {
        key,
        source: NodeIndex(0),
        output: OutputId::new("image").unwrap(),
        target: NodeIndex(1),
        input: InputId::new(format!("in{edge}")).unwrap(),
        policy: QueuePolicy::DropOldest,
        queue_size: 10,
    };
    book.add_edge(spec).unwrap();
    key
}

/// A run named after its number, with the nodes `camera` and `detector`.
fn add_run(book: &mut Book, number: u64) -> RunNumber {
    let run = book.add_dataflow(
        Time::START,
        PeerId::new("gpu-a").unwrap(),
        format!("20261122-{number}"),
        DataflowName::new("vision").unwrap(),
    );
    add_node(book, run, 0, "camera");
    add_node(book, run, 1, "detector");
    run
}

/// A book that has seen nothing.
fn empty() -> Book {
    Book::new(Keeper(1), GROUPS_MAX)
}

/// Everything that there can be, with an edge for each number of messages sent.
pub(in crate::statistics) fn book(sent: &[u64]) -> Book {
    let mut book = empty();
    let run = add_run(&mut book, 1);
    for (edge, sent) in (0..).zip(sent) {
        let key = add_edge(&mut book, run, edge);
        book.edge_read(key, &counted(*sent)).unwrap();
    }
    let life = [(LifeCycle::Placed, 0.5), (LifeCycle::Starting, 1.0)];
    for (sequence, (to, seconds)) in (1..).zip(life) {
        for node in [NodeIndex(0), NodeIndex(1)] {
            let transition = Transition {
                node,
                to,
                epoch: Epoch(1),
                sequence,
                at: at(seconds),
            };
            book.transition(run, transition).unwrap();
        }
    }
    book.actors(vec![ActorRow {
        actor: "node".to_owned(),
        actors: Gauge::new(2),
        sent: Counter::new(10),
        handled: Counter::new(9),
        returned: Counter::new(0),
        dead_lettered: Counter::new(0),
        waiting: Gauge::new(1),
        rebuilt: Counter::new(0),
    }]);
    book.peers(vec![PeerRow {
        peer: PeerId::new("gpu-b").unwrap(),
        state: PeerState::Degraded,
        since_ns: 3_000_000_000,
        because: "slow".to_owned(),
        transitions: Counter::new(3),
        round_trip_ns: Some(1_500_000),
    }]);
    book.downloads(Downloads::default());
    book.pool(PoolRow::default());
    book
}

/// What there is to say after 3.5 s.
pub(in crate::statistics) fn facts(book: &mut Book) -> Facts {
    Facts {
        snapshot: book.publish(at(3.5)),
        uptime: Duration::from_millis(3500),
        beat_age: Duration::from_millis(250),
        snapshot_age: Duration::from_millis(750),
    }
}

fn page(book: &mut Book) -> String {
    let page = Exporter::default().page(facts(book), Format::OpenMetrics);
    page.expect("a page")
}

/// What a page says of one metric, given with its labels.
fn value(page: &str, metric: &str) -> f64 {
    let mut found = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(metric)?.strip_prefix(' ')?;
        Some(rest.parse::<f64>().unwrap())
    });
    let value = found.next();
    assert!(found.next().is_none(), "{metric} is there twice");
    value.unwrap_or_else(|| panic!("no {metric} in\n{page}"))
}
