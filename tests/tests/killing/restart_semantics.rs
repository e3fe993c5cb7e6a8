//! What a restart means for messages: the queue is kept, what was held is lost by name, epochs grow, and whoever
//! waits for room waits for the next incarnation, or is told that there will be none.

use std::time::{Duration, Instant};

use dataflow_ids::{End, Epoch, LifeCycle};
use dataflow_tests::{Fact, Project, node, node_report, wait_until};
use dataflow_wire::status::Outcome;

use crate::{kill, last_pid};

#[test]
fn every_incarnation_goes_on_with_the_queue_and_what_it_held_is_lost_with_it() {
    let project = Project::new("incarnations");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=5000, count=60]
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink, hold=20, die=1, point=4, after=4, gate=GATES/gate]
    restart: { policy: on-failure, backoff: 1ms..5ms }
    inputs: { i0: { source: sender/o0, queue_size: 100 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    for death in 1..=3 {
        let status = project.wait_until("it holds four, and the rest is queued", |status| {
            let counts = status.edges[0].counts;
            counts.held == 4 && counts.queued == 60 - 4 * u64::from(death)
        });
        let receiver = node(&status, "receiver");
        assert_eq!(
            (receiver.epoch, receiver.restarts),
            (Epoch(death), death - 1)
        );
        assert_eq!(status.edges[0].counts.lost, 4 * u64::from(death - 1));
        kill(receiver.pid);
        gate.wait_for_the_next();
    }
    gate.open();
    up.wait().expect_code(0);
    let (report, accounts) = project.accounts();
    assert_eq!(node_report(&report, "receiver").restarts, 3);
    assert_eq!(
        (accounts.consumed, accounts.lost, accounts.dropped),
        (60, 12, 0)
    );
}

#[test]
fn a_sender_that_blocks_waits_through_the_backoff_and_goes_on_after_it() {
    let project = Project::new("waits-through-backoff");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=5000, count=100]
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink, die=1, point=4, after=5, gate=GATES/gate]
    restart: { policy: on-failure, backoff: 3s..3s }
    inputs: { i0: { source: sender/o0, queue_policy: block, queue_size: 2 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    kill(last_pid(&project, "receiver"));
    let status = project.wait_until("the sender waits, and the receiver will start", |status| {
        node(status, "receiver").state == LifeCycle::Backoff && status.edges[0].blocked
    });
    let before = status.edges[0].counts;
    gate.wait_for_the_next();
    let status = project.wait_until("the next incarnation has read", |status| {
        status.edges[0].counts.delivered == before.delivered + 5
    });
    assert_eq!(node(&status, "sender").epoch, Epoch(1));
    gate.open();
    up.wait().expect_code(0);
    let (report, accounts) = project.accounts();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!(
        (accounts.consumed, accounts.lost, accounts.dropped),
        (100, 1, 0)
    );
}

/// A receiver that dies with its first message, in each of its three incarnations, and a sender that blocks.
fn exhausted(name: &str, on_failure: &str, count: &str) -> Project {
    let project = Project::new(name);
    project.flow(&format!(
        "
on_failure: {on_failure}
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=5000, {count}]
    outputs: [o0]
  - id: crashing
    path: LEDGER_NODE
    args: [sink, die=1, point=4, after=1]
    restart: {{ policy: on-failure, max: 2, window: 60s, backoff: 1500ms..1500ms }}
    inputs: {{ i0: {{ source: sender/o0, queue_policy: block, queue_size: 2 }} }}
"
    ));
    let up = project.up();
    project.wait_until("the sender waits through a backoff", |status| {
        node(status, "crashing").state == LifeCycle::Backoff && status.edges[0].blocked
    });
    up.wait()
        .expect_code(1)
        .expect_line(&["crashing", "2 restarts"]);
    project
}

#[test]
fn a_sender_that_waits_is_released_when_the_restarts_are_exhausted() {
    let project = exhausted("released-continue", "continue", "count=500");
    let (report, accounts) = project.accounts();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(node_report(&report, "sender").end, End::Drained);
    let crashing = node_report(&report, "crashing");
    assert_eq!(crashing.restarts, 2);
    assert!(matches!(&crashing.end, End::Crashed { how } if how.contains("SIGKILL")));
    assert_eq!(
        (accounts.sent, accounts.consumed, accounts.lost),
        (500, 3, 3)
    );
    assert_eq!(report.edges[0].counts.dropped_receiver_closed, 497);
}

#[test]
fn exhausted_restarts_stop_a_dataflow_whose_sender_waits() {
    let project = exhausted("released-stop", "stop", "pause_us=0");
    let (report, accounts) = project.accounts();
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.because.contains("crashing"), "{}", report.because);
    assert_eq!(node_report(&report, "sender").end, End::Drained);
    assert_eq!((accounts.consumed, accounts.lost), (3, 3));
    // Everything else that it was allowed to send is listed.
    assert_eq!(accounts.dropped, accounts.sent - 3);
}

#[test]
fn a_sender_that_waits_is_released_when_its_receiver_ends_for_good() {
    for (name, is_killed) in [("ends-for-good", false), ("dies-for-good", true)] {
        let project = Project::new(name);
        let mut gate = project.gate("gate");
        project.flow(
            "
on_failure: continue
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=50, bytes=5000]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, exit_after=3, gate_at=3, gate=GATES/gate]
    inputs: { in: { source: sender/out, queue_policy: block, queue_size: 2 } }
",
        );
        let up = project.up();
        gate.wait_until_reached();
        let status = project.wait_until("the sender waits", |status| status.edges[0].blocked);
        if is_killed {
            kill(node(&status, "receiver").pid);
        } else {
            gate.open();
        }
        up.wait().expect_code(i32::from(is_killed));
        assert_eq!(project.record("sender").facts("sent"), ["50"]);
        let report = project.report();
        assert_eq!(node_report(&report, "sender").end, End::Drained);
        let counts = report.edges[0].counts;
        assert_eq!(
            (counts.sent, counts.delivered, counts.lost),
            (50, 3, u64::from(is_killed))
        );
        assert_eq!(counts.dropped_receiver_closed, 47);
    }
}

#[test]
fn messages_of_dead_incarnations_stay_whole_for_as_long_as_they_are_held() {
    // `dataflow-soak` holds them for a minute.
    const HELD: Duration = Duration::from_secs(20);
    // However slow the machine is: two whose messages are held, and one more.
    const INCARNATIONS_MIN: usize = 3;
    let project = Project::new("held-old");
    project.flow(
        "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=50000, pause_us=1000]
    output_memory_mb: 12
    restart: { policy: on-failure, max: 100, backoff: 1ms..5ms }
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink, keep=20, each=10]
    inputs: { i0: { source: sender/o0, queue_policy: block } }
",
    );
    let up = project.up();
    let began = Instant::now();
    // It keeps ten of the first two incarnations each; the rest comes and goes in memory beside them.
    let mut incarnations = 0;
    while began.elapsed() < HELD || incarnations < INCARNATIONS_MIN {
        incarnations += 1;
        let seen = project.ledger("receiver").len();
        project.wait_for_messages("receiver", seen + 400);
        kill(last_pid(&project, "sender"));
    }
    let counts = project.ps()[0].edges[0].counts;
    assert!(counts.held >= 20, "{counts:?}");
    wait_until("the sender lives", || {
        let began = project.ledger("sender");
        let began = began
            .iter()
            .filter(|fact| matches!(fact, Fact::Began { .. }));
        began.count() == incarnations + 1
    });
    project.down().expect_code(0);
    up.wait().expect_code(0);
    // It has looked at each of them again before it ended.
    assert!(
        project
            .ledger("receiver")
            .contains(&Fact::Verified { count: 20 })
    );
    let (report, accounts) = project.accounts();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!(accounts.deaths, incarnations as u64);
    assert_eq!((accounts.lost, accounts.dropped), (0, 0));
}
