//! `stop NODE` and `restart NODE` as people and programs use them.

use dataflow_ids::LifeCycle;
use dataflow_tests::{Project, node};
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
fn an_unknown_node_is_wrong_input_and_the_known_ones_are_named() {
    let project = Project::new("wish-unknown");
    project.flow(FLOW);
    project
        .dataflow(["restart", "receiver"])
        .run()
        .expect_code(2)
        .expect_line(&["no dataflow runs"]);
    let up = project.up();
    project.record("receiver").wait_for("input");
    for command in ["restart", "stop"] {
        let ended = project.dataflow([command, "reciever"]).run().expect_code(2);
        assert!(
            ended
                .error()
                .contains("did you mean `receiver`? it has sender, receiver"),
            "{ended}"
        );
        // What can be no name at all is told the same.
        let ended = project.dataflow([command, "a b"]).run().expect_code(2);
        assert!(ended.error().contains("it has sender, receiver"), "{ended}");
    }
    project.down().expect_code(0);
    up.wait().expect_code(0);
}

#[test]
fn programs_read_json_lines_and_need_not_wait() {
    let project = Project::new("wish-json");
    project.flow(FLOW);
    let up = project.up();
    project.record("receiver").wait_for("input");
    let said = project
        .dataflow(["restart", "receiver", "--json", "--flow", "wish-json"])
        .run()
        .expect_code(0);
    let lines: Vec<Value> = said
        .output()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let last = lines.last().expect("it says how the node stands");
    assert_eq!(last["event"], "node");
    assert_eq!(last["node"]["node"], "receiver");
    assert_eq!(last["node"]["epoch"], 2);
    assert_eq!(last["killed"], Value::Null);

    project
        .dataflow(["stop", "receiver", "--no-wait", "--flow", "wish-json.yml"])
        .run()
        .expect_code(0);
    project.wait_until("it is parked all the same", |status| {
        node(status, "receiver").state == LifeCycle::Parked
    });
    let parked = project.dataflow(["ps"]).run().expect_code(0);
    parked.expect_line(&["receiver", "parked"]);
    project.down().expect_code(0);
    up.wait().expect_code(0);
}

#[test]
fn of_several_dataflows_the_one_that_is_meant_is_named() {
    let project = Project::new("wish-flows");
    project.flow(FLOW);
    let second = project.folder().join("second.yml");
    std::fs::copy(project.file(), &second).expect("a file can be copied");
    let first_up = project.up();
    let second_up = project.dataflow(["up"]).arg(&second).start();
    first_up.wait_for_line(&["up: every node is ready"]);
    second_up.wait_for_line(&["up: every node is ready"]);
    project
        .dataflow(["restart", "receiver"])
        .run()
        .expect_code(2)
        .expect_line(&["several dataflows run here"]);
    project
        .dataflow(["restart", "receiver", "--flow", "second"])
        .run()
        .expect_code(0);
    for status in project.ps() {
        let is_second = status.name.as_str() == "second";
        assert_eq!(node(&status, "receiver").restarts, u32::from(is_second));
    }
    project.dataflow(["down", "second"]).run().expect_code(0);
    project.down().expect_code(0);
    first_up.wait().expect_code(0);
    second_up.wait().expect_code(0);
}
