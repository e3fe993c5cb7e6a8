//! A node is killed exactly at a point of its program, where it stands at a gate.

use dataflow_ids::{End, LifeCycle};
use dataflow_tests::{Accounts, Point, Project, node, node_report, wait_until};
use dataflow_wire::status::{EdgeCounts, Outcome, Report};

use crate::{kill, last_pid};

fn counts(report: &Report, source: &str, target: &str) -> EdgeCounts {
    dataflow_tests::edge(&report.edges, source, target).counts
}

/// Kills a relay that stands at this point, lets its next incarnation go on, and stops the dataflow. Gives the
/// report, and the counts of the edge that the relay reads.
fn killed_at(name: &str, point: Point, bytes: u32) -> (Report, EdgeCounts, Accounts) {
    let project = Project::new(name);
    let mut gate = project.gate("gate");
    let place = Point::ALL.iter().position(|at| *at == point);
    let place = place.expect("it is one of all");
    project.flow(&format!(
        "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes={bytes}, pause_us=500]
    outputs: [o0]
  - id: victim
    path: LEDGER_NODE
    args: [relay, bytes={bytes}, die=1, point={place}, after=1, gate=GATES/gate]
    restart: {{ policy: on-failure, max: 10, backoff: 1ms..5ms }}
    inputs: {{ i0: {{ source: sender/o0, queue_policy: block, queue_size: 5 }} }}
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink]
    inputs: {{ i0: {{ source: victim/o0, queue_policy: block }} }}
"
    ));
    let up = project.up();
    let early = matches!(point, Point::BeforeHello | Point::BeforeReady);
    if early {
        // The first incarnation passes these points freely: its death there would fail the `up`.
        project.wait_for_messages("receiver", 1);
        kill(last_pid(&project, "victim"));
    }
    gate.wait_until_reached();
    kill(last_pid(&project, "victim"));
    // The next incarnation comes to the same point.
    gate.wait_for_the_next();
    gate.open();
    let before = project.ledger("receiver").len();
    project.wait_for_messages("receiver", before + 20);
    project.down().expect_code(0);
    up.wait().expect_code(0);
    let (report, accounts) = project.accounts();
    assert_eq!(report.outcome, Outcome::Drained);
    let restarts = if early { 2 } else { 1 };
    assert_eq!(node_report(&report, "victim").restarts, restarts);
    let counts = counts(&report, "sender/o0", "victim/i0");
    assert_eq!(counts.dropped(), 0, "{counts:?}");
    (report, counts, accounts)
}

#[test]
fn nothing_is_lost_of_a_node_killed_before_its_hello() {
    let (_, counts, accounts) = killed_at("before-hello", Point::BeforeHello, 3000);
    // The one that was killed to get there may have had one in its hands.
    assert!(counts.lost <= 1, "{counts:?}");
    assert_eq!(accounts.unwritten, 0);
}

#[test]
fn nothing_is_lost_of_a_node_killed_between_hello_and_ready() {
    let (_, counts, accounts) = killed_at("before-ready", Point::BeforeReady, 3000);
    assert!(counts.lost <= 1, "{counts:?}");
    assert_eq!(accounts.unwritten, 0);
}

#[test]
fn nothing_is_lost_of_a_node_killed_before_its_first_receive() {
    let (_, counts, accounts) = killed_at("ready", Point::Ready, 3000);
    assert_eq!((counts.lost, accounts.unwritten), (0, 0));
}

#[test]
fn the_message_in_the_hands_of_a_killed_node_is_listed_as_lost() {
    let (_, counts, _) = killed_at("in-its-hands", Point::Received, 3000);
    assert_eq!(counts.lost, 1);
    let (_, counts, _) = killed_at("holding", Point::Held, 3000);
    assert_eq!(counts.lost, 1);
}

#[test]
fn a_small_message_has_come_back_when_it_is_handed_over() {
    let (_, counts, accounts) = killed_at("small-in-its-hands", Point::Received, 24);
    assert_eq!((counts.lost, accounts.unwritten), (0, 1));
}

#[test]
fn a_loan_that_was_never_sent_is_no_message() {
    let (report, read, _) = killed_at("loaned", Point::Loaned, 3000);
    assert_eq!(read.lost, 1, "the message that it would have relayed");
    let written = counts(&report, "victim/o0", "receiver/i0");
    assert_eq!((written.lost, written.dropped()), (0, 0));
    assert!(written.sent < read.delivered);
}

#[test]
fn what_a_node_has_sent_before_it_is_killed_arrives() {
    let (report, _, _) = killed_at("sent", Point::Sent, 3000);
    let written = counts(&report, "victim/o0", "receiver/i0");
    assert_eq!(written.sent, written.released);
}

#[test]
fn a_first_incarnation_killed_before_it_is_ready_fails_the_up_and_leaves_nothing() {
    for (name, point) in [("first-hello", 0), ("first-ready", 1)] {
        let project = Project::new(name);
        let mut gate = project.gate("gate");
        project.flow(&format!(
            "
nodes:
  - id: victim
    path: LEDGER_NODE
    args: [source, die=1, point={point}, after=1, gate=GATES/gate, first]
    restart: always
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink]
    inputs: {{ i0: victim/o0 }}
"
        ));
        let up = project.up();
        gate.wait_until_reached();
        kill(last_pid(&project, "victim"));
        up.wait().expect_code(1).expect_line(&["victim", "SIGKILL"]);
        let report = project.report();
        assert_eq!(report.outcome, Outcome::Failed);
        assert_eq!(node_report(&report, "victim").restarts, 0);
        assert_eq!(report.edges[0].counts.sent, 0);
    }
}

/// Whether the main thread of a process sleeps in a wait for descriptors.
fn sleeps_in_poll(pid: Option<u32>) -> bool {
    let pid = pid.expect("it has begun");
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/wchan"))
        .is_ok_and(|place| place.contains("poll"))
}

#[test]
fn a_receiver_killed_in_its_receive_loses_nothing() {
    let project = Project::new("in-receive");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=3000, count=50, die=1, point=6, after=20, gate=GATES/gate]
    outputs: [o0]
  - id: victim
    path: LEDGER_NODE
    args: [sink]
    restart: { policy: on-failure, backoff: 1ms..5ms }
    inputs: { i0: { source: sender/o0, queue_policy: block, queue_size: 5 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    project.wait_for_messages("victim", 20);
    let victim = last_pid(&project, "victim");
    wait_until("it sleeps in its receive", || sleeps_in_poll(victim));
    kill(victim);
    wait_until("the next incarnation has begun", || {
        last_pid(&project, "victim") != victim
    });
    gate.open();
    up.wait().expect_code(0);
    let (report, accounts) = project.accounts();
    assert_eq!(node_report(&report, "victim").restarts, 1);
    assert_eq!((accounts.consumed, accounts.lost), (50, 0));
}

/// A sender that has ended, and a receiver at a gate that holds two of its five messages.
fn draining(name: &str, restart: &str) -> (Project, dataflow_tests::Gate, dataflow_tests::Running) {
    let project = Project::new(name);
    let mut gate = project.gate("gate");
    project.flow(&format!(
        "
on_failure: continue
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=3000, count=5]
    outputs: [o0]
  - id: victim
    path: LEDGER_NODE
    args: [sink, hold=9, die=1, point=4, after=2, gate=GATES/gate]
    {restart}
    inputs: {{ i0: sender/o0 }}
"
    ));
    let up = project.up();
    gate.wait_until_reached();
    project.wait_until("the sender drains", |status| {
        node(status, "sender").state == LifeCycle::Draining && status.edges[0].counts.queued == 3
    });
    kill(last_pid(&project, "victim"));
    (project, gate, up)
}

#[test]
fn a_receiver_killed_while_its_sender_drains_gets_the_rest_in_its_next_incarnation() {
    let (project, mut gate, up) = draining(
        "draining-restart",
        "restart: { policy: on-failure, backoff: 1ms..5ms }",
    );
    gate.wait_for_the_next();
    gate.open();
    up.wait().expect_code(0);
    let (report, accounts) = project.accounts();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!((accounts.consumed, accounts.lost), (5, 2));
    assert_eq!(node_report(&report, "sender").end, End::Drained);
}

#[test]
fn a_sender_is_drained_when_the_receiver_that_held_its_messages_is_killed() {
    let (project, _gate, up) = draining("draining-crash", "restart: never");
    up.wait().expect_code(1);
    let (report, accounts) = project.accounts();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(node_report(&report, "sender").end, End::Drained);
    assert_eq!(
        (accounts.consumed, accounts.lost, accounts.dropped),
        (2, 2, 3)
    );
}

#[test]
fn a_node_killed_while_it_stops_has_crashed_and_delays_nobody() {
    let project = Project::new("killed-stopping");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=3000, pause_us=500]
    outputs: [o0]
  - id: victim
    path: LEDGER_NODE
    args: [relay, hold=3, die=1, point=7, after=1, gate=GATES/gate]
    restart: { policy: on-failure, backoff: 1ms..5ms }
    inputs: { i0: { source: sender/o0, queue_policy: block } }
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink]
    inputs: { i0: { source: victim/o0, queue_policy: block } }
",
    );
    let up = project.up();
    project.wait_for_messages("receiver", 20);
    let down = project.dataflow(["down"]).start();
    gate.wait_until_reached();
    kill(last_pid(&project, "victim"));
    down.wait().expect_code(1);
    up.wait().expect_code(1);
    let (report, accounts) = project.accounts();
    assert_eq!(node_report(&report, "victim").restarts, 0);
    assert!(matches!(
        node_report(&report, "victim").end,
        End::Crashed { .. }
    ));
    assert_eq!(node_report(&report, "sender").end, End::Drained);
    assert_eq!(node_report(&report, "receiver").end, End::Drained);
    assert_eq!((accounts.lost, accounts.dropped), (3, 0));
}
