//! Starting: nothing is lost before everybody is ready, and a start that fails leaves nothing.

use dataflow_tests::Project;
use dataflow_wire::status::Outcome;

#[test]
fn the_first_message_waits_for_a_receiver_that_is_slow_to_start() {
    let project = Project::new("slow-import");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=30]
    outputs: [out]
  - id: slow
    path: NODES/never_ready.py
    args: [gate=GATES/gate]
    inputs: { in: { source: sender/out, queue_size: 30 } }
  - id: quick
    path: RUST_NODE
    args: [receive]
    inputs: { in: { source: sender/out, queue_size: 30 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    project.record("sender").wait_for("connected");
    project.record("quick").wait_for("connected");
    let status = project.wait_until("the dataflow is there", |_| true);
    assert!(status.edges.iter().all(|edge| edge.counts.sent == 0));
    gate.open();
    up.wait().expect_code(0);
    let slow = project.record("slow").facts("event");
    assert_eq!(slow.iter().filter(|event| *event == "input").count(), 30);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_node_that_exits_before_it_is_ready_fails_the_up_whatever_restart_says() {
    let project = Project::new("exits-early");
    project.flow(
        "
nodes:
  - id: early
    path: NODES/exit_early.py
    restart: always
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive]
    inputs: { in: early/out }
",
    );
    let ended = project.up().wait().expect_code(1);
    let ended = ended.expect_line(&["early", "exit code 5"]);
    ended.expect_line(&["no camera found"]);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Failed);
}
