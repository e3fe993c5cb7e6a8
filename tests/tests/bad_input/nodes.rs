//! Nodes that cannot do what they were started for.

use dataflow_ids::End;
use dataflow_tests::{Project, bare_python, node_report};
use dataflow_wire::status::Outcome;

use crate::assert_one_error;

#[test]
fn a_python_without_our_module_is_named_with_the_remedy() {
    let project = Project::new("bare-python");
    let python = bare_python(project.folder());
    let python = python.to_string_lossy().into_owned();
    project.flow(&format!(
        "
nodes:
  - id: camera
    path: NODES/send.py
    python: {python}
    outputs: [out]
"
    ));
    let parts = [
        "camera",
        "bare/bin/python",
        "import dataflow",
        "pip install",
    ];
    let ended = project.up().wait();
    let code = ended.code().expect("it was not killed");
    assert_one_error(ended, code, &parts);
    assert_eq!(code, 2, "the description names the wrong Python");
}

#[test]
fn a_python_that_does_not_exist_is_named() {
    let project = Project::new("no-python");
    project.flow(
        "
nodes:
  - id: camera
    path: NODES/send.py
    python: ./nowhere/python
    outputs: [out]
",
    );
    assert_one_error(
        project.up().wait(),
        2,
        &["no-python.yml:5", "nowhere/python"],
    );
}

#[test]
fn a_send_on_an_output_that_is_not_declared_names_those_that_are() {
    let project = Project::new("send-undeclared");
    project.flow(
        "
nodes:
  - id: camera
    path: NODES/send_undeclared.py
    outputs: [image, depth]
",
    );
    let ended = project.up().wait().expect_code(1);
    let ended = ended.expect_line(&["camera", "exit code 1"]);
    ended.expect_line(&["node camera has no output `secret`", "image", "depth"]);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Failed);
    let camera = node_report(&report, "camera");
    assert!(matches!(&camera.end, End::Crashed { how } if how.starts_with("exit code 1")));
    assert!(
        camera
            .last_lines
            .iter()
            .any(|line| line.contains("no output `secret`"))
    );
}

#[test]
fn a_message_above_the_memory_limit_names_the_limit_and_its_key() {
    let project = Project::new("too-large");
    project.flow(
        "
nodes:
  - id: camera
    path: NODES/send_too_much.py
    args: [bytes=20000000]
    output_memory_mb: 10
    outputs: [out]
  - id: viewer
    path: RUST_NODE
    args: [receive]
    inputs: { in: camera/out }
",
    );
    let ended = project.up().wait().expect_code(1);
    ended.expect_line(&[
        "message of 20000000 bytes",
        "node camera",
        "output_memory_mb: ",
    ]);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.edges[0].counts.sent, 0);
}

#[test]
fn a_program_that_is_no_program_fails_the_up_by_name() {
    let project = Project::new("no-format");
    let program = project.folder().join("camera");
    std::fs::write(&program, "neither a script nor a binary\n").expect("it can be written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("it is ours");
    project.flow(
        "
nodes:
  - id: camera
    path: ./camera
    outputs: [out]
  - id: viewer
    path: RUST_NODE
    args: [receive]
    inputs: { in: camera/out }
",
    );
    let ended = project.up().wait().expect_code(1);
    ended.expect_line(&["camera", "could not be started"]);
    assert_eq!(project.report().outcome, Outcome::Failed);
}

#[test]
fn a_node_with_edges_that_never_uses_the_library_is_named() {
    // It declares an output and ends well without ever having been ready.
    let project = Project::new("no-library");
    project.flow(
        "
nodes:
  - id: camera
    path: /bin/true
    outputs: [out]
  - id: viewer
    path: RUST_NODE
    args: [receive]
    inputs: { in: camera/out }
",
    );
    project
        .up()
        .wait()
        .expect_code(1)
        .expect_line(&["camera", "before it was ready"]);
    assert_eq!(project.report().outcome, Outcome::Failed);
}

#[test]
fn a_node_that_is_started_by_hand_says_how_to_start_it() {
    let project = Project::new("by-hand");
    project.flow("# needs NODES/send.py");
    let python = project
        .program(dataflow_tests::python())
        .args(["-c", "import dataflow; dataflow.Node()"])
        .run()
        .expect_code(1);
    assert!(python.error().contains("outside a dataflow"), "{python}");
    assert!(python.error().contains("dataflow up"), "{python}");
    let rust = project
        .program(dataflow_tests::test_node())
        .args(["receive"])
        .env("DATAFLOW_NODE", "by-hand")
        .run()
        .expect_code(1);
    assert!(rust.error().contains("outside a dataflow"), "{rust}");
}

#[test]
fn up_in_the_background_fails_with_the_node_that_fails() {
    let project = Project::new("background-fails");
    project.flow(
        "
nodes:
  - id: early
    path: NODES/exit_early.py
    outputs: [out]
  - id: viewer
    path: RUST_NODE
    args: [receive]
    inputs: { in: early/out }
",
    );
    let ended = project.dataflow(["up", "-d"]).arg(project.file()).run();
    let ended = ended.expect_code(1);
    assert!(ended.error().contains("early"), "{ended}");
    assert!(ended.error().contains("no camera found"), "{ended}");
    assert_eq!(project.processes(), [], "nothing is left running");
}
