//! `up`, `ps` and `down` as programs read them.

use dataflow_ids::LifeCycle;
use dataflow_tests::Project;
use serde_json::Value;

const FLOW: &str = "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=5]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive]
    inputs: { in: { source: sender/out, queue_policy: block } }
";

#[test]
fn ps_lists_nodes_and_edges_for_people_and_for_programs() {
    let project = Project::new("ps");
    project.flow(FLOW);
    assert_eq!(project.ps(), []);
    let up = project.up();
    // A sender says so of itself when its message may have been received already.
    project.wait_until("both run", |status| {
        let mut nodes = status.nodes.iter();
        nodes.all(|node| node.state == LifeCycle::Running)
    });
    let said = project.dataflow(["ps"]).run().expect_code(0);
    let said = said
        .expect_line(&["ps", &up.pid().to_string()])
        .expect_line(&["sender", "running"])
        .expect_line(&["receiver", "running"]);
    assert!(
        !said.output().contains('\u{1b}'),
        "no colour without a terminal: {said}"
    );

    let json = project.dataflow(["ps", "--json"]).run().expect_code(0);
    let json: Value = serde_json::from_str(&json.output()).expect("JSON");
    let flow = &json[0];
    assert_eq!(flow["name"], "ps");
    assert_eq!(flow["phase"], "running");
    assert_eq!(flow["pid"], up.pid());
    assert_eq!(flow["nodes"][1]["node"], "receiver");
    assert_eq!(flow["edges"][0]["policy"], "block");
    assert!(flow["edges"][0]["counts"]["sent"].is_u64());
    assert!(flow["up_for_s"].is_f64());

    // By name, by file, and not by another name.
    for which in ["ps", "ps.yml"] {
        let json = project
            .dataflow(["ps", which, "--json"])
            .run()
            .expect_code(0);
        assert!(json.output().contains("receiver"), "{json}");
    }
    project
        .dataflow(["down", "another"])
        .run()
        .expect_code(2)
        .expect_line(&["another"]);
    project.down().expect_code(0);
    up.wait().expect_code(0);
}

#[test]
fn down_where_nothing_runs_says_so() {
    let project = Project::new("down-nothing");
    let ended = project.down().expect_code(2);
    assert!(ended.error().contains("no dataflow runs"), "{ended}");
}

#[test]
fn up_and_down_write_json_lines_that_end_with_the_report() {
    let project = Project::new("json-lines");
    project.flow(FLOW);
    let up = project
        .dataflow(["up", "--json"])
        .arg(project.file())
        .start();
    project.record("receiver").wait_for("input");
    let down = project.dataflow(["down", "--json"]).run().expect_code(0);
    let up = up.wait().expect_code(0);
    for ended in [up, down] {
        let lines: Vec<Value> = ended
            .output()
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect();
        let last = lines.last().expect("it says how it ended");
        assert!(
            last.to_string().contains("\"outcome\":\"drained\""),
            "{ended}"
        );
    }
}

#[test]
fn several_dataflows_of_one_project_are_told_apart_by_name() {
    let project = Project::new("several-flows");
    project.flow(FLOW);
    let second = project.folder().join("second.yml");
    std::fs::copy(project.file(), &second).expect("a file can be copied");
    let first_up = project.up();
    let second_up = project.dataflow(["up"]).arg(&second).start();
    project.wait_until("the first is there", |status| {
        status.name.as_str() == "several-flows"
    });
    project.wait_until("the second is there", |status| {
        status.name.as_str() == "second"
    });
    let ended = project.down().expect_code(2);
    assert!(
        ended.error().contains("several-flows") && ended.error().contains("second"),
        "{ended}"
    );
    project.dataflow(["down", "second"]).run().expect_code(0);
    second_up.wait().expect_code(0);
    assert_eq!(project.ps().len(), 1);
    project
        .dataflow(["down", "several-flows.yml"])
        .run()
        .expect_code(0);
    first_up.wait().expect_code(0);
}
