//! `peers check`, and `check --peers`: what they say about a file of peers, and about a dataflow on those machines.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use dataflow_tests::Project;
use serde_json::Value;

/// Wrong in three lines, and doubtful in one.
const BROKEN: &str = "cluster: my lab
peers:
  - id: gpu-a
    adress: \"192.168.1.10:50051\"
  - id: gpu-b
    address: \"192.168.1.11\"
";

const GOOD: &str = "peers:
  - { id: gpu-a, address: \"127.0.0.1:50051\", capabilities: { gpu: false } }
  - { id: gpu-b, address: \"127.0.0.1:50052\", capabilities: { gpu: true, memory_gb: 8 } }
";

fn write(project: &Project, peers: &str) {
    std::fs::write(project.folder().join("peers.yaml"), peers).expect("the folder can be written");
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON object")
}

#[test]
fn every_error_is_said_at_once_with_its_line() {
    let project = Project::new("peers-check-broken");
    write(&project, BROKEN);
    let json = project
        .dataflow(["peers", "check", "--json", "peers.yaml"])
        .run()
        .expect_code(2);
    let json = json_of(&json.output());
    let lines: Vec<u64> = json["diagnostics"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|diagnostic| diagnostic["line"].as_u64())
        .collect();
    // The key that is misspelt is missing, too.
    assert_eq!(lines, [1, 3, 4, 6], "{json}");
    assert_eq!(json["errors"], 4, "{json}");
    let said = project
        .dataflow(["peers", "check", "peers.yaml"])
        .run()
        .expect_code(2);
    let errors = said.error();
    for part in ["peers.yaml:4:5", "did you mean `address`?", "4 errors"] {
        assert!(errors.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_file_that_everybody_may_write_is_doubtful_to_a_check_and_wrong_for_an_agent() {
    let project = Project::new("peers-check-open");
    write(&project, GOOD);
    let file = project.folder().join("peers.yaml");
    set_permissions(file, Permissions::from_mode(0o666)).expect("it is ours");
    let check = ["peers", "check", "peers.yaml"];
    let checked = project.dataflow(check).run().expect_code(0);
    let warned = checked.error();
    assert!(warned.contains("everybody may write"), "{checked}");
    let json = project.dataflow(check).arg("--json").run().expect_code(0);
    let open = json_of(&json.output())["open_to_others"].to_string();
    assert!(open.contains("everybody may write"), "{open}");
    let agent = ["agent", "--peers", "peers.yaml", "--node", "gpu-a"];
    let refused = project.dataflow(agent).run().expect_code(2);
    assert!(refused.error().contains("chmod o-w"), "{refused}");
}

#[test]
fn a_file_that_is_not_there_is_named_and_the_exit_code_is_2() {
    let project = Project::new("peers-check-missing");
    for arguments in [
        &["peers", "check", "nowhere.yaml"][..],
        &["agent", "--peers", "nowhere.yaml", "--node", "gpu-a"],
        &["check", "--peers", "nowhere.yaml", "nowhere.yml"],
    ] {
        let said = project
            .dataflow(arguments.iter().copied())
            .run()
            .expect_code(2);
        assert!(
            said.error().contains("nowhere.yaml: error[DF0001]"),
            "{said}"
        );
    }
}

#[test]
fn a_good_file_is_said_to_be_good_and_compared_with_this_machine() {
    let project = Project::new("peers-check-good");
    write(&project, GOOD);
    let said = project
        .dataflow(["peers", "check", "peers.yaml"])
        .run()
        .expect_code(0);
    assert!(
        said.output().contains("peers.yaml: 2 peers, no problems"),
        "{said}"
    );
    let here = project
        .dataflow(["peers", "check", "peers.yaml", "--node", "gpu-a"])
        .run();
    here.expect_code(0);
    let said = project
        .dataflow(["peers", "check", "peers.yaml", "--node", "gpu_a"])
        .run()
        .expect_code(2);
    assert!(
        said.error().contains("did you mean `--node gpu-a`?"),
        "{said}"
    );
}

#[test]
fn a_node_without_a_place_on_any_peer_is_an_error_of_its_description() {
    let project = Project::new("check-with-peers");
    write(&project, GOOD);
    let check = |more: &str| {
        project.flow(&format!(
            "\nnodes:\n  - id: camera\n    path: RUST_NODE\n    args: [send]\n    outputs: [image]\n{more}"
        ));
        project
            .dataflow([
                "check",
                "--json",
                "--peers",
                "peers.yaml",
                "check-with-peers.yml",
            ])
            .run()
    };
    let placed = check("    peer: gpu-b\n    requires: { memory_gb: 8, gpu: true }\n");
    placed.expect_code(0);
    let unknown = check("    peer: gpu-c\n").expect_code(2);
    let json = json_of(&unknown.output());
    assert_eq!(json["diagnostics"][0]["code"], "DF0066", "{json}");
    let too_large = check("    requires: { memory_gb: 9, gpu: true }\n").expect_code(2);
    let json = json_of(&too_large.output());
    assert_eq!(json["diagnostics"][0]["code"], "DF0067", "{json}");
}

#[test]
fn a_node_that_is_pinned_to_another_peer_does_not_start_here() {
    let project = Project::new("pinned-elsewhere");
    project.flow(
        "\nnodes:\n  - id: camera\n    path: RUST_NODE\n    args: [send]\n    outputs: [image]\n    peer: gpu-b\n",
    );
    let said = project
        .dataflow(["up", "pinned-elsewhere.yml"])
        .run()
        .expect_code(2);
    let errors = said.error();
    assert!(errors.contains("not in this build"), "{said}");
    assert!(errors.contains("dataflow agent --node gpu-b"), "{said}");
}
