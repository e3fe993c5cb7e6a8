//! A runtime that a test plays: a camera, a detector and a planner that is too slow, on a clock that the test puts.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use dataflow_ids::stats::{
    ActorRow, AuditRow, Counter, DataflowRow, DownloadRow, Downloads, EdgeCounters, EdgeKey,
    EdgeRow, Gauge, GroupRow, Keeper, Level, NodeKey, NodeNumbers, NodeRow, PeerRow, PoolRow,
    ProcessNumbers, RunNumber, StatesNs, Statistics,
};
use dataflow_ids::{
    DataflowName, EdgeId, Epoch, InputId, Lacks, LifeCycle, NodeId, NodeIndex, OutputId, PeerId,
    PeerState, QueuePolicy,
};
use dataflow_wire::client::{CLIENT_PROTOCOL, ClientReply, ClientRequest};
use dataflow_wire::frame::{FrameReader, Received, send};

use crate::ground::{Ground, PlayedRun, Running};

pub(super) const NAMES: [&str; 3] = ["camera", "detector", "planner"];
/// How long anything is waited for before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);
const RUN: RunNumber = RunNumber(1);
const SECOND_NS: u64 = 1_000_000_000;

fn node(number: u32, second: u64) -> NodeRow {
    let sent = if number < 2 { 30 * second } else { 0 };
    let delivered = if number > 0 { 30 * second } else { 0 };
    let counted = |sent, delivered| EdgeCounters {
        sent: Counter::new(sent),
        delivered: Counter::new(delivered),
        ..EdgeCounters::default()
    };
    NodeRow {
        key: NodeKey {
            run: RUN,
            node: NodeIndex(number),
        },
        name: NodeId::new(NAMES[number as usize]).unwrap(),
        pid: Some(4711 + number),
        numbers: NodeNumbers {
            sequence: second,
            added_revision: 0,
            epoch: Epoch(1),
            state: LifeCycle::Running,
            added_ns: 0,
            since_ns: 0,
            time_in_state_ns: StatesNs::default(),
            transitions: Counter::new(2),
            restarts: Counter::new(u64::from(number)),
            out: counted(sent, 0),
            into: counted(0, delivered),
            process: ProcessNumbers {
                cpu_ns: Counter::new(second * SECOND_NS / 10 * u64::from(number + 1)),
                memory_bytes: Gauge::new(12_000_000 * u64::from(number + 1)),
                read_at_ns: Some(second * SECOND_NS),
            },
        },
    }
}

fn edge(number: u32, second: u64) -> EdgeRow {
    let mut row = EdgeRow {
        key: EdgeKey {
            run: RUN,
            edge: EdgeId(number),
        },
        sequence: second,
        added_revision: 0,
        source: NodeIndex(number),
        output: OutputId::new("out").unwrap(),
        target: NodeIndex(number + 1),
        input: InputId::new("in").unwrap(),
        policy: QueuePolicy::Block,
        queue_size: 10,
        counters: EdgeCounters {
            sent: Counter::new(30 * second),
            delivered: Counter::new(30 * second),
            ..EdgeCounters::default()
        },
        gauges: Default::default(),
        oldest_ns: None,
        lacks: None,
        is_closed: false,
        histograms: Default::default(),
    };
    row.histograms.latency.buckets[20] = 30 * second;
    if number == 0 {
        row.policy = QueuePolicy::DropOldest;
        row.counters.dropped_full = Counter::new(33);
        row.counters.dropped_receiver_closed = Counter::new(2);
    } else {
        row.counters.dropped_memory = Counter::new(1);
        row.gauges.queued = Gauge::new(10);
        row.gauges.blocked = Gauge::new(1);
        row.lacks = Some(Lacks::Queue);
        row.oldest_ns = Some(second.saturating_sub(3) * SECOND_NS);
    }
    row
}

/// A peer that answers at once, and one whose reason is in characters that are two columns wide.
fn peers() -> Vec<PeerRow> {
    let peer = |name: &str, state, because: &str, round_trip_ns| PeerRow {
        peer: PeerId::new(name).unwrap(),
        state,
        since_ns: SECOND_NS,
        because: because.to_owned(),
        transitions: Counter::new(3),
        round_trip_ns,
    };
    // Longer than what is left of a line.
    let long = "応答なし".repeat(12);
    vec![
        peer("gpu-a", PeerState::Healthy, "", Some(420_000)),
        peer("gpu-b", PeerState::Unreachable, &long, None),
        peer("robot", PeerState::Degraded, "no answer for 2 s", None),
    ]
}

/// Two models, one of a name whose characters are two columns wide.
fn downloads() -> Downloads {
    let row = |model: &str, bytes_done| DownloadRow {
        model: model.to_owned(),
        state: "fetching".to_owned(),
        bytes_done,
        bytes_total: 1_000_000_000,
        bytes_per_second: Some(12_000_000),
    };
    Downloads {
        rows: vec![
            row("acme/検出モデル@main", 7_000_000),
            row("acme/tiny-detector@main", 430_000_000),
        ],
        active: Gauge::new(2),
        ..Downloads::default()
    }
}

fn actors(second: u64) -> Vec<ActorRow> {
    let actor = |name: &str, actors, handled, waiting| ActorRow {
        actor: name.to_owned(),
        actors: Gauge::new(actors),
        sent: Counter::new(handled + waiting),
        handled: Counter::new(handled),
        returned: Counter::new(0),
        dead_lettered: Counter::new(0),
        waiting: Gauge::new(waiting),
        rebuilt: Counter::new(u64::from(name == "source")),
    };
    vec![
        actor("node", 3, 4 * second, 2),
        actor("source", 1, second, 0),
    ]
}

/// What a camera, a detector and a planner that is too slow have counted in so many seconds.
fn statistics(second: u64) -> Statistics {
    let mut level = Level {
        nodes: Gauge::new(3),
        edges: Gauge::new(2),
        memory_bytes: Gauge::new(72_000_000),
        cpu_ns: Counter::new(second * SECOND_NS * 6 / 10),
        ..Level::default()
    };
    level.states[LifeCycle::Running] = Gauge::new(3);
    level.out.sent = Counter::new(60 * second);
    level.gauges.blocked = Gauge::new(1);
    Statistics {
        keeper: Keeper(1),
        revision: second,
        at_ns: second * SECOND_NS,
        total: level,
        dataflows: vec![DataflowRow {
            number: RUN,
            peer: PeerId::new("here").unwrap(),
            run: "vision-1".to_owned(),
            name: DataflowName::new("vision").unwrap(),
            added_ns: 0,
            level,
        }],
        groups: vec![GroupRow {
            name: Some(NodeId::new("camera").unwrap()),
            level,
        }],
        nodes: (0..3).map(|number| node(number, second)).collect(),
        edges: (0..2).map(|number| edge(number, second)).collect(),
        actors: actors(second),
        peers: peers(),
        downloads: downloads(),
        pool: Some(PoolRow {
            idle: Gauge::new(2),
            completed: Counter::new(4 * second),
            threads_started: Counter::new(2),
            ..PoolRow::default()
        }),
        audit: AuditRow::default(),
    }
}

/// A runtime whose clock stands, for each listener, at 10 s first and then where the test has put it.
pub(super) struct Played {
    seconds: Arc<AtomicU64>,
    refuses: Arc<Mutex<Option<String>>>,
    ends: Option<mpsc::Sender<()>>,
    told: mpsc::Receiver<()>,
    runtime: Option<std::thread::JoinHandle<()>>,
    process: Running,
}

impl Played {
    /// A run of the name `vision`. Its clock is put to 11 s.
    pub(super) fn begin(ground: &Ground) -> Played {
        let process = Running::start(Command::new("sleep").arg("1000").stdout(Stdio::null()));
        let pid = u32::try_from(process.pid().as_raw_nonzero().get()).unwrap();
        let run = PlayedRun::begin(ground, "vision", pid);
        run.listener.set_nonblocking(true).unwrap();
        let seconds = Arc::new(AtomicU64::new(11));
        let (ends, ended) = mpsc::channel::<()>();
        let (tells, told) = mpsc::channel();
        let until = Arc::clone(&seconds);
        let refuses = Arc::new(Mutex::new(None));
        let refusal = Arc::clone(&refuses);
        let runtime = std::thread::spawn(move || {
            // With its entry, not the listener alone.
            let run = run;
            let mut listeners = Vec::new();
            while ended.recv_timeout(Duration::from_millis(20))
                == Err(mpsc::RecvTimeoutError::Timeout)
            {
                if let Ok((socket, _)) = run.listener.accept() {
                    socket.set_nonblocking(false).unwrap();
                    hear(&socket);
                    listeners.push((socket, 10));
                }
                if let Some(reason) = refusal.lock().unwrap().clone() {
                    let refused = ClientReply::Refused { reason };
                    for (socket, _) in listeners.drain(..) {
                        let _ = send(&socket, &refused, &[]);
                    }
                }
                for (socket, next) in &mut listeners {
                    // Also what has not changed is said: who says nothing does not answer.
                    let now = until.load(Ordering::SeqCst).min(*next);
                    let whole = ClientReply::Statistics(Box::new(statistics(now)));
                    // A listener that has gone is told no more.
                    let _ = send(&*socket, &whole, &[]);
                    let _ = tells.send(());
                    *next = now + 1;
                }
            }
        });
        Played {
            seconds,
            refuses,
            ends: Some(ends),
            told,
            runtime: Some(runtime),
            process,
        }
    }

    /// Its clock stands there now.
    pub(super) fn go_to(&self, second: u64) {
        self.seconds.store(second, Ordering::SeqCst);
    }

    /// Tells nobody anything any more, for this reason; with `None` it does again.
    pub(super) fn refuse(&self, reason: Option<&str>) {
        *self.refuses.lock().unwrap() = reason.map(str::to_owned);
    }

    /// The number of its process.
    pub(super) fn pid(&self) -> i32 {
        self.process.pid().as_raw_nonzero().get()
    }

    /// Waits until it has told somebody something.
    pub(super) fn wait_until_heard(&self) {
        self.told.recv_timeout(PATIENCE).unwrap();
    }

    /// It ends: its sockets and its entry in the registry go.
    pub(super) fn end(&mut self) {
        self.ends = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.join().unwrap();
        }
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.ends = None;
    }
}

/// Welcomes whoever has connected, and hears that they want to watch.
fn hear(socket: &std::os::unix::net::UnixStream) {
    let mut reader = FrameReader::new();
    loop {
        while let Some((request, _)) = reader.next::<ClientRequest>().unwrap() {
            match request {
                ClientRequest::Hello { .. } => {
                    let protocol = CLIENT_PROTOCOL;
                    let welcome = ClientReply::Welcome {
                        protocol,
                        pid: std::process::id(),
                        is_agent: false,
                    };
                    send(socket, &welcome, &[]).unwrap();
                }
                ClientRequest::Watch { .. } => return,
                other => panic!("{other:?} is not asked by `top`"),
            }
        }
        assert!(reader.receive(socket).unwrap() != Received::End);
    }
}
