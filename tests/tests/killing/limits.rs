//! Limits of the system below what is needed: the node that meets one says which, and nobody else notices.

use dataflow_ids::{End, Epoch, LifeCycle};
use dataflow_tests::{Project, dataflow_binary, edge, node, node_report};
use dataflow_wire::status::Outcome;

use crate::kill;

#[test]
fn restarts_go_on_within_64_descriptors() {
    let project = Project::new("restarts-64");
    project.flow(
        "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=30000, pause_us=500]
    restart: { policy: on-failure, max: 100, backoff: 1ms..2ms }
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink, hold=3]
    restart: { policy: on-failure, max: 100, backoff: 1ms..2ms }
    inputs: { i0: { source: sender/o0, queue_policy: block } }
",
    );
    let limited = format!(
        "ulimit -n 64; exec {} up {}",
        dataflow_binary().display(),
        project.file().display()
    );
    let up = project.program("sh").args(["-c", &limited]).start();
    for death in 1..=15 {
        let seen = project.ledger("receiver").len();
        project.wait_for_messages("receiver", seen + 5);
        let status = project.wait_until("both run", |status| {
            let mut nodes = status.nodes.iter();
            nodes.all(|node| node.epoch == Epoch(death) && node.state == LifeCycle::Running)
        });
        for node in &status.nodes {
            kill(node.pid);
        }
    }
    let seen = project.ledger("receiver").len();
    project.wait_for_messages("receiver", seen + 5);
    project.down().expect_code(0);
    up.wait().expect_code(0);
    let (report, accounts) = project.accounts();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!((accounts.deaths, accounts.dropped), (30, 0));
}

/// A sender of large messages, its receiver, and a neighbour, of which one may not have enough memory.
fn with_little_memory(name: &str, sender: &str, receiver: &str) -> Project {
    let project = Project::new(name);
    let limited = |program: &str| format!("ulimit -v 30000; exec LEDGER_NODE {program}");
    let program = |which: &str, program: &str| match which {
        "limited" => format!("path: /bin/sh\n    args: [-c, '{}']", limited(program)),
        _ => format!(
            "path: LEDGER_NODE\n    args: [{}]",
            program.replace(' ', ", ")
        ),
    };
    project.flow(&format!(
        "
on_failure: continue
nodes:
  - id: sender
    {}
    outputs: [o0]
  - id: receiver
    {}
    inputs: {{ i0: {{ source: sender/o0, queue_policy: block }} }}
  - id: other
    path: LEDGER_NODE
    args: [source, pause_us=500]
    outputs: [o0]
  - id: neighbour
    path: LEDGER_NODE
    args: [sink]
    inputs:
      i0: {{ source: other/o0, queue_policy: block }}
      i1: {{ source: sender/o0, queue_policy: block }}
",
        program(sender, "source bytes=10000000 count=6"),
        program(receiver, "sink")
    ));
    project
}

#[test]
fn a_sender_without_memory_fails_by_name_and_the_others_go_on() {
    let project = with_little_memory("little-to-send", "limited", "free");
    let up = project.up();
    project.wait_until("the sender has failed", |status| {
        node(status, "sender").state == LifeCycle::Failed
    });
    let seen = project.ledger("neighbour").len();
    project.wait_for_messages("neighbour", seen + 50);
    project.down().expect_code(1);
    up.wait().expect_code(1);
    let (report, _) = project.accounts();
    let sender = node_report(&report, "sender");
    let said = sender.last_lines.join("\n");
    assert!(said.contains("memory"), "{sender:#?}");
    assert_eq!(node_report(&report, "receiver").end, End::Drained);
    assert_eq!(node_report(&report, "neighbour").end, End::Drained);
}

#[test]
fn a_receiver_that_cannot_map_its_sender_s_memory_fails_by_name_and_the_others_go_on() {
    let project = with_little_memory("little-to-map", "free", "limited");
    let up = project.up();
    project.wait_until("the sender has ended", |status| {
        node(status, "sender").state.is_final()
    });
    let seen = project.ledger("neighbour").len();
    project.wait_for_messages("neighbour", seen + 50);
    project.down().expect_code(0);
    up.wait()
        .expect_code(0)
        .expect_line(&["receiver", "cannot be mapped"]);
    // The edge was closed at once, at the message that could not be read; what follows it is listed.
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    let counts = edge(&report.edges, "sender/o0", "receiver/i0").counts;
    assert!(counts.dropped_receiver_closed > 0, "{counts:?}");
    let counts = edge(&report.edges, "sender/o0", "neighbour/i1").counts;
    assert_eq!((counts.sent, counts.released), (6, 6));
    assert_eq!(node_report(&report, "neighbour").end, End::Drained);
}
