//! Held messages and the sender's memory: a receiver that keeps what it gets costs memory, not messages.

use dataflow_ids::LifeCycle;
use dataflow_tests::{Project, edge, node};
use dataflow_wire::status::Outcome;

#[test]
fn a_python_list_of_arrays_costs_memory_and_no_message() {
    let project = Project::new("hold-many");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=300, bytes=20000]
    outputs: [out]
  - id: hoarder
    path: NODES/hold_many.py
    inputs: { in: { source: sender/out, queue_policy: block, queue_size: 4 } }
",
    );
    let ended = project.up().wait().expect_code(0);
    let warnings = ended
        .lines
        .iter()
        .filter(|line| line.text.starts_with("hoarder") && line.text.contains("sender/out"))
        .count();
    assert_eq!(warnings, 1, "one warning names the edge: {ended}");
    let record = project.record("hoarder");
    let all: Vec<u64> = (1..=300).collect();
    assert_eq!(record.arrived("in"), all);
    assert_eq!(record.facts("still"), ["whole"]);
    assert_eq!(record.facts("kept"), ["300"]);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    let counts = edge(&report.edges, "sender/out", "hoarder/in").counts;
    assert_eq!((counts.sent, counts.released, counts.lost), (300, 300, 0));
}

#[test]
fn a_forked_child_that_exits_releases_nothing_of_its_parent_s() {
    let project = Project::new("fork");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=1, bytes=500000]
    outputs: [out]
  - id: parent
    path: NODES/fork.py
    args: [gate=GATES/gate]
    inputs: { in: sender/out }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    let record = project.record("parent");
    assert_eq!(record.facts("child"), ["0"]);
    let status = project.wait_until("the sender drains", |status| {
        node(status, "sender").state == LifeCycle::Draining
    });
    let counts = edge(&status.edges, "sender/out", "parent/in").counts;
    assert_eq!((counts.held, counts.released), (1, 0));
    gate.open();
    up.wait().expect_code(0);
    assert_eq!(record.facts("still"), ["whole"]);
    assert_eq!(record.facts("event"), ["input_closed", "all_inputs_closed"]);
    let counts = edge(&project.report().edges, "sender/out", "parent/in").counts;
    assert_eq!((counts.sent, counts.released), (1, 1));
}

#[test]
fn a_sender_whose_memory_is_full_waits_for_a_block_edge() {
    let project = Project::new("memory-waits");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=100, bytes=1000000]
    output_memory_mb: 12
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, gate=GATES/gate, gate_at=2, hold=2]
    inputs: { in: { source: sender/out, queue_policy: block, queue_size: 100 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    let status = project.wait_until("the sender waits", |status| status.edges[0].blocked);
    assert!(status.edges[0].counts.sent < 14, "12 MB were its limit");
    gate.open();
    up.wait().expect_code(0);
    let all: Vec<u64> = (1..=100).collect();
    assert_eq!(project.record("receiver").arrived("in"), all);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_sender_whose_memory_is_full_drops_the_oldest_where_that_is_the_policy() {
    let project = Project::new("memory-drops");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=100, bytes=1000000]
    output_memory_mb: 12
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, gate=GATES/gate, gate_at=1]
    inputs: { in: { source: sender/out, queue_size: 100 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    project.record("sender").wait_for("end");
    gate.open();
    up.wait().expect_code(0);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    let counts = report.edges[0].counts;
    assert_eq!(counts.sent, 100);
    assert!(counts.dropped_memory > 80, "{counts:?}");
    assert_eq!(counts.dropped_full, 0, "the queue was never full");
    let arrived = project.record("receiver").arrived("in");
    assert_eq!(arrived.len() as u64, counts.delivered);
    assert_eq!(arrived.last(), Some(&100), "the newest are kept");
    assert!(arrived.is_sorted());
}
