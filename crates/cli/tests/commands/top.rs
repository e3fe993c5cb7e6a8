//! `dataflow top` at a real terminal and without one, of runtimes that these tests play.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use dataflow_ids::stats::{
    AuditRow, Counter, DataflowRow, EdgeCounters, EdgeKey, EdgeRow, Gauge, GroupRow, Keeper, Level,
    NodeKey, NodeNumbers, NodeRow, PoolRow, ProcessNumbers, RunNumber, StatesNs, Statistics,
};
use dataflow_ids::{
    DataflowName, EdgeId, Epoch, InputId, LifeCycle, NodeId, NodeIndex, OutputId, PeerId,
    QueuePolicy,
};
use dataflow_wire::client::{CLIENT_PROTOCOL, ClientReply, ClientRequest};
use dataflow_wire::frame::{FrameReader, Received, send};
use rustix::process::Signal;
use serde_json::Value;

use crate::ground::{Ground, PlayedRun, Running, said};
use crate::screen::Screen;

const NAMES: [&str; 3] = ["camera", "detector", "planner"];
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
        is_closed: false,
        histograms: Default::default(),
    };
    row.histograms.latency.buckets[20] = 30 * second;
    if number == 1 {
        row.gauges.queued = Gauge::new(10);
        row.gauges.blocked = Gauge::new(1);
        row.oldest_ns = Some(second.saturating_sub(3) * SECOND_NS);
    }
    row
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
        actors: Vec::new(),
        peers: Vec::new(),
        downloads: Default::default(),
        pool: Some(PoolRow::default()),
        audit: AuditRow::default(),
    }
}

/// A runtime whose clock stands, for each listener, at 10 s first and then where the test has put it.
struct Played {
    seconds: Arc<AtomicU64>,
    ends: Option<mpsc::Sender<()>>,
    runtime: Option<std::thread::JoinHandle<()>>,
    _process: Running,
}

impl Played {
    /// A run of the name `vision`. Its clock is put to 11 s.
    fn begin(ground: &Ground) -> Played {
        let process = Running::start(Command::new("sleep").arg("1000").stdout(Stdio::null()));
        let pid = u32::try_from(process.pid().as_raw_nonzero().get()).unwrap();
        let run = PlayedRun::begin(ground, "vision", pid);
        run.listener.set_nonblocking(true).unwrap();
        let seconds = Arc::new(AtomicU64::new(11));
        let (ends, ended) = mpsc::channel::<()>();
        let until = Arc::clone(&seconds);
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
                for (socket, next) in &mut listeners {
                    // Also what has not changed is said: who says nothing does not answer.
                    let now = until.load(Ordering::SeqCst).min(*next);
                    let whole = ClientReply::Statistics(Box::new(statistics(now)));
                    // A listener that has gone is told no more.
                    let _ = send(&*socket, &whole, &[]);
                    *next = now + 1;
                }
            }
        });
        Played {
            seconds,
            ends: Some(ends),
            runtime: Some(runtime),
            _process: process,
        }
    }

    /// Its clock stands there now.
    fn go_to(&self, second: u64) {
        self.seconds.store(second, Ordering::SeqCst);
    }

    /// It ends: its sockets and its entry in the registry go.
    fn end(&mut self) {
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

const NODES: &str = "\
dataflow top  vision up 11.0 s                                                             every 1 s
3 nodes: 3 running · 60 msg/s · 0/s · 0 dropped/s · 1 sender blocked · CPU 60 % · memory 72.0 MB
 1 Dataflows 1  2 Nodes 3  3 Groups 1  4 Edges 2  5 Peers  6 Downloads  7 Actors  8 Pool 1
NODE      STATE       FOR  CPU %   MEMORY  IN/s  OUT/s  P50  P99  QUEUED  HELD  RESTARTS  BLOCKED BY
camera    running  11.0 s     10  12.0 MB     0     30    –    –       0     0         0
detector  running  11.0 s     20  24.0 MB    30     30    –    –       0     0         1  planner
planner   running  11.0 s     30  36.0 MB    30      0    –    –      10     0         2";

/// Everything above the last line.
fn above_the_keys(screen: &Screen) -> String {
    let text = screen.text();
    let (above, _) = text.rsplit_once('\n').unwrap();
    above.trim_end().to_owned()
}

#[test]
fn at_a_terminal_it_shows_tables_and_takes_keys_and_leaves_the_terminal_as_it_was() {
    let ground = Ground::new();
    let played = Played::begin(&ground);
    let mut screen = Screen::new(100, 14);
    let before = screen.modes();
    let mut top = screen.start(&ground.dataflow(["top", "vision"]));
    screen.wait_for("up 11.0 s");
    assert_eq!(above_the_keys(&screen), NODES);
    assert_ne!(screen.modes().local_modes, before.local_modes);

    // Tables.
    screen.press("4");
    screen.wait_for("detector/out → planner/in");
    let edges = screen.text();
    assert!(edges.contains("10/10"), "{edges}");
    assert!(edges.contains("detector for planner"), "{edges}");
    screen.press("\x1b[D\x1b[D");
    screen.wait_for("BLOCKED BY");

    // Order: the busiest first, and then last. The first column is the name.
    screen.press("ssss");
    screen.wait_for("CPU %▼");
    let order = |text: &str| -> Vec<usize> {
        NAMES
            .iter()
            .map(|name| text.find(&format!("\n{name}")).unwrap_or(0))
            .collect()
    };
    screen.wait_until("the busiest is the first", |_, text| {
        order(text).is_sorted_by(|a, b| a > b)
    });
    screen.press("r");
    screen.wait_until("the busiest is the last", |_, text| order(text).is_sorted());

    // A filter, and what it leaves.
    screen.press("/DETE");
    screen.wait_until("the filter", |_, text| {
        text.contains("filter: DETE▏") && !text.contains("\ncamera")
    });
    screen.press("\r");
    screen.wait_for("filter: DETE");
    screen.press("\x1b");
    screen.wait_for("\ncamera");

    // All about one row.
    screen.press("\x1b[B\x1b[B\r");
    screen.wait_for("resident memory of its processes");
    screen.press("\x1b");
    screen.wait_for("BLOCKED BY");

    // A pause: time stands still, and goes on.
    screen.press(" ");
    screen.wait_for("paused");
    played.go_to(12);
    screen.press("?");
    screen.wait_for("Keys");
    assert!(!screen.text().contains("up 12.0 s"));
    screen.press("q");
    screen.wait_for("BLOCKED BY");
    screen.press(" ");
    played.go_to(13);
    screen.wait_for("up 13.0 s");

    // The end, by a key.
    screen.press("q");
    assert_eq!(top.wait(), Some(0));
    assert_is_as_before(&screen, &before);
}

/// How the terminal was before.
fn assert_is_as_before(screen: &Screen, before: &rustix::termios::Termios) {
    screen.wait_until("the screen before", |screen, _| {
        !screen.alternate_screen() && !screen.hide_cursor()
    });
    assert_eq!(screen.text(), "");
    let after = screen.modes();
    assert_eq!(after.local_modes, before.local_modes);
    assert_eq!(after.input_modes, before.input_modes);
    assert_eq!(after.output_modes, before.output_modes);
}

#[test]
fn a_terminal_that_becomes_small_shows_less_and_one_that_grows_more() {
    let ground = Ground::new();
    let _played = Played::begin(&ground);
    let mut screen = Screen::new(100, 14);
    let mut top = screen.start(&ground.dataflow(["top"]));
    screen.wait_for("up 11.0 s");
    screen.resize(40, 6);
    screen.wait_until("what matters in a small one", |_, text| {
        text.contains("NODE      STATE") && !text.contains("PID") && text.contains("2 of 8 tables")
    });
    let narrow = screen.text();
    assert!(
        narrow.lines().all(|line| line.chars().count() <= 40),
        "{narrow}"
    );
    assert!(narrow.contains("planner   running"), "{narrow}");
    screen.resize(20, 2);
    screen.wait_until("two lines", |_, text| {
        text.starts_with("NODE") && text.contains("\ncamera")
    });
    screen.resize(180, 20);
    screen.wait_until("everything in a large one", |_, text| {
        text.contains("PID") && text.contains("LOST") && text.contains("8 Pool 1")
    });
    // A key that no terminal of ours gives otherwise: Ctrl-C, which here is a key.
    screen.press("\x03");
    assert_eq!(top.wait(), Some(0));
}

#[test]
fn whatever_ends_it_the_terminal_is_as_it_was() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let ground = Ground::new();
        let _played = Played::begin(&ground);
        let screen = Screen::new(80, 24);
        let before = screen.modes();
        let mut top = screen.start(&ground.dataflow(["top"]));
        screen.wait_for("up 11.0 s");
        top.signal(signal);
        assert_eq!(top.wait(), Some(0), "{signal:?}");
        assert_is_as_before(&screen, &before);
    }
}

#[test]
fn a_runtime_that_ends_is_said_and_one_that_comes_is_shown() {
    let ground = Ground::new();
    let mut screen = Screen::new(100, 14);
    let mut top = screen.start(&ground.dataflow(["top"]));
    screen.wait_for("no dataflow runs in");
    let mut played = Played::begin(&ground);
    screen.wait_for("\ncamera    running");
    played.end();
    screen.wait_for("vision has ended (run vision-1)");
    screen.wait_for("no dataflow runs in");
    let _again = Played::begin(&ground);
    screen.wait_for("\ncamera    running");
    screen.press("q");
    assert_eq!(top.wait(), Some(0));
}

#[test]
fn a_runtime_that_does_not_answer_is_named_and_hides_no_other() {
    let ground = Ground::new();
    let _played = Played::begin(&ground);
    let silent = Running::start(Command::new("sleep").arg("1000").stdout(Stdio::null()));
    let pid = u32::try_from(silent.pid().as_raw_nonzero().get()).unwrap();
    // A connection is taken by the kernel, and nobody ever reads from it.
    let _silent = PlayedRun::begin(&ground, "silent", pid);
    silent.signal(Signal::STOP);
    let mut screen = Screen::new(100, 14);
    let mut top = screen.start(&ground.dataflow(["top", "--interval", "100ms"]));
    screen.wait_for(&format!(
        "silent (pid {pid}) does not answer: it is stopped, and goes on with `kill -CONT {pid}`"
    ));
    screen.wait_for("\ncamera    running");
    screen.press("q");
    assert_eq!(top.wait(), Some(0));

    let output = ground
        .dataflow(["top", "--once", "--json", "--interval", "100ms"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let runtimes = object["runtimes"].as_array().unwrap();
    assert_eq!(runtimes.len(), 2);
    assert!(
        runtimes[0]["error"]
            .as_str()
            .unwrap()
            .contains("it is stopped")
    );
    assert_eq!(runtimes[1]["nodes"].as_array().unwrap().len(), 3);
}

#[test]
fn without_colours_no_colour_is_written() {
    let ground = Ground::new();
    let _played = Played::begin(&ground);
    for (no_colour, has_colours) in [("", true), ("1", false)] {
        let mut screen = Screen::new(100, 14);
        let mut top = ground.dataflow(["top"]);
        let mut top = screen.start(&*top.env("NO_COLOR", no_colour));
        screen.wait_for("\ncamera    running");
        screen.wait_until("all or nothing in colours", |screen, _| {
            let cells = (0..14).flat_map(|row| (0..100).map(move |column| (row, column)));
            let mut cells = cells.filter_map(|(row, column)| screen.cell(row, column));
            cells.any(|cell| cell.fgcolor() != vt100::Color::Default) == has_colours
        });
        screen.press("q");
        assert_eq!(top.wait(), Some(0));
    }
}

#[test]
fn without_a_terminal_it_says_what_does_without_one() {
    let ground = Ground::new();
    let output = ground.dataflow(["top"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("there is no terminal that could show it"),
        "{text}"
    );
    assert!(text.contains("`dataflow top --once`"), "{text}");
    // Nothing to show is no mistake; a dataflow that was named and is not there is one.
    let output = ground.dataflow(["top", "--once"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).starts_with("no dataflow runs in "));
    let output = ground
        .dataflow(["top", "vision", "--once"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let output = ground
        .dataflow(["top", "--once", "--sort", "weight"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("the columns are "),
        "{}",
        said(&output)
    );
}

#[test]
fn once_it_is_plain_text_in_the_order_that_was_asked_for() {
    let ground = Ground::new();
    let _played = Played::begin(&ground);
    let output = ground
        .dataflow(["top", "--once", "--sort", "cpu", "--filter", "e"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = said(&output);
    assert!(!text.contains('\x1b'), "{text}");
    let place = |name: &str| text.find(&format!("\n{name}")).unwrap();
    assert!(place("planner") < place("detector"), "{text}");
    assert!(place("detector") < place("camera"), "{text}");
    assert!(text.contains("detector/out → planner/in"), "{text}");
}

#[test]
fn json_has_one_object_a_line_until_all_have_ended() {
    let ground = Ground::new();
    let mut played = Played::begin(&ground);
    let output = ground
        .dataflow(["top", "--once", "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let object: Value = serde_json::from_str(&text).unwrap();
    let runtime = &object["runtimes"][0];
    assert_eq!(runtime["kind"], "dataflow");
    assert_eq!(runtime["name"], "vision");
    assert_eq!(runtime["at_s"], 11.0);
    assert_eq!(runtime["rates_over_s"], 1.0);
    let detector = &runtime["nodes"][1];
    assert_eq!(detector["node"], "detector");
    assert_eq!(detector["state"], "running");
    assert_eq!(detector["received_per_s"], 30.0);
    assert_eq!(detector["cpu_percent"], 20.0);
    assert_eq!(detector["blocked_by"], serde_json::json!(["planner"]));
    let edge = &runtime["edges"][1];
    assert_eq!(edge["oldest_s"], 3.0);
    assert_eq!(edge["is_blocked"], true);
    assert_eq!(edge["latency"]["over_s"], 1.0);
    assert_eq!(
        edge["dropped"],
        serde_json::json!({"full": 0, "receiver_closed": 0, "memory": 0})
    );

    let mut command = ground.dataflow(["top", "--json", "--interval", "100ms"]);
    let mut lines = Running::start(command.stdout(Stdio::piped()));
    let out = lines.child().stdout.take().unwrap();
    let mut read = std::io::BufRead::lines(std::io::BufReader::new(out));
    let first: Value = serde_json::from_str(&read.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["runtimes"][0]["name"], "vision");
    played.end();
    for line in read {
        let object: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert!(object["runtimes"].is_array());
    }
    assert_eq!(lines.wait(), Some(0));
}
