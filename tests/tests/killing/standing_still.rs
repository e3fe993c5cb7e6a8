//! Processes that stand still for ten seconds (SIGSTOP): nobody is taken for dead, and nothing is lost.

use std::time::{Duration, Instant};

use dataflow_ids::{Epoch, LifeCycle};
use dataflow_tests::{Project, node, wait_until};
use dataflow_wire::status::{Outcome, Phase};
use rustix::process::Signal;

use crate::{last_pid, signal};

fn ten_seconds_pass() {
    let began = Instant::now();
    wait_until("ten seconds have passed", || {
        began.elapsed() >= Duration::from_secs(10)
    });
}

const FLOW: &str = "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=3000, pause_us=2000]
    restart: always
    outputs: [o0]
  - id: relay
    path: LEDGER_NODE
    args: [relay, bytes=50000, hold=2]
    restart: always
    inputs: { i0: { source: sender/o0, queue_policy: block } }
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink, hold=2]
    restart: always
    inputs: { i0: { source: relay/o0, queue_policy: block } }
";

#[test]
fn nodes_that_stand_still_for_ten_seconds_are_not_taken_for_dead_in_any_phase() {
    let project = Project::new("ten-seconds");
    project.flow(FLOW);
    let up = project.up();
    project.wait_for_messages("receiver", 50);
    let before = &project.ps()[0];
    for node in &before.nodes {
        signal(node.pid, Signal::STOP);
    }
    ten_seconds_pass();
    let after = &project.ps()[0];
    // Asked to stop while it still stands.
    let down = project.dataflow(["down"]).start();
    down.wait_for_line(&["waiting for"]);
    for (before, after) in std::iter::zip(&before.nodes, &after.nodes) {
        assert_eq!(
            (after.pid, after.epoch, after.restarts),
            (before.pid, Epoch(1), 0)
        );
        signal(before.pid, Signal::CONT);
    }
    down.wait().expect_code(0);
    up.wait().expect_code(0);
    let (report, accounts) = project.accounts();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!(
        (accounts.deaths, accounts.lost, accounts.dropped),
        (0, 0, 0)
    );
}

#[test]
fn messages_flow_while_the_runtime_stands_still_for_ten_seconds() {
    let project = Project::new("still-runtime");
    project.flow(FLOW);
    let up = project.up();
    project.wait_for_messages("receiver", 50);
    let before = &project.ps()[0];
    up.signal(Signal::STOP);
    let seen = project.ledger("receiver").len();
    ten_seconds_pass();
    project.wait_for_messages("receiver", seen + 500);
    up.signal(Signal::CONT);
    let after = &project.ps()[0];
    for (before, after) in std::iter::zip(&before.nodes, &after.nodes) {
        assert_eq!((after.pid, after.restarts), (before.pid, 0));
    }
    project.down().expect_code(0);
    up.wait().expect_code(0);
    let (_, accounts) = project.accounts();
    assert_eq!(
        (accounts.deaths, accounts.lost, accounts.dropped),
        (0, 0, 0)
    );
}

#[test]
fn a_node_that_stands_still_before_its_hello_is_waited_for() {
    let project = Project::new("still-starting");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, count=50]
    outputs: [o0]
  - id: slow
    path: LEDGER_NODE
    args: [sink, die=1, point=0, first, gate=GATES/gate]
    inputs: { i0: { source: sender/o0, queue_policy: block } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    let slow = last_pid(&project, "slow");
    signal(slow, Signal::STOP);
    gate.open();
    ten_seconds_pass();
    let status = &project.ps()[0];
    assert_eq!(status.phase, Phase::Starting);
    assert_eq!(node(status, "slow").state, LifeCycle::Starting);
    signal(slow, Signal::CONT);
    up.wait().expect_code(0);
    let (_, accounts) = project.accounts();
    assert_eq!((accounts.consumed, accounts.deaths), (50, 0));
}
