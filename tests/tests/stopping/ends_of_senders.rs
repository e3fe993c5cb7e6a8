//! A sender may end at once: what it sent arrives, and its end waits for nothing but its own tokens.

use dataflow_ids::{End, LifeCycle};
use dataflow_tests::{Project, edge, node, node_report};
use dataflow_wire::status::Outcome;

/// Runs a sender that ends while its receiver stands at a gate, then lets the receiver go on.
fn everything_arrives(name: &str, sender: &str, receiver: &str, count: u64) -> Project {
    let project = Project::new(name);
    let mut gate = project.gate("gate");
    project.flow(&format!(
        "
nodes:
  - id: sender
    {sender}
    outputs: [out]
  - id: receiver
    {receiver}
    inputs: {{ in: {{ source: sender/out, queue_size: 1000 }} }}
"
    ));
    let up = project.up();
    gate.wait_until_reached();
    project.wait_until("the sender's process has ended", |status| {
        let sender = node(status, "sender");
        sender.state == LifeCycle::Draining && sender.pid.is_none()
    });
    gate.open();
    up.wait().expect_code(0);

    let record = project.record("receiver");
    let all: Vec<u64> = (1..=count).collect();
    assert_eq!(record.arrived("in"), all);
    assert_eq!(
        record
            .lines()
            .iter()
            .rev()
            .take(3)
            .rev()
            .collect::<Vec<_>>(),
        ["event input_closed in", "event all_inputs_closed", "end"],
        "the end comes after everything"
    );
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!(node_report(&report, "sender").end, End::Drained);
    let counts = edge(&report.edges, "sender/out", "receiver/in").counts;
    assert_eq!((counts.sent, counts.released), (count, count));
    project
}

const RUST_RECEIVER: &str = "path: RUST_NODE\n    args: [receive, gate=GATES/gate]";
const PYTHON_RECEIVER: &str = "path: NODES/receive.py\n    args: [gate=GATES/gate]";

#[test]
fn one_large_message_of_a_sender_that_exits_at_once_arrives_in_rust() {
    let sender = "path: RUST_NODE\n    args: [send, count=1, bytes=4000000]";
    everything_arrives("large-rust", sender, RUST_RECEIVER, 1);
}

#[test]
fn one_large_message_of_a_sender_that_exits_at_once_arrives_in_python() {
    let sender = "path: NODES/send.py\n    args: [count=1, bytes=4000000]";
    everything_arrives("large-python", sender, PYTHON_RECEIVER, 1);
}

#[test]
fn a_thousand_small_messages_of_a_sender_that_exits_at_once_arrive_in_rust() {
    let sender = "path: RUST_NODE\n    args: [send, count=1000, bytes=24]";
    everything_arrives("thousand-rust", sender, RUST_RECEIVER, 1000);
}

#[test]
fn a_thousand_small_messages_of_a_sender_that_exits_at_once_arrive_in_python() {
    let sender = "path: RUST_NODE\n    args: [send, count=1000, bytes=24]";
    everything_arrives("thousand-python", sender, PYTHON_RECEIVER, 1000);
}

#[test]
fn a_thousand_messages_in_segments_of_a_sender_that_exits_at_once_arrive() {
    let sender = "path: RUST_NODE\n    args: [send, count=1000, bytes=5000]";
    everything_arrives("thousand-chunks", sender, RUST_RECEIVER, 1000);
}

#[test]
fn the_end_of_a_sender_does_not_wait_for_a_silent_input_of_its_receiver() {
    let project = Project::new("silent-input");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=3, bytes=4000000]
    outputs: [out]
  - id: silent
    path: RUST_NODE
    args: [send, count=0, then=wait]
    outputs: [out]
  - id: receiver
    path: NODES/receive.py
    inputs:
      data: { source: sender/out, queue_policy: block }
      nothing: silent/out
",
    );
    let up = project.up();
    // What a receiver gives back is seen apart from what it says of itself.
    let status = project.wait_until("the sender is finished, and the receiver runs", |status| {
        node(status, "sender").state == LifeCycle::Finished
            && node(status, "receiver").state == LifeCycle::Running
    });
    assert!(!node(&status, "silent").state.is_final());
    let record = project.record("receiver");
    record.wait_for("event input_closed data");
    assert_eq!(record.arrived("data"), [1, 2, 3]);
    assert!(
        record
            .facts("event")
            .iter()
            .all(|event| event != "all_inputs_closed")
    );

    project.down().expect_code(0);
    up.wait().expect_code(0);
    record.wait_for("event all_inputs_closed");
    assert_eq!(project.record("silent").facts("event"), ["stop"]);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_receiver_that_breaks_at_the_end_has_seen_everything_queued_before_it() {
    for (name, receiver) in [
        ("break-python", "NODES/receive.py"),
        ("break-rust", "RUST_NODE"),
    ] {
        let project = Project::new(name);
        let mut gate = project.gate("gate");
        let role = if receiver == "RUST_NODE" {
            "receive, "
        } else {
            ""
        };
        project.flow(&format!(
            "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=1]
    outputs: [out]
  - id: receiver
    path: {receiver}
    args: [{role}until=stop, gate=GATES/gate, gate_at=5]
    inputs: {{ in: {{ source: sender/out, queue_size: 200, queue_policy: block }} }}
"
        ));
        let up = project.up();
        gate.wait_until_reached();
        project.wait_until("twenty messages are queued", |status| {
            status.edges[0].counts.queued >= 20
        });
        let down = project.dataflow(["down"]).start();
        down.wait_for_line(&["waiting for receiver"]);
        gate.open();
        down.wait().expect_code(0);
        up.wait().expect_code(0);

        let sender = project.record("sender");
        let sent: u64 = sender.facts("sent")[0].parse().expect("a count");
        assert!(sent > 20);
        let all: Vec<u64> = (1..=sent).collect();
        assert_eq!(project.record("receiver").arrived("in"), all, "{name}");
        assert_eq!(project.report().outcome, Outcome::Drained);
    }
}
