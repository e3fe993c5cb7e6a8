//! Restarts: the edges stay, the queue is kept, what was held counts as lost.

use dataflow_ids::{End, Epoch, LifeCycle};
use dataflow_tests::{Project, edge, node, node_report, open_descriptors, wait_until};
use dataflow_wire::status::Outcome;

use crate::kill;

#[test]
fn a_restarted_receiver_gets_what_was_queued_for_the_one_that_died() {
    let project = Project::new("queue-survives");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=60, bytes=5000]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, gate=GATES/gate, gate_at=4, hold=10]
    restart: { policy: on-failure, backoff: 50ms..1s }
    inputs: { in: { source: sender/out, queue_size: 100 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    project.record("sender").wait_for("end");
    let status = project.wait_until("56 are queued and 4 held", |status| {
        let counts = status.edges[0].counts;
        counts.queued == 56 && counts.held == 4
    });
    kill(node(&status, "receiver").pid);
    // The gate is still closed: the second incarnation stands at it after its own fourth message.
    let status = project.wait_until("the second incarnation runs", |status| {
        let receiver = node(status, "receiver");
        receiver.epoch == Epoch(2) && receiver.state == LifeCycle::Running
    });
    assert_eq!(node(&status, "receiver").restarts, 1);
    gate.wait_for_the_next();
    gate.open();
    up.wait().expect_code(0);
    let all: Vec<u64> = (1..=60).collect();
    assert_eq!(project.record("receiver").arrived("in"), all);
    let report = project.report();
    assert_eq!(node_report(&report, "receiver").restarts, 1);
    let counts = report.edges[0].counts;
    assert_eq!((counts.sent, counts.delivered, counts.lost), (60, 60, 4));
    assert_eq!(counts.dropped(), 0);
}

#[test]
fn a_block_edge_loses_only_what_a_crashed_receiver_held() {
    let project = Project::new("block-restart");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=2000, bytes=2000]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, crash_after=700]
    restart: { policy: on-failure, backoff: 50ms..1s }
    inputs: { in: { source: sender/out, queue_policy: block, queue_size: 8 } }
",
    );
    project.up().wait().expect_code(0);
    let all: Vec<u64> = (1..=2000).collect();
    assert_eq!(project.record("receiver").arrived("in"), all);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!(node_report(&report, "receiver").restarts, 1);
    let counts = report.edges[0].counts;
    // The 700th was in its hands.
    assert_eq!(
        (counts.sent, counts.delivered, counts.lost),
        (2000, 2000, 1)
    );
}

#[test]
fn a_restarted_sender_goes_on_where_the_one_that_died_left_its_edge() {
    let project = Project::new("sender-restart");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=500, bytes=5000, crash_after=200]
    restart: { policy: on-failure, backoff: 50ms..1s }
    outputs: [out]
  - id: receiver
    path: NODES/receive.py
    inputs: { in: { source: sender/out, queue_policy: block, queue_size: 300 } }
",
    );
    project.up().wait().expect_code(0);
    let all: Vec<u64> = (1..=500).collect();
    assert_eq!(project.record("receiver").arrived("in"), all);
    assert_eq!(
        project.record("receiver").facts("event"),
        ["input_closed in", "all_inputs_closed"],
        "the input closes once, at the end"
    );
    let report = project.report();
    assert_eq!(node_report(&report, "sender").restarts, 1);
    let counts = edge(&report.edges, "sender/out", "receiver/in").counts;
    assert_eq!((counts.sent, counts.released), (500, 500));
}

#[test]
fn restarts_leave_no_descriptors_in_the_runtime() {
    let project = Project::new("restart-descriptors");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=1, bytes=100000]
    restart: { policy: on-failure, max: 20, backoff: 10ms..100ms }
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive]
    restart: { policy: on-failure, max: 20, backoff: 10ms..100ms }
    inputs: { in: sender/out }
",
    );
    let up = project.up();
    let mut fewest = usize::MAX;
    for round in 1..=6 {
        let status = project.wait_until("both run", |status| {
            status
                .nodes
                .iter()
                .all(|node| node.epoch == Epoch(round) && node.state == LifeCycle::Running)
        });
        project
            .record("receiver")
            .wait_for_count("connected", round as usize);
        if round == 1 {
            // Segments come and go; what counts is the floor.
            project.record("receiver").wait_for_count("input", 50);
            fewest = open_descriptors(up.pid());
        } else {
            // Those of a dead epoch retire when the last message in them has been released.
            wait_until("its descriptors are back to what they were", || {
                open_descriptors(up.pid()) <= fewest
            });
        }
        for node in &status.nodes {
            kill(node.pid);
        }
    }
    project.down();
    up.wait();
}

#[test]
fn a_node_that_crashes_too_often_fails_the_dataflow() {
    let project = Project::new("crash-loop");
    project.flow(
        "
nodes:
  - id: crashing
    path: RUST_NODE
    args: [crash, code=9]
    restart: { policy: on-failure, max: 3, window: 60s, backoff: 10ms..100ms }
",
    );
    project
        .up()
        .wait()
        .expect_code(1)
        .expect_line(&["crashing", "exit code 9"]);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(node_report(&report, "crashing").restarts, 3);
    assert_eq!(project.record("crashing").lines(), ["connected"; 4]);
}

#[test]
fn a_stop_wins_over_a_pending_restart() {
    let project = Project::new("stop-in-backoff");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=10, bytes=5000, then=wait]
    outputs: [out]
  - id: crashing
    path: RUST_NODE
    args: [receive, crash_after=3]
    restart: { policy: on-failure, backoff: 1h..1h }
    inputs: { in: { source: sender/out, queue_size: 20 } }
",
    );
    let up = project.up();
    project.record("sender").wait_for("sent 10");
    project.wait_until("it waits for its restart", |status| {
        node(status, "crashing").state == LifeCycle::Backoff
    });
    project.down();
    up.wait();
    let report = project.report();
    let counts = report.edges[0].counts;
    assert_eq!((counts.sent, counts.delivered, counts.lost), (10, 3, 1));
    assert_eq!(counts.dropped_receiver_closed, 7, "its queue is listed");
    assert!(
        matches!(node_report(&report, "crashing").end, End::Crashed { .. }),
        "{report:#?}"
    );
    assert_eq!(
        project
            .record("crashing")
            .lines()
            .iter()
            .filter(|line| *line == "connected")
            .count(),
        1
    );
}

#[test]
fn a_message_whose_segment_its_sender_never_handed_over_ends_its_input_at_the_senders_restart() {
    let project = Project::new("hollow");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [hollow]
    outputs: [out]
    restart: { policy: on-failure, backoff: 50ms..1s }
  - id: receiver
    path: RUST_NODE
    args: [receive]
    inputs: { in: { source: sender/out, queue_policy: block } }
",
    );
    let up = project.up();
    // Its second incarnation lives and needs no segment: nothing of it says that the first one's will not come.
    project.record("receiver").wait_for("event input_closed in");
    project.record("sender").wait_for("sent");
    up.interrupt();
    up.wait().expect_code(0).expect_line(&[
        "receiver",
        "sender/out → receiver/in is damaged",
        "never handed over",
    ]);
    let report = project.report_of_damage();
    assert_eq!(node_report(&report, "sender").restarts, 1);
    let edge = edge(&report.edges, "sender/out", "receiver/in");
    let damage = edge.damage.as_deref().unwrap_or_default();
    assert!(damage.contains("never handed over"), "{edge:?}");
    let counts = edge.counts;
    assert!(counts.balances(), "{counts:?}");
    assert_eq!(
        (
            counts.sent,
            counts.delivered,
            counts.dropped_receiver_closed
        ),
        (2, 1, 1)
    );
}
