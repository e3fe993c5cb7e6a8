//! Shapes of graphs: two inputs on one output, sixteen receivers, chains, timers.

use dataflow_tests::{Project, edge};
use dataflow_wire::status::Outcome;

#[test]
fn a_node_subscribed_twice_to_one_output_gets_each_message_twice() {
    let project = Project::new("twice");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=100, bytes=10000]
    outputs: [out]
  - id: receiver
    path: NODES/receive.py
    inputs:
      left: { source: sender/out, queue_policy: block }
      right: { source: sender/out, queue_policy: block, queue_size: 3 }
",
    );
    project.up().wait().expect_code(0);
    let record = project.record("receiver");
    let all: Vec<u64> = (1..=100).collect();
    assert_eq!(record.arrived("left"), all);
    assert_eq!(record.arrived("right"), all);
    let mut closed = record.facts("event");
    assert_eq!(closed.pop().as_deref(), Some("all_inputs_closed"));
    closed.sort();
    assert_eq!(closed, ["input_closed left", "input_closed right"]);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn sixteen_receivers_each_get_every_message() {
    let project = Project::new("fan-out");
    let mut flow = String::from(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=100, bytes=200000]
    outputs: [out]
",
    );
    for number in 0..16 {
        // Of different speeds, so that they hold different messages at each moment.
        flow += &format!(
            "  - id: receiver{number}
    path: RUST_NODE
    args: [receive, hold={}, slow_us={}]
    inputs: {{ in: {{ source: sender/out, queue_policy: block, queue_size: {} }} }}
",
            number % 5,
            number * 50,
            1 + number % 4,
        );
    }
    project.flow(&flow);
    project.up().wait().expect_code(0);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    let all: Vec<u64> = (1..=100).collect();
    for number in 0..16 {
        let receiver = format!("receiver{number}");
        assert_eq!(project.record(&receiver).arrived("in"), all, "{receiver}");
        let counts = edge(&report.edges, "sender/out", &format!("{receiver}/in")).counts;
        assert_eq!((counts.sent, counts.released), (100, 100));
    }
}

#[test]
fn a_stop_runs_down_a_chain_after_the_data() {
    let project = Project::new("chain");
    project.flow(
        "
nodes:
  - id: first
    path: RUST_NODE
    args: [send, every_ms=1, bytes=5000]
    outputs: [out]
  - id: second
    path: RUST_NODE
    args: [relay]
    inputs: { in: { source: first/out, queue_policy: block } }
    outputs: [out]
  - id: third
    path: RUST_NODE
    args: [relay]
    inputs: { in: { source: second/out, queue_policy: block } }
    outputs: [out]
  - id: last
    path: NODES/receive.py
    inputs: { in: { source: third/out, queue_policy: block } }
",
    );
    let up = project.up();
    project.record("last").wait_for_count("input", 50);
    up.interrupt();
    up.wait().expect_code(0).expect_line(&["drained"]);
    let sent: u64 = project.record("first").facts("sent")[0]
        .parse()
        .expect("a count");
    let all: Vec<u64> = (1..=sent).collect();
    for id in ["second", "third", "last"] {
        assert_eq!(project.record(id).arrived("in"), all, "{id}");
        assert_eq!(
            project.record(id).facts("event"),
            ["input_closed in", "all_inputs_closed"],
            "{id} is ended by its input and needs no stop"
        );
    }
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_node_with_only_timers_is_a_source_and_gets_the_stop() {
    let project = Project::new("timers");
    project.flow(
        "
nodes:
  - id: clock
    path: NODES/stop_event.py
    inputs: { tick: timer/5ms }
",
    );
    let up = project.up();
    let record = project.record("clock");
    record.wait_for_count("tick tick", 10);
    project.down().expect_code(0);
    up.wait().expect_code(0);
    assert_eq!(record.facts("event"), ["stop"]);
    record.wait_for("end");
}

#[test]
fn a_program_without_our_library_is_stopped_by_a_signal() {
    let project = Project::new("foreign");
    project.flow(
        "
nodes:
  - id: foreign
    path: /bin/sh
    args: [-c, 'echo hello from the shell; exec sleep 1000']
",
    );
    let up = project.up();
    up.wait_for_line(&["foreign", "hello from the shell"]);
    project.down().expect_code(0);
    up.wait().expect_code(0);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn what_a_node_leaves_in_its_process_group_ends_with_it() {
    let project = Project::new("left-behind");
    project.flow(
        "
nodes:
  - id: foreign
    path: /bin/sh
    args: [-c, 'sleep 1000 & echo leaving']
",
    );
    project
        .up()
        .wait()
        .expect_code(0)
        .expect_line(&["foreign", "leaving"]);
    assert_eq!(project.processes(), []);
}
