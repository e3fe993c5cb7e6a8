//! `stop NODE` and `restart NODE`: one node of a dataflow that goes on.

use dataflow_ids::{End, Epoch, Forcer, LifeCycle};
use dataflow_tests::{Project, node, node_report};
use dataflow_wire::status::{DataflowStatus, Outcome};

/// A receiver that stands at a gate with its second message in hand, and a sender that waits for room.
const BLOCKED: &str = "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=200, bytes=5000]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, gate=GATES/gate, gate_at=2]
    inputs: { in: { source: sender/out, queue_policy: block, queue_size: 8 } }
";

fn wait_until_blocked(project: &Project) -> DataflowStatus {
    project.wait_until("the sender waits for room", |status| {
        status.edges[0].blocked
    })
}

#[test]
fn a_restarted_node_ends_with_what_it_has_in_hand_and_the_next_goes_on_with_the_queue() {
    let project = Project::new("restart-node");
    let mut gate = project.gate("gate");
    project.flow(BLOCKED);
    let up = project.up();
    gate.wait_until_reached();
    wait_until_blocked(&project);
    let restart = project.dataflow(["restart", "receiver"]).start();
    restart.wait_for_line(&[
        "waiting for receiver",
        "in user code for",
        "its process has not ended",
    ]);
    let status = project.ps().remove(0);
    assert_eq!(node(&status, "receiver").state, LifeCycle::Stopping);
    assert!(status.edges[0].blocked, "the sender waits meanwhile");
    gate.open();
    // The next incarnation comes to the gate, too; while the first still has it open, it would be let through twice.
    project.wait_until("the next incarnation", |status| {
        node(status, "receiver").epoch == Epoch(2)
    });
    gate.open();
    restart
        .wait()
        .expect_code(0)
        .expect_line(&["receiver is ready again", "1 restart"]);
    up.wait().expect_code(0).expect_line(&["drained"]);
    let record = project.record("receiver");
    let all: Vec<u64> = (1..=200).collect();
    assert_eq!(record.arrived("in"), all, "nothing is lost or doubled");
    assert_eq!(record.facts("event")[0], "stop", "it was told, not killed");
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!(node_report(&report, "receiver").restarts, 1);
    let counts = report.edges[0].counts;
    assert_eq!((counts.sent, counts.released, counts.lost), (200, 200, 0));
}

#[test]
fn a_parked_node_keeps_its_queue_and_its_edges_until_it_is_started_again() {
    let project = Project::new("park-node");
    let mut gate = project.gate("gate");
    project.flow(BLOCKED);
    let up = project.up();
    gate.wait_until_reached();
    wait_until_blocked(&project);
    let stop = project.dataflow(["stop", "receiver"]).start();
    // Else it might go through its whole queue, and return, before it is told: its library has answered, so it knows of
    // the stop that was sent before the question.
    stop.wait_for_line(&["waiting for receiver", "in user code for"]);
    gate.open();
    stop.wait()
        .expect_code(0)
        .expect_line(&["receiver is parked"]);
    // The end of its receiver has woken it for a moment.
    let status = wait_until_blocked(&project);
    assert_eq!(node(&status, "receiver").state, LifeCycle::Parked);
    assert_eq!(node(&status, "receiver").pid, None);
    assert_eq!(node(&status, "receiver").epoch, Epoch(1));
    let counts = status.edges[0].counts;
    assert_eq!((counts.queued, counts.held, counts.lost), (8, 0, 0));
    assert!(!status.edges[0].closed);
    // Once more changes nothing.
    project
        .dataflow(["stop", "receiver"])
        .run()
        .expect_code(0)
        .expect_line(&["receiver is parked"]);

    let restart = project.dataflow(["restart", "receiver"]).start();
    gate.open();
    restart.wait().expect_code(0);
    up.wait().expect_code(0);
    let all: Vec<u64> = (1..=200).collect();
    assert_eq!(project.record("receiver").arrived("in"), all);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_relay_that_is_restarted_ends_the_send_that_it_has_begun() {
    let project = Project::new("restart-relay");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=100, bytes=5000]
    outputs: [out]
  - id: relay
    path: RUST_NODE
    args: [relay]
    inputs: { in: { source: sender/out, queue_policy: block, queue_size: 4 } }
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, gate=GATES/gate, gate_at=1]
    inputs: { in: { source: relay/out, queue_policy: block, queue_size: 2 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    project.wait_until("the relay waits for room", |status| status.edges[1].blocked);
    let restart = project.dataflow(["restart", "relay"]).start();
    // It waits in a send, so it is not the one that is waited for.
    restart.wait_for_line(&["waiting for receiver", "of relay/out"]);
    gate.open();
    restart.wait().expect_code(0);
    up.wait().expect_code(0);
    let all: Vec<u64> = (1..=100).collect();
    assert_eq!(project.record("receiver").arrived("in"), all);
    assert_eq!(node_report(&project.report(), "relay").restarts, 1);
}

#[test]
fn a_python_node_is_restarted_between_two_messages() {
    let project = Project::new("restart-python");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=300, every_ms=5, bytes=5000, gate=GATES/gate, gate_at=200]
    outputs: [out]
  - id: receiver
    path: NODES/receive.py
    inputs: { in: { source: sender/out, queue_policy: block } }
",
    );
    let up = project.up();
    for incarnation in 1..=2 {
        project
            .record("receiver")
            .wait_for_count("input", 20 * incarnation);
        project
            .dataflow(["restart", "receiver"])
            .run()
            .expect_code(0);
    }
    // However long the restarts take, it is there for both of them.
    gate.open();
    up.wait().expect_code(0);
    let record = project.record("receiver");
    let all: Vec<u64> = (1..=300).collect();
    assert_eq!(record.arrived("in"), all);
    assert_eq!(record.facts("event")[..2], ["stop", "stop"]);
    let report = project.report();
    assert_eq!(node_report(&report, "receiver").restarts, 2);
    assert_eq!(report.edges[0].counts.lost, 0);
}

const STUBBORN: &str = "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=1, bytes=5000]
    outputs: [out]
  - id: stubborn
    path: RUST_NODE
    args: [stubborn]
    inputs: { in: { source: sender/out, queue_size: 4 } }
";

#[test]
fn only_a_person_kills_for_a_restart_and_the_node_goes_on() {
    let project = Project::new("restart-force");
    project.flow(STUBBORN);
    let up = project.up();
    project.record("stubborn").wait_for("ready");
    let first = project.dataflow(["restart", "stubborn"]).start();
    first.wait_for_line(&["waiting for stubborn", "its process has not ended"]);
    assert_eq!(
        node(&project.ps()[0], "stubborn").epoch,
        Epoch(1),
        "no time kills"
    );
    project
        .dataflow(["restart", "stubborn", "--force"])
        .run()
        .expect_code(3)
        .expect_line(&["stubborn is ready again"]);
    first.wait().expect_code(0);
    project.record("stubborn").wait_for_count("ready", 2);
    let status = project.ps().remove(0);
    let stubborn = node(&status, "stubborn");
    assert_eq!((stubborn.epoch, stubborn.restarts), (Epoch(2), 1));

    // Parked by force, it stays out of the way of the stop, and is reported as forced.
    project
        .dataflow(["stop", "stubborn", "--force"])
        .run()
        .expect_code(3)
        .expect_line(&["stubborn is parked"]);
    project.down().expect_code(3).expect_line(&["stubborn"]);
    up.wait().expect_code(3);
    let report = project.report();
    let by = Forcer::StopForce;
    assert_eq!(node_report(&report, "stubborn").end, End::Forced { by });
    assert_eq!(node_report(&report, "sender").end, End::Drained);
}

#[test]
fn a_stop_of_the_dataflow_wins_over_a_restart() {
    let project = Project::new("stop-over-restart");
    let mut gate = project.gate("gate");
    project.flow(BLOCKED);
    let up = project.up();
    gate.wait_until_reached();
    wait_until_blocked(&project);
    let restart = project.dataflow(["restart", "receiver"]).start();
    restart.wait_for_line(&["waiting for receiver"]);
    let down = project.dataflow(["down"]).start();
    down.wait_for_line(&["waiting for receiver"]);
    project
        .dataflow(["restart", "receiver"])
        .run()
        .expect_code(1)
        .expect_line(&["stop-over-restart", "stops", "receiver"]);
    gate.open();
    let ended = restart.wait().expect_code(1);
    assert!(
        ended.error().contains("is not ready again"),
        "it says what has become of it: {ended}"
    );
    down.wait().expect_code(0);
    up.wait().expect_code(0);
    let report = project.report();
    assert_eq!(node_report(&report, "receiver").restarts, 0);
    // What it had not read is listed, and not lost without a word.
    let counts = report.edges[0].counts;
    assert!(counts.dropped_receiver_closed > 0, "{counts:#?}");
    assert_eq!(counts.sent, counts.released + counts.dropped());
}

#[test]
fn a_node_in_backoff_and_a_program_without_the_library_are_restarted_at_once() {
    let project = Project::new("restart-backoff");
    project.flow(
        "
nodes:
  - id: crashing
    path: RUST_NODE
    args: [receive, crash_after=1]
    restart: { policy: on-failure, backoff: 1h..1h }
    inputs: { in: { source: sender/out, queue_size: 20 } }
  - id: sender
    path: RUST_NODE
    args: [send, count=10, bytes=5000, then=wait]
    outputs: [out]
  - id: program
    path: /bin/sh
    args: [-c, 'echo began; exec sleep 1000']
",
    );
    let up = project.up();
    project.wait_until("it waits for its restart", |status| {
        node(status, "crashing").state == LifeCycle::Backoff
    });
    project
        .dataflow(["restart", "crashing"])
        .run()
        .expect_code(0)
        .expect_line(&["crashing is ready again"]);
    project.record("crashing").wait_for_count("input", 10);
    let before = node(&project.ps()[0], "program").pid;
    project
        .dataflow(["restart", "program"])
        .run()
        .expect_code(0);
    let status = project.ps().remove(0);
    let program = node(&status, "program");
    assert_eq!((program.state, program.epoch), (LifeCycle::Ready, Epoch(2)));
    assert_ne!(program.pid, before);
    project.down().expect_code(0);
    up.wait().expect_code(0);
    let counts = project.report().edges[0].counts;
    assert_eq!((counts.released, counts.lost), (9, 1));
}

#[test]
fn a_node_that_has_ended_is_not_restarted() {
    let project = Project::new("restart-ended");
    project.flow(
        "
nodes:
  - id: short
    path: RUST_NODE
    args: [send, count=3]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive]
    inputs: { in: short/out }
  - id: other
    path: /bin/sleep
    args: ['1000']
",
    );
    let up = project.up();
    project.wait_until("it has ended", |status| {
        node(status, "short").state == LifeCycle::Finished
    });
    project
        .dataflow(["restart", "short"])
        .run()
        .expect_code(1)
        .expect_line(&["short", "has ended for good (drained)"]);
    project.down().expect_code(0);
    up.wait().expect_code(0);
}
