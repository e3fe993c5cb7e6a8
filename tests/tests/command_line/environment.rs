//! What a node is started with: its build, its environment, its Python, its folder.

use dataflow_tests::{Project, bare_python};

#[test]
fn up_with_build_makes_what_is_not_there_yet() {
    let project = Project::new("build");
    project.flow(
        "
nodes:
  - id: made
    path: ./made.sh
    build: \"printf '#!/bin/sh\\necho I was built\\n' > made.sh && chmod +x made.sh\"
",
    );
    let ended = project.up().wait().expect_code(2);
    assert!(ended.error().contains("--build"), "it says how: {ended}");
    project
        .dataflow(["up", "--build"])
        .arg(project.file())
        .run()
        .expect_code(0)
        .expect_line(&["made", "I was built"]);
}

#[test]
fn a_build_that_fails_is_named_and_nothing_is_started() {
    let project = Project::new("build-fails");
    project.flow(
        "
nodes:
  - id: broken
    path: ./broken
    build: exit 7
",
    );
    let ended = project
        .dataflow(["up", "--build"])
        .arg(project.file())
        .run()
        .expect_code(1);
    assert!(ended.error().contains("broken"), "{ended}");
    assert!(ended.error().contains("exit 7"), "{ended}");
    assert_eq!(project.run_folders(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_node_has_the_environment_of_the_dataflow_and_its_own_and_runs_beside_the_yaml() {
    let project = Project::new("environment");
    project.flow(
        "
env: { COLOUR: red, SHAPE: round }
nodes:
  - id: shown
    path: /bin/sh
    args: [-c, 'echo $COLOUR $SHAPE $DATAFLOW_NODE in $(pwd)']
    env: { COLOUR: blue }
",
    );
    let folder = project.folder().to_string_lossy().into_owned();
    // Started from somewhere else: what counts is where the YAML is.
    project
        .dataflow(["up"])
        .arg(project.file())
        .folder(std::path::Path::new("/"))
        .run()
        .expect_code(0)
        .expect_line(&["shown", "blue round shown in", &folder]);
}

#[test]
fn the_python_beside_the_yaml_comes_before_the_one_of_the_environment() {
    let project = Project::new("python-order");
    let bare = bare_python(project.folder());
    let environment = bare.ancestors().nth(2).expect("it is in `bin` of a folder");
    std::fs::rename(environment, project.folder().join(".venv")).expect("it can be renamed");
    project.flow(
        "
nodes:
  - id: camera
    path: NODES/send.py
    outputs: [out]
",
    );
    let ended = project.up().wait().expect_code(2);
    assert!(ended.error().contains(".venv/bin/python"), "{ended}");
}
