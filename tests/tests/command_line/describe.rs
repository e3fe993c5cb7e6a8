//! `check` and `graph`: what they say about a description.

use dataflow_tests::Project;
use serde_json::Value;

const FLOW: &str = "
nodes:
  - id: camera
    path: RUST_NODE
    args: [send]
    inputs: { tick: timer/20ms }
    outputs: [image]
  - id: viewer
    path: RUST_NODE
    args: [receive]
    inputs: { frames: { source: camera/image, queue_size: 3, queue_policy: block } }
";

#[test]
fn check_of_a_good_description_says_so() {
    let project = Project::new("check-good");
    project.flow(FLOW);
    let said = project
        .dataflow(["check", "check-good.yml"])
        .run()
        .expect_code(0);
    assert!(said.output().contains("check-good"), "{said}");
    let json = project
        .dataflow(["check", "--json", "check-good.yml"])
        .run()
        .expect_code(0);
    let json: Value = serde_json::from_str(&json.output()).expect("one JSON object");
    assert_eq!(json["diagnostics"], Value::Array(vec![]), "{json}");
}

#[test]
fn check_of_a_bad_description_lists_each_diagnostic_with_its_place() {
    let project = Project::new("check-bad");
    project.flow(
        &FLOW
            .replace("camera/image", "camera/imgae")
            .replace("queue_size: 3", "queue_size: 0"),
    );
    let json = project
        .dataflow(["check", "--json", "check-bad.yml"])
        .run()
        .expect_code(2);
    let json: Value = serde_json::from_str(&json.output()).expect("one JSON object");
    let diagnostics = json["diagnostics"].as_array().expect("a list");
    assert_eq!(diagnostics.len(), 2, "{json}");
    for diagnostic in diagnostics {
        assert!(
            diagnostic["code"]
                .as_str()
                .is_some_and(|code| code.starts_with("DF")),
            "{json}"
        );
        assert_eq!(diagnostic["line"], 11, "{json}");
        assert!(diagnostic["column"].is_u64(), "{json}");
        assert!(diagnostic["message"].is_string(), "{json}");
    }
}

#[test]
fn graph_draws_every_node_and_edge_in_every_format() {
    let project = Project::new("graph");
    project.flow(FLOW);
    for format in ["ascii", "mermaid", "dot", "json"] {
        let said = project
            .dataflow(["graph", "--format", format, "graph.yml"])
            .run()
            .expect_code(0);
        for part in ["camera", "viewer", "image", "frames"] {
            assert!(said.output().contains(part), "{format}: {said}");
        }
    }
    let json = project
        .dataflow(["graph", "--format", "json", "graph.yml"])
        .run()
        .expect_code(0);
    let json: Value = serde_json::from_str(&json.output()).expect("JSON");
    assert_eq!(json["nodes"].as_array().map(Vec::len), Some(2), "{json}");
    assert_eq!(json["edges"].as_array().map(Vec::len), Some(1), "{json}");
    let dot = project
        .dataflow(["graph", "--format", "dot", "graph.yml"])
        .run()
        .output();
    assert!(dot.starts_with("digraph"), "{dot}");
    let mermaid = project
        .dataflow(["graph", "--format", "mermaid", "graph.yml"])
        .run()
        .output();
    assert!(
        mermaid.starts_with("flowchart") || mermaid.starts_with("graph"),
        "{mermaid}"
    );
}
