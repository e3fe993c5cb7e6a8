//! `dataflow ps` explains what waits: one line a node, and data with `--json`.

use std::time::Duration;

use dataflow_ids::LifeCycle;
use dataflow_ids::stats::Statistics;
use dataflow_testkit::hub::{FakeHub, Repository};
use dataflow_tests::{Project, node};
use dataflow_wire::status::{DataflowStatus, ModelState};
use dataflow_wire::waits::{Blocker, Lacks, NodeWait};

use crate::subscriber::Subscriber;

/// The first link of the chain that a node waits for, if it waits for room.
fn blocker<'a>(status: &'a DataflowStatus, id: &str) -> Option<&'a Blocker> {
    match node(status, id).waits.first()? {
        NodeWait::Room { chain, .. } => chain.first(),
        _ => None,
    }
}

fn lacks(status: &DataflowStatus, id: &str, lacks: Lacks) -> bool {
    blocker(status, id).is_some_and(|it| it.lacks == lacks)
}

/// Waits until who watches the statistics sees what the senders of all edges lack.
fn watch_until(project: &Project, lacks: &[Lacks]) -> Subscriber {
    let is_so = |now: &Statistics| {
        let seen = now.edges.iter().map(|edge| edge.lacks);
        seen.eq(lacks.iter().copied().map(Some))
    };
    let subscriber = Subscriber::of(project, Duration::from_millis(100));
    subscriber.wait_until("it sees who waits for what", is_so);
    subscriber
}

/// Nobody waits in what a watcher is told last.
fn nobody_waits_at_the_end(subscriber: Subscriber) {
    let (last, _) = subscriber.end();
    assert!(
        last.edges.iter().all(|edge| edge.lacks.is_none()),
        "{last:#?}"
    );
}

/// What `ps` says of a node to a person, after its name.
fn said_of(project: &Project, id: &str) -> String {
    let shown = project.dataflow(["ps"]).run().expect_code(0).output();
    let prefix = format!("{id}: ");
    // What is said of a model of the same name comes after it.
    let said = shown.lines().find_map(|line| line.strip_prefix(&prefix));
    let said = said.unwrap_or_else(|| panic!("no line of {id}: {shown}"));
    said.to_owned()
}

/// A span of time in the form of `3.2 s` or `340 ms` becomes `… s`.
fn without_times(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let is_time = |place: usize| {
        let unit = words.get(place + 1).copied().unwrap_or_default();
        let unit = unit.trim_end_matches([',', ')', ';']);
        words[place].parse::<f64>().is_ok() && matches!(unit, "s" | "ms")
    };
    let masked = (0..words.len()).map(|place| match place.checked_sub(1) {
        _ if is_time(place) => "…".to_owned(),
        Some(before) if is_time(before) => words[place].replace("ms", "s"),
        _ => words[place].to_owned(),
    });
    masked.collect::<Vec<_>>().join(" ")
}

#[test]
fn who_cannot_send_is_blocked_by_the_one_that_all_of_its_chain_wait_for() {
    let project = Project::new("waits-chain");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: planner
    path: RUST_NODE
    args: [send, count=30]
    outputs: [out]
  - id: logger
    path: RUST_NODE
    args: [relay, quiet]
    inputs: { in: { source: planner/out, queue_policy: block, queue_size: 3 } }
    outputs: [out]
  - id: disk
    path: RUST_NODE
    args: [receive, gate=GATES/gate, gate_at=2]
    inputs: { in: { source: logger/out, queue_policy: block, queue_size: 4 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    let first = project.wait_until("all wait for the disk", |status| {
        lacks(status, "planner", Lacks::Queue) && lacks(status, "logger", Lacks::Queue)
    });
    assert_eq!(
        without_times(&said_of(&project, "planner")),
        "blocked by logger, which is blocked by disk (queue full, oldest … s)"
    );
    assert_eq!(
        without_times(&said_of(&project, "logger")),
        "blocked by disk (queue full, oldest … s)"
    );
    assert_eq!(node(&first, "disk").waits, [], "it works, or seems to");
    let subscriber = watch_until(&project, &[Lacks::Queue, Lacks::Queue]);
    let at = blocker(&first, "logger").unwrap();
    assert_eq!((at.queued, at.node.as_str()), (4, "disk"));
    let oldest = at.oldest.expect("it has a time of its sending");
    assert!(oldest <= first.up_for, "{at:?}");
    project.wait_until("the oldest grows older", |status| {
        blocker(status, "logger").unwrap().oldest > Some(oldest + Duration::from_millis(100))
    });
    gate.open();
    up.wait().expect_code(0);
    nobody_waits_at_the_end(subscriber);
}

#[test]
fn who_has_no_memory_left_is_blocked_by_those_that_hold_its_messages() {
    let project = Project::new("waits-memory");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: planner
    path: RUST_NODE
    args: [send, count=30, bytes=1000000]
    output_memory_mb: 12
    outputs: [out]
  - id: logger
    path: RUST_NODE
    args: [receive, gate=GATES/gate, gate_at=2, hold=2]
    inputs: { in: { source: planner/out, queue_policy: block, queue_size: 100 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    let status = project.wait_until("the memory is full", |status| {
        lacks(status, "planner", Lacks::Memory)
    });
    let queued = blocker(&status, "planner").unwrap().queued;
    assert_eq!(
        without_times(&said_of(&project, "planner")),
        format!(
            "blocked by logger (memory full, 2 messages held, {queued} messages queued, oldest … s)"
        )
    );
    let subscriber = watch_until(&project, &[Lacks::Memory]);
    gate.open();
    up.wait().expect_code(0);
    nobody_waits_at_the_end(subscriber);
}

#[test]
fn who_has_ended_drains_what_others_hold_or_have_not_read() {
    let project = Project::new("waits-drain");
    let mut gate = project.gate("gate");
    let mut late = project.gate("late");
    project.flow(
        "
nodes:
  - id: camera
    path: RUST_NODE
    args: [send, count=2, bytes=100000]
    outputs: [out]
  - id: detector
    path: RUST_NODE
    args: [receive, gate=GATES/gate, gate_at=2, hold=2]
    inputs: { in: { source: camera/out, queue_policy: block } }
  - id: logger
    path: RUST_NODE
    args: [receive, gate=GATES/late, gate_at=1]
    inputs: { in: { source: camera/out, queue_policy: block } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    late.wait_until_reached();
    project.wait_until("the camera drains", |status| {
        node(status, "camera").state == LifeCycle::Draining
    });
    assert_eq!(
        said_of(&project, "camera"),
        "draining, 2 messages held by detector, 1 message held by logger and 1 queued for it"
    );
    late.open();
    project.wait_until("the logger has read everything", |status| {
        status.edges[1].drained
    });
    assert_eq!(
        said_of(&project, "camera"),
        "draining, 2 messages held by detector"
    );
    gate.open();
    up.wait().expect_code(0);
}

#[test]
fn who_needs_a_model_says_which_and_how_far_it_is() {
    let mut weights = vec![7; 3_000_000];
    weights[0] = 1;
    let repository = Repository::model("acme/tiny-detector")
        .file("config.json", b"{}")
        .large_file("model.safetensors", weights);
    let hub = FakeHub::start([repository]).expect("there is room for a Hub");
    hub.throttle(Some(200_000));
    let mut project = Project::new("waits-model");
    project.set_variable("HF_ENDPOINT", hub.endpoint());
    project.flow(
        "
models:
  detector: { repo: acme/tiny-detector }
nodes:
  - id: detector
    path: RUST_NODE
    args: [send, count=1, then=wait]
    models: [detector]
    outputs: [out]
",
    );
    let up = project.up();
    project.wait_until("a part is there", |status| {
        let waits = &node(status, "detector").waits;
        let [NodeWait::Models { models }] = &waits[..] else {
            return false;
        };
        models[0].state == ModelState::Fetching
            && models[0].bytes_done * 100 > models[0].bytes_total
    });
    let said = said_of(&project, "detector");
    let percent = said.strip_prefix("waiting for model detector ");
    let percent = percent.and_then(|rest| rest.strip_suffix(" %"));
    let percent: u64 = percent.and_then(|it| it.parse().ok()).expect(&said);
    // The rest waits until nobody holds it back.
    assert!((1..100).contains(&percent), "{said}");
    hub.throttle(None);
    let status = project.wait_until("it runs", |status| {
        node(status, "detector").state == LifeCycle::Ready
    });
    assert_eq!(node(&status, "detector").waits, []);
    project.down().expect_code(0);
    up.wait().expect_code(0);
}

#[test]
fn who_starts_says_how_far_it_is_and_who_sends_to_it_waits_until_it_is_ready() {
    let project = Project::new("waits-start");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: camera
    path: RUST_NODE
    args: [send, count=3]
    outputs: [out]
  - id: detector
    path: RUST_NODE
    args: [late, gate=GATES/gate, gate_at=0]
    inputs: { in: camera/out }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    let status = project.wait_until("the camera waits", |status| {
        lacks(status, "camera", Lacks::Readiness)
    });
    assert!(status.edges[0].blocked);
    assert_eq!(
        said_of(&project, "camera"),
        "blocked by detector (not ready yet), which is starting"
    );
    assert_eq!(
        said_of(&project, "detector"),
        "starting: its library has not connected yet"
    );
    let subscriber = watch_until(&project, &[Lacks::Readiness]);
    gate.open();
    up.wait().expect_code(0);
    nobody_waits_at_the_end(subscriber);
    let counts = project.report().edges[0].counts;
    assert_eq!((counts.sent, counts.delivered), (3, 3));
}

#[test]
fn who_waits_for_a_restart_or_for_a_person_says_so_and_so_do_those_that_it_blocks() {
    let project = Project::new("waits-restart");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: camera
    path: RUST_NODE
    args: [send]
    outputs: [out]
  - id: fragile
    path: RUST_NODE
    args: [crash, gate=GATES/gate]
    restart: { policy: on-failure, backoff: 50s..50s }
    inputs: { in: { source: camera/out, queue_policy: block, queue_size: 2 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    project.wait_until("the camera waits", |status| {
        lacks(status, "camera", Lacks::Queue)
    });
    gate.open();
    project.wait_until("it is in backoff", |status| {
        node(status, "fragile").state == LifeCycle::Backoff
    });
    let said = said_of(&project, "fragile");
    assert_eq!(without_times(&said), "in backoff, starts again in … s");
    // The end of its receiver has woken it for a moment.
    let camera_waits = || {
        project.wait_until("the camera waits again", |status| {
            lacks(status, "camera", Lacks::Queue)
        });
    };
    camera_waits();
    assert_eq!(
        without_times(&said_of(&project, "camera")),
        "blocked by fragile (queue full, oldest … s), which is in backoff"
    );
    let stop = project.dataflow(["stop", "fragile"]).run();
    stop.expect_code(0);
    assert_eq!(
        said_of(&project, "fragile"),
        "parked until `dataflow restart` starts it again"
    );
    camera_waits();
    assert_eq!(
        without_times(&said_of(&project, "camera")),
        "blocked by fragile (queue full, oldest … s), which is parked"
    );
    project.down();
    up.wait();
}

#[test]
fn who_was_told_to_end_and_does_not_says_for_how_long_its_code_has_run() {
    let project = Project::new("waits-exit");
    project.flow(
        "
nodes:
  - id: stubborn
    path: RUST_NODE
    args: [stubborn]
",
    );
    project.up_detached();
    let down = project.dataflow(["down"]).start();
    project.wait_until("it is known to be busy", |status| {
        matches!(
            node(status, "stubborn").waits[..],
            [NodeWait::Exit { busy_for: Some(_) }]
        )
    });
    assert_eq!(
        without_times(&said_of(&project, "stubborn")),
        "waiting for its process to end (in user code for … s)"
    );
    project.dataflow(["down", "--force"]).run().expect_code(3);
    down.wait().expect_code(3);
}
