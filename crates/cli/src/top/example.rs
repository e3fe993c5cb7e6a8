//! Statistics for the tests of these rooms: a camera, a detector, and a planner that is too slow.

use std::time::Duration;

use dataflow_ids::stats::{
    ActorRow, AuditRow, Counter, DataflowRow, DownloadRow, Downloads, EdgeCounters, EdgeKey,
    EdgeRow, Gauge, GroupRow, Histogram, Keeper, Level, NodeKey, NodeNumbers, NodeRow, PeerRow,
    PoolRow, ProcessNumbers, RunNumber, StatesNs, Statistics,
};
use dataflow_ids::{
    DataflowName, EdgeId, Epoch, InputId, Lacks, LifeCycle, NodeId, NodeIndex, OutputId, PeerId,
    PeerState, QueuePolicy,
};

use super::board::{Board, Said};
use super::figures::{About, Picture, RuntimeKind};

const RUN: RunNumber = RunNumber(1);
/// Messages that the camera sends in a second.
const RATE: u64 = 30;
const NAMES: [&str; 3] = ["camera", "detector", "planner"];

fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}

/// So many spans below 2²⁰ ns, of which one in fifty is below 2³⁰ ns.
fn spans(count: u64) -> Histogram {
    let mut spans = Histogram::default();
    spans.buckets[20] = count - count / 50;
    spans.buckets[30] = count / 50;
    spans.sum_ns = count * 1_000_000;
    spans
}

/// An edge without messages.
pub(super) fn edge(number: u32, source: u32, target: u32) -> EdgeRow {
    EdgeRow {
        key: EdgeKey {
            run: RUN,
            edge: EdgeId(number),
        },
        sequence: 1,
        added_revision: 0,
        source: NodeIndex(source),
        output: OutputId::new("out").unwrap(),
        target: NodeIndex(target),
        input: InputId::new("in").unwrap(),
        policy: QueuePolicy::DropOldest,
        queue_size: 10,
        counters: EdgeCounters::default(),
        gauges: Default::default(),
        oldest_ns: None,
        lacks: None,
        is_closed: false,
        histograms: Default::default(),
    }
}

fn node(number: u32, at: Duration) -> NodeRow {
    let at_s = at.as_secs();
    let sent = Counter::new(if number < 2 { at_s * RATE } else { 0 });
    let delivered = Counter::new(if number > 0 { at_s * RATE } else { 0 });
    NodeRow {
        key: NodeKey {
            run: RUN,
            node: NodeIndex(number),
        },
        name: NodeId::new(NAMES[number as usize]).unwrap(),
        pid: Some(4711 + number),
        numbers: NodeNumbers {
            sequence: at_s,
            added_revision: 0,
            epoch: Epoch(1),
            state: LifeCycle::Running,
            added_ns: 0,
            since_ns: 0,
            time_in_state_ns: StatesNs::default(),
            transitions: Counter::new(2),
            restarts: Counter::new(u64::from(number == 1)),
            out: EdgeCounters {
                sent,
                ..EdgeCounters::default()
            },
            into: EdgeCounters {
                delivered,
                ..EdgeCounters::default()
            },
            process: ProcessNumbers {
                cpu_ns: Counter::new(ns(at) * u64::from(number + 1) / 10),
                memory_bytes: Gauge::new(12_000_000 * u64::from(number + 1)),
                read_at_ns: Some(ns(at)),
            },
        },
    }
}

fn level(at: Duration) -> Level {
    let mut level = Level {
        nodes: Gauge::new(3),
        edges: Gauge::new(2),
        ..Level::default()
    };
    level.states[LifeCycle::Running] = Gauge::new(3);
    let messages = at.as_secs() * RATE;
    level.out.sent = Counter::new(2 * messages);
    level.out.bytes = Counter::new(2 * messages * 1_000);
    level.into.delivered = Counter::new(2 * messages);
    level.cpu_ns = Counter::new(ns(at) * 6 / 10);
    level.memory_bytes = Gauge::new(72_000_000);
    level.gauges.queued = Gauge::new(10);
    level.gauges.blocked = Gauge::new(1);
    level.histograms.latency = spans(2 * messages);
    level
}

/// What a runtime says so long after it has begun.
pub(super) fn statistics_at(at: Duration) -> Statistics {
    let messages = at.as_secs() * RATE;
    let mut edges = vec![edge(0, 0, 1), edge(1, 1, 2)];
    for edge in &mut edges {
        edge.counters.sent = Counter::new(messages);
        edge.counters.delivered = Counter::new(messages);
        edge.counters.bytes = Counter::new(messages * 1_000);
        edge.histograms.latency = spans(messages);
        edge.histograms.handling = spans(messages);
    }
    edges[0].counters.dropped_full = Counter::new(messages / 10);
    edges[0].counters.dropped_receiver_closed = Counter::new(2);
    edges[1].counters.dropped_memory = Counter::new(1);
    edges[1].policy = QueuePolicy::Block;
    edges[1].gauges.queued = Gauge::new(10);
    edges[1].gauges.blocked = Gauge::new(1);
    edges[1].lacks = Some(Lacks::Queue);
    edges[1].oldest_ns = Some(ns(at.saturating_sub(Duration::from_millis(3_200))));
    let name = DataflowName::new("vision").unwrap();
    Statistics {
        keeper: Keeper(7),
        revision: ns(at),
        at_ns: ns(at),
        total: level(at),
        dataflows: vec![DataflowRow {
            number: RUN,
            peer: PeerId::new("here").unwrap(),
            run: "vision-1".to_owned(),
            name,
            added_ns: 0,
            level: level(at),
        }],
        groups: vec![GroupRow {
            name: Some(NodeId::new("camera").unwrap()),
            level: level(at),
        }],
        nodes: (0..3).map(|number| node(number, at)).collect(),
        edges,
        actors: vec![ActorRow {
            actor: "node".to_owned(),
            actors: Gauge::new(3),
            sent: Counter::new(120),
            handled: Counter::new(at.as_secs()),
            returned: Counter::new(0),
            dead_lettered: Counter::new(0),
            waiting: Gauge::new(0),
            rebuilt: Counter::new(0),
        }],
        peers: vec![PeerRow {
            peer: PeerId::new("gpu-a").unwrap(),
            state: PeerState::Degraded,
            since_ns: 0,
            because: "no answer for 2 s".to_owned(),
            transitions: Counter::new(3),
            round_trip_ns: Some(420_000),
        }],
        downloads: Downloads {
            rows: vec![DownloadRow {
                model: "acme/tiny-detector@main".to_owned(),
                state: "fetching".to_owned(),
                bytes_done: 430_000_000,
                bytes_total: 1_000_000_000,
                bytes_per_second: Some(12_000_000),
            }],
            ..Downloads::default()
        },
        pool: Some(PoolRow {
            idle: Gauge::new(2),
            threads_started: Counter::new(2),
            completed: Counter::new(40),
            ..PoolRow::default()
        }),
        audit: AuditRow::default(),
    }
}

/// The runtime that says it.
pub(super) fn about() -> About {
    About {
        kind: RuntimeKind::Dataflow,
        name: "vision".to_owned(),
        run: Some("vision-1".to_owned()),
        file: "/project/vision.yml".to_owned(),
        pid: 4700,
    }
}

/// What is known after it has said something at each of these seconds.
pub(super) fn picture(seconds: &[u64]) -> Picture {
    let mut board = Board::new(Duration::from_secs(1));
    let number = board.came(Duration::ZERO, about());
    for second in seconds {
        let at = Duration::from_secs(*second);
        let said = Said::Statistics(Box::new(statistics_at(at)));
        board.said(at, number, said);
    }
    board.picture(Duration::from_secs(seconds.last().copied().unwrap_or(0)))
}

/// A runtime of so many nodes, each of its own name.
#[cfg(feature = "top")]
pub(super) fn many(nodes: u32) -> Picture {
    let at = Duration::from_secs(1);
    let mut statistics = statistics_at(at);
    statistics.nodes = (0..nodes)
        .map(|number| {
            let mut row = node(0, at);
            row.key.node = NodeIndex(number);
            row.name = NodeId::new(format!("node-{number:03}")).unwrap();
            row
        })
        .collect();
    let mut board = Board::new(Duration::from_secs(1));
    let number = board.came(Duration::ZERO, about());
    board.said(at, number, Said::Statistics(Box::new(statistics)));
    board.picture(at)
}
