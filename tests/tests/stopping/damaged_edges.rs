//! A faulty node writes what it likes into an edge that it has (I-3): the others go on, `down` ends everything, and
//! whoever looks is told which edge it was.

use dataflow_ids::LifeCycle;
use dataflow_tests::{Project, edge, node, scribbling_node};
use dataflow_wire::status::DataflowStatus;

/// `a` writes into its edge to `b`; `c` and `d` have nothing to do with either, and `b` reads from `c` too.
fn flow(project: &Project, a: &str, b: &str) {
    let scribbler = scribbling_node();
    let text = "
nodes:
  - id: a
    path: PROGRAM_A
    outputs: [out]
  - id: b
    path: PROGRAM_B
    inputs:
      in: a/out
      other: c/out
  - id: c
    path: RUST_NODE
    args: [send, bytes=5000, every_ms=1]
    outputs: [out]
  - id: d
    path: RUST_NODE
    args: [receive, quiet]
    inputs: { in: { source: c/out, queue_policy: block } }
"
    .replace("PROGRAM_A", a)
    .replace("PROGRAM_B", b)
    .replace("SCRIBBLER", &scribbler.to_string_lossy());
    project.flow(&text);
}

fn delivered(status: &DataflowStatus, source: &str, target: &str) -> u64 {
    edge(&status.edges, source, target).counts.delivered
}

/// Until the damage is seen, what it touches and what it does not, and the end.
fn goes_on_and_ends(project: &Project, goes_on_to: &[&str]) {
    project.up_detached();
    let seen = project.wait_until("the damage is seen", |status| {
        edge(&status.edges, "a/out", "b/in").damage.is_some()
    });
    for target in goes_on_to {
        let before = delivered(&seen, "c/out", target);
        project.wait_until("the other edges go on", |status| {
            delivered(status, "c/out", target) > before + 20
        });
    }
    let status = project.wait_until("all run", |_| true);
    for id in ["a", "b", "c", "d"] {
        let node = node(&status, id);
        let lives = matches!(node.state, LifeCycle::Ready | LifeCycle::Running);
        assert!(lives && node.restarts == 0, "{node:#?}");
    }
    let down = project.down().expect_code(0);
    let down = down.expect_line(&["damaged: a/out → b/in: "]);
    project
        .dataflow(["logs"])
        .run()
        .expect_line(&["edge a/out → b/in is damaged"]);
    let report = project.report_of_damage();
    for edge in &report.edges {
        let is_that = edge.source.as_str() == "a";
        assert_eq!(edge.damage.is_some(), is_that, "{edge:#?}\n{down}");
    }
}

#[test]
fn a_sender_that_writes_into_its_edge_harms_nobody_else() {
    for seed in 1..=3 {
        let project = Project::new("damage-by-sender");
        let a = format!("SCRIBBLER\n    args: ['{seed}']");
        flow(&project, &a, "RUST_NODE\n    args: [receive, quiet]");
        goes_on_and_ends(&project, &["b/other", "d/in"]);
    }
}

#[test]
fn a_receiver_that_writes_into_its_edge_harms_nobody_else() {
    for seed in 1..=3 {
        let project = Project::new("damage-by-receiver");
        let b = format!("SCRIBBLER\n    args: ['{seed}']");
        flow(
            &project,
            "RUST_NODE\n    args: [send, damage=expected, bytes=3000, every_ms=1]",
            &b,
        );
        goes_on_and_ends(&project, &["d/in"]);
    }
}

#[test]
fn an_edge_that_both_of_its_ends_write_into_is_still_drained() {
    let project = Project::new("damage-by-both");
    flow(
        &project,
        "SCRIBBLER\n    args: ['11']",
        "SCRIBBLER\n    args: ['12']",
    );
    goes_on_and_ends(&project, &["d/in"]);
}
