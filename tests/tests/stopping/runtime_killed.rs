//! The runtime is killed: its nodes go with it, and the next `up` finds a clean place.

use dataflow_tests::{Process, Project, wait_until};
use dataflow_wire::status::Outcome;
use rustix::process::Signal;

#[test]
fn all_nodes_go_with_a_killed_runtime_and_the_next_up_works() {
    let project = Project::new("runtime-killed");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, bytes=100000]
    outputs: [out]
  - id: stuck
    path: NODES/hold_gil.py
    args: [kind=call, seconds=1000]
    inputs: { in: sender/out }
  - id: stubborn
    path: RUST_NODE
    args: [stubborn]
    inputs: { in: { source: sender/out, queue_policy: block } }
  - id: foreign
    path: /bin/sh
    args: [-c, 'trap \"\" TERM HUP; exec sleep 1000']
",
    );
    let up = project.up();
    project.record("stuck").wait_for("holding");
    project.record("stubborn").wait_for("ready");
    wait_until("all have been started", || project.processes().len() >= 5);

    up.signal(Signal::KILL);
    let took = project.wait_until_no_process();
    println!("runtime-killed: all nodes gone after {took:?}");
    drop(up);

    assert_eq!(project.ps(), [], "a dead dataflow is not shown");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=1]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive]
    inputs: { in: sender/out }
",
    );
    project.up().wait().expect_code(0);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

fn its_children_go_too(name: &str, program: &str) {
    let project = Project::new(name);
    project.flow(&format!(
        "
nodes:
  - id: wrapper
    path: /bin/sh
    args: [-c, 'sleep 1000 & {program}']
"
    ));
    let up = project.up();
    up.wait_for_line(&["wrapper", "its child runs"]);
    let sleeps = |process: &Process| process.command == "sleep 1000";
    // The child is a shell for a moment.
    wait_until("its child sleeps", || {
        project.processes().iter().any(sleeps)
    });
    up.signal(Signal::KILL);
    let took = project.wait_until_no_process();
    println!("{name}: all gone after {took:?}");
    drop(up);
    assert_eq!(project.ps(), []);
}

#[test]
fn the_children_of_a_node_go_with_a_killed_runtime() {
    its_children_go_too("children-killed", "exec RUST_NODE stubborn");
}

#[test]
fn the_children_of_a_program_without_our_library_go_with_a_killed_runtime() {
    its_children_go_too("foreign-children-killed", "echo its child runs; wait");
}
