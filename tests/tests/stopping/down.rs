//! `down`: repeated, too early, too late, and what it says meanwhile.

use dataflow_ids::LifeCycle;
use dataflow_tests::{Project, edge, node};
use dataflow_wire::status::{Outcome, Phase};

const PAIR: &str = "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=1, bytes=5000]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, gate=GATES/gate, gate_at=2]
    inputs: { in: { source: sender/out, queue_policy: block } }
";

#[test]
fn down_twice_waits_twice_and_changes_nothing() {
    let project = Project::new("down-twice");
    let mut gate = project.gate("gate");
    project.flow(PAIR);
    let up = project.up();
    gate.wait_until_reached();
    let first = project.dataflow(["down"]).start();
    first.wait_for_line(&["waiting for receiver", "of sender/out"]);
    let second = project.dataflow(["down"]).start();
    second.wait_for_line(&["waiting for receiver", "of sender/out"]);
    up.wait_for_line(&["waiting for receiver", "of sender/out"]);
    gate.open();
    first.wait().expect_code(0).expect_line(&["drained"]);
    second.wait().expect_code(0).expect_line(&["drained"]);
    up.wait().expect_code(0).expect_line(&["drained"]);

    let sent: u64 = project.record("sender").facts("sent")[0]
        .parse()
        .expect("a count");
    let all: Vec<u64> = (1..=sent).collect();
    assert_eq!(project.record("receiver").arrived("in"), all);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_graceful_stop_lets_a_send_that_has_begun_end() {
    // The sender waits for room when the stop comes; that message is sent all the same, and then the next
    // one is refused.
    let project = Project::new("send-begun");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, bytes=5000]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, gate=GATES/gate, gate_at=1]
    inputs: { in: { source: sender/out, queue_policy: block, queue_size: 4 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    project.wait_until("the sender waits for room", |status| {
        status.edges[0].blocked
    });
    let down = project.dataflow(["down"]).start();
    down.wait_for_line(&["waiting for"]);
    // The stop wakes it for a moment.
    project.wait_until("the stop has not interrupted it", |status| {
        status.edges[0].blocked
    });
    gate.open();
    down.wait().expect_code(0);
    up.wait().expect_code(0);
    let sent: u64 = project.record("sender").facts("sent")[0]
        .parse()
        .expect("a count");
    assert_eq!(
        project.record("sender").lines(),
        ["connected", "stopped", &format!("sent {sent}"), "end"]
    );
    // One in its hands, four in the queue, and the one that was waiting for room; perhaps some more went
    // through between the stop's sending and its arrival.
    assert!(sent >= 6, "{sent}");
    let all: Vec<u64> = (1..=sent).collect();
    assert_eq!(project.record("receiver").arrived("in"), all);
}

#[test]
fn down_during_up_ends_a_node_that_is_not_ready_yet() {
    let project = Project::new("down-during-up");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=1]
    outputs: [out]
  - id: importing
    path: NODES/never_ready.py
    args: [gate=GATES/gate]
    inputs: { in: sender/out }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    let status = project.wait_until("the sender is ready", |status| {
        node(status, "sender").state != LifeCycle::Starting
    });
    assert_eq!(status.phase, Phase::Starting);
    assert_eq!(node(&status, "importing").state, LifeCycle::Starting);
    project.down().expect_code(0);
    up.wait().expect_code(0);
    assert_eq!(project.record("importing").lines(), ["importing"]);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    let counts = edge(&report.edges, "sender/out", "importing/in").counts;
    assert_eq!(counts.delivered, 0);
    assert_eq!(counts.sent, counts.dropped_receiver_closed);
}

#[test]
fn an_interrupt_during_up_ends_a_node_that_is_not_ready_yet() {
    let project = Project::new("interrupt-during-up");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: importing
    path: NODES/never_ready.py
    args: [gate=GATES/gate]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive]
    inputs: { in: importing/out }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    up.interrupt();
    up.wait().expect_code(0);
    assert_eq!(project.record("importing").lines(), ["importing"]);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_termination_signal_is_a_graceful_stop_like_an_interrupt() {
    let project = Project::new("terminated");
    let mut gate = project.gate("gate");
    project.flow(PAIR);
    let up = project.up();
    gate.wait_until_reached();
    up.signal(rustix::process::Signal::TERM);
    up.wait_for_line(&["waiting for receiver"]);
    gate.open();
    up.wait().expect_code(0).expect_line(&["drained"]);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_terminal_that_goes_away_is_a_graceful_stop_and_never_forces() {
    let project = Project::new("hang-up");
    let mut gate = project.gate("gate");
    project.flow(PAIR);
    let up = project.up();
    gate.wait_until_reached();
    up.signal(rustix::process::Signal::HUP);
    up.wait_for_line(&["waiting for receiver"]);
    up.signal(rustix::process::Signal::HUP);
    gate.open();
    up.wait().expect_code(0);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_dataflow_in_the_background_is_up_when_up_returns_and_gone_when_down_returns() {
    let project = Project::new("detached");
    let mut gate = project.gate("gate");
    project.flow(PAIR);
    project.up_detached();
    let statuses = project.ps();
    assert_eq!(statuses[0].phase, Phase::Running);
    gate.open();
    project.down().expect_code(0).expect_line(&["drained"]);
    assert_eq!(
        project.processes(),
        [],
        "nothing runs once down has returned"
    );
    assert_eq!(project.ps(), []);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_dataflow_whose_nodes_end_by_themselves_ends_by_itself() {
    let project = Project::new("ends-by-itself");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=20]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive]
    inputs: { in: { source: sender/out, queue_policy: block } }
",
    );
    project.up().wait().expect_code(0).expect_line(&["drained"]);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!(report.stop_took, None);
}

#[test]
fn a_receiver_that_ends_early_does_not_stop_its_sender() {
    let project = Project::new("receiver-ends");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, bytes=5000, every_ms=1]
    outputs: [out]
  - id: short
    path: RUST_NODE
    args: [receive, exit_after=3]
    inputs: { in: { source: sender/out, queue_policy: block, queue_size: 2 } }
",
    );
    let up = project.up();
    project.wait_until("the sender goes on without its receiver", |status| {
        status.edges[0].counts.sent > 100
    });
    project.down().expect_code(0);
    up.wait().expect_code(0);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    let counts = report.edges[0].counts;
    assert_eq!((counts.delivered, counts.released), (3, 3));
    assert_eq!(counts.dropped_receiver_closed, counts.sent - 3);
}
