//! Limits of the system that are too low.

use dataflow_tests::{Project, dataflow_binary};

use crate::assert_one_error;

fn wide(project: &Project, receivers: usize) {
    let mut flow = String::from(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=10, bytes=5000]
    outputs: [out]
",
    );
    for number in 0..receivers {
        flow += &format!(
            "  - id: receiver{number}
    path: RUST_NODE
    args: [receive]
    inputs: {{ in: {{ source: sender/out, queue_policy: block }} }}
"
        );
    }
    project.flow(&flow);
}

#[test]
fn too_few_descriptors_are_said_before_anything_is_started() {
    let project = Project::new("descriptors");
    wide(&project, 30);
    let limited = format!(
        "ulimit -n 64; exec {} up {}",
        dataflow_binary().display(),
        project.file().display()
    );
    let ended = project.program("sh").args(["-c", &limited]).run();
    assert_one_error(ended, 2, &["descriptors", "64", "ulimit -n"]);
    assert_eq!(project.run_folders(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_small_dataflow_runs_within_64_descriptors() {
    let project = Project::new("few-descriptors");
    wide(&project, 1);
    let limited = format!(
        "ulimit -n 64; exec {} up {}",
        dataflow_binary().display(),
        project.file().display()
    );
    project
        .program("sh")
        .args(["-c", &limited])
        .run()
        .expect_code(0);
}

#[test]
fn a_low_soft_limit_is_raised_for_the_runtime_and_kept_for_the_nodes() {
    let project = Project::new("soft-limit");
    let mut flow = String::from(
        "
nodes:
  - id: limit
    path: /bin/sh
    args: [-c, 'echo soft $(ulimit -Sn)']
",
    );
    for pair in 0..8 {
        flow += &format!(
            "  - id: sender{pair}
    path: RUST_NODE
    args: [send, count=10, bytes=5000]
    outputs: [out]
  - id: receiver{pair}
    path: RUST_NODE
    args: [receive]
    inputs: {{ in: {{ source: sender{pair}/out, queue_policy: block }} }}
"
        );
    }
    project.flow(&flow);
    let limited = format!(
        "ulimit -Sn 64; exec {} up {}",
        dataflow_binary().display(),
        project.file().display()
    );
    let ended = project.program("sh").args(["-c", &limited]).run();
    ended.expect_code(0).expect_line(&["limit", "soft 64"]);
}
