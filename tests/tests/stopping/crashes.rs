//! A process that is killed costs what it held, by name, and nothing else.

use dataflow_ids::{End, LifeCycle};
use dataflow_tests::{Project, edge, node, node_report};
use dataflow_wire::status::Outcome;

use crate::kill;

#[test]
fn the_others_go_on_when_a_receiver_is_killed_while_it_holds_messages() {
    let project = Project::new("receiver-killed");
    let mut gate = project.gate("gate");
    project.flow(
        "
on_failure: continue
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=2, bytes=50000]
    outputs: [out]
  - id: victim
    path: RUST_NODE
    args: [receive, hold=100, gate=GATES/gate, gate_at=7]
    inputs: { in: { source: sender/out, queue_size: 20 } }
  - id: other
    path: RUST_NODE
    args: [receive]
    inputs: { in: { source: sender/out, queue_size: 100, queue_policy: block } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    let status = project.wait_until("the victim holds seven and has more to read", |status| {
        let counts = edge(&status.edges, "sender/out", "victim/in").counts;
        counts.held == 7 && counts.queued > 0
    });
    kill(node(&status, "victim").pid);
    let status = project.wait_until("the victim has failed", |status| {
        node(status, "victim").state == LifeCycle::Failed
    });
    let before = edge(&status.edges, "sender/out", "other/in")
        .counts
        .delivered;
    project.wait_until("the other goes on", |status| {
        edge(&status.edges, "sender/out", "other/in")
            .counts
            .delivered
            > before + 50
    });

    project.down();
    up.wait().expect_code(1);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Failed);
    let End::Crashed { how } = &node_report(&report, "victim").end else {
        panic!("{report:#?}");
    };
    assert!(how.contains("SIGKILL"), "{how}");
    assert_eq!(node_report(&report, "sender").end, End::Drained);
    assert_eq!(node_report(&report, "other").end, End::Drained);
    let counts = edge(&report.edges, "sender/out", "victim/in").counts;
    assert_eq!((counts.lost, counts.held, counts.queued), (7, 0, 0));
    assert!(counts.dropped_receiver_closed > 0, "{counts:?}");
    let sent: u64 = project.record("sender").facts("sent")[0]
        .parse()
        .expect("a count");
    let all: Vec<u64> = (1..=sent).collect();
    assert_eq!(project.record("other").arrived("in"), all);
}

#[test]
fn what_a_killed_sender_has_queued_arrives_and_the_others_go_on() {
    let project = Project::new("sender-killed");
    let mut gate = project.gate("gate");
    project.flow(
        "
on_failure: continue
nodes:
  - id: victim
    path: RUST_NODE
    args: [send, count=50, bytes=5000, then=wait]
    outputs: [out]
  - id: other
    path: RUST_NODE
    args: [send, every_ms=2]
    outputs: [out]
  - id: receiver
    path: NODES/receive.py
    args: [gate=GATES/gate, gate_at=3, hold=10]
    inputs:
      victim: { source: victim/out, queue_size: 100 }
  - id: second
    path: RUST_NODE
    args: [receive]
    inputs:
      victim: { source: victim/out, queue_size: 100 }
      other: { source: other/out, queue_policy: block }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    project.record("victim").wait_for("sent 50");
    let status = project.wait_until("47 messages are queued", |status| {
        edge(&status.edges, "victim/out", "receiver/victim")
            .counts
            .queued
            == 47
    });
    kill(node(&status, "victim").pid);
    project.wait_until("the victim drains", |status| {
        node(status, "victim").state == LifeCycle::Draining
    });
    gate.open();
    let status = project.wait_until("the victim has failed", |status| {
        node(status, "victim").state == LifeCycle::Failed
    });
    let before = edge(&status.edges, "other/out", "second/other")
        .counts
        .delivered;
    project.wait_until("the other goes on", |status| {
        edge(&status.edges, "other/out", "second/other")
            .counts
            .delivered
            > before + 50
    });
    project.down();
    up.wait().expect_code(1);

    let all: Vec<u64> = (1..=50).collect();
    for receiver in ["receiver", "second"] {
        let record = project.record(receiver);
        assert_eq!(record.arrived("victim"), all, "{receiver}");
        assert!(
            record
                .facts("event")
                .contains(&"all_inputs_closed".to_owned())
        );
    }
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Failed);
    let counts = edge(&report.edges, "victim/out", "receiver/victim").counts;
    assert_eq!((counts.sent, counts.released, counts.lost), (50, 50, 0));
}

#[test]
fn a_failed_node_stops_the_others_drained_unless_told_otherwise() {
    let project = Project::new("failure-stops");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: crashing
    path: RUST_NODE
    args: [crash, code=7, gate=GATES/gate]
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=1]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, slow_us=2000]
    inputs: { in: { source: sender/out, queue_size: 50, queue_policy: block } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    project.wait_until("messages are queued", |status| {
        status.edges[0].counts.queued > 10
    });
    gate.open();
    let said = up.wait().expect_code(1);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.because.contains("crashing"), "{}", report.because);
    let crashed = node_report(&report, "crashing");
    assert_eq!(
        crashed.end,
        End::Crashed {
            how: "exit code 7".to_owned()
        }
    );
    assert!(
        crashed
            .last_lines
            .iter()
            .any(|line| line.contains("about to exit")),
        "{crashed:#?}"
    );
    let said = said.expect_line(&["crashing", "exit code 7"]);
    let sent: u64 = project.record("sender").facts("sent")[0]
        .parse()
        .expect("a count");
    let all: Vec<u64> = (1..=sent).collect();
    assert_eq!(project.record("receiver").arrived("in"), all, "{said}");
}
