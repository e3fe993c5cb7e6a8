//! Only a person kills: `down --force`, a second Ctrl-C, and a time that a person has set.

use dataflow_ids::{End, Forcer};
use dataflow_tests::{Finished, Project, Running, node, node_report};
use dataflow_wire::status::Outcome;

/// A dataflow with a node that never answers a stop, and one that does.
fn stubborn(name: &str) -> Project {
    let project = Project::new(name);
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=3, bytes=5000, then=wait]
    outputs: [out]
  - id: stubborn
    path: RUST_NODE
    args: [stubborn]
    inputs: { in: sender/out }
",
    );
    project
}

fn up(project: &Project) -> Running {
    let up = project.up();
    project.record("stubborn").wait_for("ready");
    project.record("sender").wait_for("sent 3");
    up
}

/// Waits until the sender has heard of the stop, and has ended by itself.
fn wait_for_the_sender(project: &Project) {
    project.wait_until("the process of the sender has ended", |status| {
        node(status, "sender").pid.is_none()
    });
}

fn assert_forced(project: &Project, ended: Finished, by: Forcer) {
    ended
        .expect_code(3)
        .expect_line(&["forced by"])
        .expect_line(&["killed: stubborn"]);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Forced);
    assert_eq!(report.forced, Some(by));
    assert_eq!(node_report(&report, "stubborn").end, End::Forced { by });
    assert_eq!(node_report(&report, "sender").end, End::Drained);
    let counts = report.edges[0].counts;
    assert_eq!(counts.sent, 3);
    assert_eq!(counts.delivered + counts.dropped() + counts.queued, 3);
}

#[test]
fn a_node_that_ignores_the_stop_is_waited_for_until_a_person_forces_it() {
    let project = stubborn("down-force");
    let up = up(&project);
    let waiting = project.dataflow(["down"]).start();
    waiting.wait_for_line(&[
        "waiting for stubborn",
        "has 3 messages of sender/out to read",
    ]);
    wait_for_the_sender(&project);
    let mut waiting = waiting;
    assert!(!waiting.has_ended());
    project
        .dataflow(["down", "--force"])
        .run()
        .expect_code(3)
        .expect_line(&["stubborn"]);
    waiting.wait().expect_code(3);
    assert_forced(&project, up.wait(), Forcer::DownForce);
}

#[test]
fn who_is_waited_for_to_end_is_named_with_how_long_its_code_has_run() {
    let project = Project::new("busy-at-the-end");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=0]
    outputs: [out]
  - id: stubborn
    path: RUST_NODE
    args: [stubborn]
    inputs: { in: sender/out }
",
    );
    let up = project.up();
    project.record("stubborn").wait_for("ready");
    up.interrupt();
    up.wait_for_line(&[
        "waiting for stubborn",
        "in user code for",
        "its process has not ended",
    ]);
    up.interrupt();
    up.wait().expect_code(3);
}

#[test]
fn a_source_that_is_waited_for_is_named_with_how_long_its_code_has_run() {
    let project = Project::new("busy-source");
    project.flow(
        "
nodes:
  - id: stubborn
    path: RUST_NODE
    args: [stubborn]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive]
    inputs: { in: stubborn/out }
",
    );
    let up = project.up();
    project.record("stubborn").wait_for("ready");
    up.interrupt();
    up.wait_for_line(&[
        "waiting for stubborn",
        "in user code for",
        "its process has not ended",
    ]);
    up.interrupt();
    up.wait().expect_code(3);
}

#[test]
fn a_second_interrupt_forces() {
    let project = stubborn("second-interrupt");
    let up = up(&project);
    up.interrupt();
    up.wait_for_line(&["waiting for stubborn"]);
    wait_for_the_sender(&project);
    up.interrupt();
    assert_forced(&project, up.wait(), Forcer::SecondInterrupt);
}

#[test]
fn down_with_a_time_forces_after_that_time() {
    let project = stubborn("force-after");
    let up = up(&project);
    project
        .dataflow(["down", "--force-after", "3s"])
        .run()
        .expect_code(3);
    let ended = up.wait();
    let report = project.report();
    let took = report.stop_took.expect("it was stopped");
    assert!(took.as_secs() >= 3, "forced too early: {took:?}");
    assert_forced(&project, ended, Forcer::ForceAfter);
}

#[test]
fn the_environment_can_set_the_time_too() {
    let project = stubborn("force-after-variable");
    let up = project
        .dataflow(["up"])
        .arg(project.file())
        .env("DATAFLOW_FORCE_AFTER", "3s")
        .start();
    project.record("stubborn").wait_for("ready");
    project.record("sender").wait_for("sent 3");
    up.interrupt();
    assert_forced(&project, up.wait(), Forcer::ForceAfter);
}

#[test]
fn a_time_to_force_that_is_not_needed_changes_nothing() {
    let project = Project::new("force-not-needed");
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
    project
        .dataflow(["down", "--force-after", "30s"])
        .run()
        .expect_code(0);
    up.wait().expect_code(0);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_program_that_ignores_the_signal_and_its_children_are_forced() {
    let project = Project::new("foreign-force");
    project.flow(
        "
nodes:
  - id: foreign
    path: /bin/sh
    args: [-c, 'trap \"\" TERM; sleep 1000 & echo waiting; wait; wait; sleep 1000']
",
    );
    let up = project.up();
    up.wait_for_line(&["foreign", "waiting"]);
    let down = project.dataflow(["down"]).start();
    down.wait_for_line(&["waiting for foreign", "its process has not ended"]);
    project.dataflow(["down", "--force"]).run().expect_code(3);
    down.wait().expect_code(3);
    up.wait().expect_code(3);
    let report = project.report();
    assert_eq!(
        node_report(&report, "foreign").end,
        End::Forced {
            by: Forcer::DownForce
        }
    );
}
