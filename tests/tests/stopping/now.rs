//! `down --now`: the stop goes ahead of the queues, and the report lists what was left unread.

use dataflow_ids::End;
use dataflow_tests::{Project, edge, node_report};
use dataflow_wire::status::Outcome;

#[test]
fn down_now_stops_ahead_of_the_queue_and_lists_what_was_left() {
    for (name, receiver) in [
        (
            "now-rust",
            "path: RUST_NODE\n    args: [receive, gate=GATES/gate, gate_at=3]",
        ),
        (
            "now-python",
            "path: NODES/receive.py\n    args: [gate=GATES/gate, gate_at=3]",
        ),
    ] {
        let project = Project::new(name);
        let mut gate = project.gate("gate");
        project.flow(&format!(
            "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, bytes=5000]
    outputs: [out]
  - id: receiver
    {receiver}
    inputs: {{ in: {{ source: sender/out, queue_policy: block, queue_size: 40 }} }}
"
        ));
        let up = project.up();
        gate.wait_until_reached();
        project.wait_until("the queue is full", |status| {
            status.edges[0].counts.queued == 40 && status.edges[0].blocked
        });
        let down = project.dataflow(["down", "--now"]).start();
        // It wakes a sender that waits for room.
        project.record("sender").wait_for("end");
        // The receiver's library has answered, so it knows of the stop that was sent before the question.
        down.wait_for_line(&["waiting for receiver", "in user code for"]);
        gate.open();
        let down = down.wait().expect_code(0);
        up.wait().expect_code(0);

        let record = project.record("receiver");
        assert_eq!(record.arrived("in"), [1, 2, 3], "{name}");
        assert!(record.facts("event").contains(&"stop".to_owned()), "{name}");
        let report = project.report();
        assert_eq!(report.outcome, Outcome::Drained);
        assert_eq!(node_report(&report, "receiver").end, End::Drained);
        let counts = edge(&report.edges, "sender/out", "receiver/in").counts;
        assert_eq!((counts.delivered, counts.released), (3, 3));
        let unread = counts.dropped_receiver_closed + counts.queued;
        assert_eq!(unread, counts.sent - 3);
        assert!(unread >= 40, "{counts:?}");
        down.expect_line(&["sender/out", &unread.to_string()]);
    }
}

#[test]
fn down_now_is_stronger_than_a_down_that_waits() {
    let project = Project::new("now-after-down");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=200, bytes=5000]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, gate=GATES/gate, gate_at=1, slow_us=20000]
    inputs: { in: { source: sender/out, queue_size: 200 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    project.record("sender").wait_for("end");
    let first = project.dataflow(["down"]).start();
    first.wait_for_line(&["waiting for receiver"]);
    let second = project.dataflow(["down", "--now"]).start();
    second.wait_for_line(&["waiting for receiver"]);
    gate.open();
    first.wait().expect_code(0);
    second.wait().expect_code(0);
    up.wait().expect_code(0);
    assert!(project.record("receiver").arrived("in").len() < 200);
}
