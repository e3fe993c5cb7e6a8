//! Files that are no description of a dataflow.

use std::os::unix::fs::PermissionsExt;

use dataflow_tests::Project;

use crate::{assert_one_error, assert_refused};

#[test]
fn a_missing_file_is_named() {
    let project = Project::new("missing");
    assert_refused(&project, &["missing.yml", "there is no such file"]);
    for command in ["check", "graph"] {
        let ended = project.dataflow([command, "missing.yml"]).run();
        assert_one_error(ended, 2, &["missing.yml"]);
    }
}

#[test]
fn a_folder_is_no_description() {
    let project = Project::new("folder");
    std::fs::create_dir(project.file()).expect("a folder can be made");
    assert_refused(&project, &["folder.yml", "directory"]);
}

#[test]
fn a_binary_file_is_no_description() {
    let project = Project::new("binary");
    std::fs::copy("/bin/true", project.file()).expect("a file can be copied");
    assert_refused(&project, &["binary.yml", "the file is not text"]);
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let project = Project::new("unreadable");
    project.flow("nodes: []");
    let hidden = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(project.file(), hidden).expect("it is ours");
    if std::fs::read(project.file()).is_ok() {
        println!("this user reads everything; nothing to see here");
        return;
    }
    assert_refused(&project, &["unreadable.yml", "ermission"]);
}

#[test]
fn an_empty_file_is_no_description() {
    let project = Project::new("empty");
    project.flow("");
    assert_refused(&project, &["empty.yml", "empty"]);
}

#[test]
fn a_node_path_that_does_not_exist_is_named() {
    let project = Project::new("no-program");
    project.flow(
        "
nodes:
  - id: camera
    path: ./camera-node
    outputs: [image]
",
    );
    assert_refused(&project, &["no-program.yml:4", "camera-node"]);
}

#[test]
fn a_node_path_that_is_not_executable_is_named_with_the_remedy() {
    let project = Project::new("not-executable");
    std::fs::write(project.folder().join("camera"), "#!/bin/sh\n").expect("it can be written");
    project.flow(
        "
nodes:
  - id: camera
    path: ./camera
    outputs: [image]
",
    );
    assert_refused(&project, &["not-executable.yml:4", "camera", "chmod +x"]);
}

#[test]
fn an_output_nobody_declares_is_named_with_the_nearest_one() {
    let project = Project::new("undeclared");
    project.flow(
        "
nodes:
  - id: camera
    path: RUST_NODE
    args: [send]
    outputs: [image]
  - id: viewer
    path: RUST_NODE
    args: [receive]
    inputs: { frames: camera/imgae }
",
    );
    assert_refused(&project, &["undeclared.yml:10", "camera", "imgae", "image"]);
}

#[test]
fn several_mistakes_are_all_said_at_once() {
    let project = Project::new("several");
    project.flow(
        "
nodes:
  - id: camera
    path: RUST_NODE
    outputs: [image]
    restrat: always
  - id: viewer
    path: ./nowhere
    inputs: { frames: lens/image }
",
    );
    let ended = project.up().wait().expect_code(2);
    for (line, what) in [("6", "restrat"), ("8", "nowhere"), ("9", "lens")] {
        let said = ended.error();
        assert!(said.contains(&format!("several.yml:{line}")), "{ended}");
        assert!(said.contains(what), "{ended}");
    }
}
