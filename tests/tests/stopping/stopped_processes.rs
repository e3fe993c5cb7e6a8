//! Processes that stand still (SIGSTOP): they are waited for, and they stop nobody else.

use dataflow_ids::LifeCycle;
use dataflow_tests::{Project, edge, node};
use dataflow_wire::status::Outcome;
use rustix::process::{Pid, Signal, kill_process};

fn signal(pid: Option<u32>, signal: Signal) {
    let pid = pid
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    kill_process(pid.expect("the process lives"), signal).expect("the process lives");
}

#[test]
fn a_runtime_that_stands_still_is_named_by_who_waits_for_it() {
    let project = Project::new("runtime-stands-still");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=1]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive]
    inputs: { in: { source: sender/out, queue_policy: block } }
",
    );
    let up = project.up();
    project.record("receiver").wait_for("input");
    let runtime = Some(up.pid());
    let pid = format!("(pid {}, state T)", up.pid());
    signal(runtime, Signal::STOP);
    let said = [
        "waiting for the runtime of runtime-stands-still",
        &pid,
        "it does not answer: it is stopped",
        "kill -CONT",
    ];
    let interrupted = project.dataflow(["down"]).start();
    interrupted.wait_for_line(&said);
    interrupted.interrupt();
    assert_eq!(interrupted.wait().code(), None, "Ctrl-C ends the command");
    let ended = project.dataflow(["ps"]).run().expect_code(1);
    ended.expect_line(&["does not answer", "it is stopped", "kill -CONT"]);
    let restart = project.dataflow(["restart", "receiver"]).start();
    restart.wait_for_line(&said);
    signal(runtime, Signal::CONT);
    restart.wait().expect_code(0);

    // It can stop in the middle of a stop, too.
    let status = project.ps().remove(0);
    let receiver = node(&status, "receiver").pid;
    signal(receiver, Signal::STOP);
    let down = project.dataflow(["down"]).start();
    down.wait_for_line(&["waiting for receiver"]);
    signal(runtime, Signal::STOP);
    down.wait_for_line(&said);
    signal(runtime, Signal::CONT);
    signal(receiver, Signal::CONT);
    down.wait().expect_code(0);
    up.wait().expect_code(0);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_receiver_that_stands_still_is_waited_for_and_delays_nobody_else() {
    let project = Project::new("standing-still");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=1, bytes=50000]
    outputs: [out]
  - id: still
    path: RUST_NODE
    args: [receive]
    inputs: { in: { source: sender/out, queue_size: 5 } }
  - id: other
    path: RUST_NODE
    args: [receive]
    inputs: { in: { source: sender/out, queue_policy: block } }
",
    );
    let up = project.up();
    project.record("still").wait_for("input");
    let pid = node(&project.ps()[0], "still").pid;
    signal(pid, Signal::STOP);
    // The sender makes new segments meanwhile and does not wait for a receiver that maps none.
    let before = edge(&project.ps()[0].edges, "sender/out", "other/in").counts;
    project.wait_until("the other goes on", |status| {
        let now = edge(&status.edges, "sender/out", "other/in").counts;
        now.delivered > before.delivered + 200
    });
    let down = project.dataflow(["down"]).start();
    down.wait_for_line(&["waiting for still", "of sender/out"]);
    let status = project.wait_until("the other has ended", |status| {
        node(status, "other").state == LifeCycle::Finished
    });
    assert!(!node(&status, "still").state.is_final());
    signal(pid, Signal::CONT);
    down.wait().expect_code(0);
    up.wait().expect_code(0);
    assert_eq!(project.report().outcome, Outcome::Drained);
}
