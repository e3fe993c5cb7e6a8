//! Cycles: stopped as one, and ended by themselves when their outer inputs have closed and all is quiet.

use dataflow_ids::End;
use dataflow_tests::{Project, edge, node_report};
use dataflow_wire::status::Outcome;

#[test]
fn a_cycle_whose_outer_source_has_ended_ends_by_itself_when_it_is_quiet() {
    let project = Project::new("cycle-quiet");
    project.flow(
        "
nodes:
  - id: source
    path: RUST_NODE
    args: [send, count=5, bytes=5000]
    outputs: [out]
  - id: left
    path: RUST_NODE
    args: [relay, hops=10]
    inputs:
      outer: source/out
      inner: { source: right/out, queue_size: 20 }
    outputs: [out]
  - id: right
    path: RUST_NODE
    args: [relay, hops=10]
    inputs: { in: { source: left/out, queue_size: 20 } }
    outputs: [out]
",
    );
    project.up().wait().expect_code(0);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report:#?}");
    for id in ["source", "left", "right"] {
        assert_eq!(node_report(&report, id).end, End::Drained);
    }
    // Five messages make ten hops each: five from the left, five from the right.
    assert_eq!(project.record("left").arrived("outer"), [1, 2, 3, 4, 5]);
    assert_eq!(project.record("left").arrived("inner").len(), 25);
    assert_eq!(project.record("right").arrived("in").len(), 25);
    let counts = edge(&report.edges, "left/out", "right/in").counts;
    assert_eq!((counts.sent, counts.released), (25, 25));
}

#[test]
fn a_cycle_comes_to_rest_while_a_member_still_holds_a_message_from_outside() {
    let project = Project::new("cycle-holds");
    project.flow(
        "
nodes:
  - id: source
    path: RUST_NODE
    args: [send, count=1, bytes=5000]
    outputs: [out]
  - id: left
    path: RUST_NODE
    args: [relay, hops=3, hold=100]
    inputs:
      outer: source/out
      inner: { source: right/out, queue_size: 20 }
    outputs: [out]
  - id: right
    path: RUST_NODE
    args: [relay, hops=3]
    inputs: { in: { source: left/out, queue_size: 20 } }
    outputs: [out]
",
    );
    project.up().wait().expect_code(0);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report:#?}");
    let counts = edge(&report.edges, "source/out", "left/outer").counts;
    assert_eq!((counts.sent, counts.released, counts.lost), (1, 1, 0));
}

#[test]
fn a_cycle_in_which_messages_go_round_for_ever_is_stopped_as_one() {
    let project = Project::new("cycle-stopped");
    project.flow(
        "
nodes:
  - id: source
    path: RUST_NODE
    args: [send, count=5, bytes=5000, then=wait]
    outputs: [out]
  - id: left
    path: RUST_NODE
    args: [relay, hops=endless, quiet]
    inputs:
      outer: source/out
      inner: { source: right/out, queue_size: 20 }
    outputs: [out]
  - id: right
    path: RUST_NODE
    args: [relay, hops=endless, quiet]
    inputs: { in: { source: left/out, queue_size: 20 } }
    outputs: [out]
",
    );
    let up = project.up();
    project.wait_until("messages go round", |status| {
        edge(&status.edges, "right/out", "left/inner")
            .counts
            .delivered
            > 1000
    });
    project.down().expect_code(0);
    up.wait().expect_code(0);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report:#?}");
    let outer = edge(&report.edges, "source/out", "left/outer").counts;
    assert_eq!((outer.sent, outer.released), (5, 5));
    // What was sent inside the cycle after the stop is delivered, or listed: the sums of I-2 say so.
    for id in ["left", "right"] {
        assert_eq!(node_report(&report, id).end, End::Drained);
        project.record(id).wait_for("end");
    }
    assert_both_stopped(&project);
}

/// Both members of a cycle are told to stop. Who hears it later may see the end of the other first, which is an
/// end as well.
fn assert_both_stopped(project: &Project) {
    let last = |id| project.record(id).facts("event").pop().unwrap_or_default();
    let words = [last("left"), last("right")];
    assert!(words.contains(&"stop".to_owned()), "{words:?}");
    let ends = |word: &String| word == "stop" || word == "all_inputs_closed";
    assert!(words.iter().all(ends), "{words:?}");
}

#[test]
fn a_node_connected_to_itself_ends_when_its_source_has_ended_and_it_is_quiet() {
    let project = Project::new("self-edge");
    project.flow(
        "
nodes:
  - id: source
    path: RUST_NODE
    args: [send, count=3]
    outputs: [out]
  - id: loop
    path: RUST_NODE
    args: [relay, hops=4]
    inputs:
      outer: source/out
      again: { source: loop/out, queue_size: 20 }
    outputs: [out]
",
    );
    project.up().wait().expect_code(0);
    let record = project.record("loop");
    assert_eq!(record.arrived("outer"), [1, 2, 3]);
    let mut again = record.arrived("again");
    again.sort_unstable();
    assert_eq!(again, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!(node_report(&report, "loop").end, End::Drained);
}

#[test]
fn a_node_connected_to_itself_is_stopped_while_a_message_goes_round() {
    let project = Project::new("self-edge-stopped");
    project.flow(
        "
nodes:
  - id: source
    path: RUST_NODE
    args: [send, count=1, then=wait]
    outputs: [out]
  - id: loop
    path: RUST_NODE
    args: [relay, hops=endless, quiet]
    inputs:
      outer: source/out
      again: loop/out
    outputs: [out]
",
    );
    let up = project.up();
    project.wait_until("the message goes round", |status| {
        edge(&status.edges, "loop/out", "loop/again")
            .counts
            .delivered
            > 1000
    });
    up.interrupt();
    up.wait().expect_code(0);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_cycle_without_an_outer_source_runs_until_it_is_stopped() {
    let project = Project::new("cycle-alone");
    project.flow(
        "
nodes:
  - id: left
    path: RUST_NODE
    args: [relay]
    inputs: { in: right/out }
    outputs: [out]
  - id: right
    path: RUST_NODE
    args: [relay]
    inputs: { in: left/out }
    outputs: [out]
",
    );
    let mut up = project.up();
    // Nobody sends anything, so both only ever wait; the dataflow is up and stays up.
    let status = project.wait_until("both are ready", |status| {
        status.phase == dataflow_wire::status::Phase::Running
    });
    assert!(status.nodes.iter().all(|node| node.pid.is_some()));
    assert!(!up.has_ended());
    project.down().expect_code(0);
    up.wait().expect_code(0);
    assert_both_stopped(&project);
    assert_eq!(project.report().outcome, Outcome::Drained);
}
