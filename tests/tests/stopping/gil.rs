//! A Python receiver that keeps a message and the interpreter's lock delays its own token, and nothing else.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dataflow_ids::{End, LifeCycle};
use dataflow_tests::{Asked, CommandsBeside, Project, edge, longest_beside, node, node_report};
use dataflow_wire::status::Outcome;

const HELD_SECONDS: u32 = 8;

fn a_receiver_that_keeps_the_lock_is_waited_for(name: &str, kind: &str) {
    let project = Project::new(name);
    project.flow(&format!(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=1, bytes=4000000]
    outputs: [out]
  - id: receiver
    path: NODES/hold_gil.py
    args: [kind={kind}, seconds={HELD_SECONDS}]
    inputs: {{ in: sender/out }}
"
    ));
    let up = project.up();
    let record = project.record("receiver");
    record.wait_for("holding");
    let status = project.wait_until("the sender has ended and drains", |status| {
        node(status, "sender").state == LifeCycle::Draining
    });
    let pid = node(&status, "receiver").pid;
    assert!(pid.is_some());

    let mut down = project.dataflow(["down"]).start();
    let beside = CommandsBeside::start();
    let mut answers = Vec::new();
    while !down.has_ended() {
        let at = Instant::now();
        let statuses = project.ps();
        answers.push((at, at.elapsed()));
        for status in statuses {
            let edge = edge(&status.edges, "sender/out", "receiver/in");
            assert_eq!(edge.counts.lost, 0, "nothing is lost");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let others = beside.end();
    let ended_ns = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970")
        .as_nanos();
    let said = down.wait().expect_code(0).expect_line(&[
        "waiting for receiver",
        &format!("pid {}, alive", pid.expect("it had one")),
        "in user code for",
        "holds 1 message of sender/out",
    ]);

    let sorted = |asked: &[Asked]| {
        let mut took: Vec<_> = asked.iter().map(|(_, took)| *took).collect();
        took.sort();
        format!(
            "p50 {:?}, max {:?}",
            took[took.len() / 2],
            took[took.len() - 1]
        )
    };
    println!(
        "{name}: {} × ps: {}; commands without a runtime beside it: {}",
        answers.len(),
        sorted(&answers),
        sorted(&others)
    );
    for answer in answers {
        let beside = longest_beside(answer, &others);
        assert!(
            answer.1 < Duration::from_secs(1) + 4 * beside,
            "ps took {:?}, and a command without a runtime {beside:?}",
            answer.1
        );
    }

    assert_eq!(record.facts("still"), ["whole"], "{said}");
    let released_ns: u128 = record.facts("releasing")[0].parse().expect("a time");
    let after = Duration::from_nanos(
        u64::try_from(ended_ns.saturating_sub(released_ns)).expect("a short time"),
    );
    println!("{name}: down ended {after:?} after the release");
    assert!(
        ended_ns > released_ns,
        "down has not waited for the release"
    );
    assert!(
        after < Duration::from_secs(4),
        "{after:?} after the release"
    );

    up.wait().expect_code(0);
    assert_eq!(record.facts("event"), ["input_closed", "all_inputs_closed"]);
    assert_eq!(record.arrived("in"), [1]);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    for id in ["sender", "receiver"] {
        assert_eq!(node_report(&report, id).end, End::Drained, "{id}");
        assert_eq!(node_report(&report, id).restarts, 0, "{id}");
    }
    let counts = edge(&report.edges, "sender/out", "receiver/in").counts;
    assert_eq!((counts.sent, counts.released, counts.lost), (1, 1, 0));
}

#[test]
fn a_python_loop_that_keeps_a_message_delays_only_its_own_token() {
    a_receiver_that_keeps_the_lock_is_waited_for("gil-loop", "loop");
}

#[test]
fn a_c_call_that_keeps_the_interpreter_lock_delays_only_its_own_token() {
    a_receiver_that_keeps_the_lock_is_waited_for("gil-call", "call");
}
