//! What there is without a terminal: text once, and objects for programs.

use std::process::Stdio;

use serde_json::Value;

use super::played::Played;
use crate::ground::{Ground, Running, said};

#[test]
fn without_a_terminal_it_says_what_does_without_one() {
    let ground = Ground::new();
    let output = ground.dataflow(["top"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("there is no terminal that could show it"),
        "{text}"
    );
    assert!(text.contains("`dataflow top --once`"), "{text}");
    // Nothing to show is no mistake; a dataflow that was named and is not there is one.
    let output = ground.dataflow(["top", "--once"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).starts_with("no dataflow runs in "));
    let output = ground
        .dataflow(["top", "vision", "--once"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let output = ground
        .dataflow(["top", "--once", "--sort", "weight"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("the columns are "),
        "{}",
        said(&output)
    );
}

#[test]
fn json_has_all_rows_in_their_own_order_and_refuses_to_choose() {
    let ground = Ground::new();
    for (option, value) in [("--filter", "camera"), ("--sort", "cpu")] {
        for once in [true, false] {
            let mut command = ground.dataflow(["top", "--json", option, value]);
            if once {
                command.arg("--once");
            }
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{}", said(&output));
            assert!(output.stdout.is_empty(), "{}", said(&output));
            let text = said(&output);
            assert!(text.contains("--json") && text.contains(option), "{text}");
            assert!(text.contains("cannot be used with"), "{text}");
        }
    }
}

#[test]
fn once_it_is_plain_text_in_the_order_that_was_asked_for() {
    let ground = Ground::new();
    let _played = Played::begin(&ground);
    let output = ground
        .dataflow(["top", "--once", "--sort", "cpu", "--filter", "e"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = said(&output);
    assert!(!text.contains('\x1b'), "{text}");
    let place = |name: &str| text.find(&format!("\n{name}")).unwrap();
    assert!(place("planner") < place("detector"), "{text}");
    assert!(place("detector") < place("camera"), "{text}");
    assert!(text.contains("detector/out → planner/in"), "{text}");
}

#[test]
fn json_has_one_object_a_line_until_all_have_ended() {
    let ground = Ground::new();
    let mut played = Played::begin(&ground);
    let output = ground
        .dataflow(["top", "--once", "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let object: Value = serde_json::from_str(&text).unwrap();
    let runtime = &object["runtimes"][0];
    assert_eq!(runtime["kind"], "dataflow");
    assert_eq!(runtime["name"], "vision");
    assert_eq!(runtime["at_s"], 11.0);
    assert_eq!(runtime["rates_over_s"], 1.0);
    let detector = &runtime["nodes"][1];
    assert_eq!(detector["node"], "detector");
    assert_eq!(detector["state"], "running");
    assert_eq!(detector["received_per_s"], 30.0);
    assert_eq!(detector["cpu_percent"], 20.0);
    assert_eq!(detector["blocked_by"], serde_json::json!(["planner"]));
    let edge = &runtime["edges"][1];
    assert_eq!(edge["oldest_s"], 3.0);
    assert_eq!(edge["is_blocked"], true);
    assert_eq!(edge["latency"]["over_s"], 1.0);
    assert_eq!(
        edge["dropped"],
        serde_json::json!({"full": 0, "receiver_closed": 0, "memory": 1})
    );

    let mut command = ground.dataflow(["top", "--json", "--interval", "100ms"]);
    let mut lines = Running::start(command.stdout(Stdio::piped()));
    let out = lines.child().stdout.take().unwrap();
    let mut read = std::io::BufRead::lines(std::io::BufReader::new(out));
    let first: Value = serde_json::from_str(&read.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["runtimes"][0]["name"], "vision");
    played.end();
    for line in read {
        let object: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert!(object["runtimes"].is_array());
    }
    assert_eq!(lines.wait(), Some(0));
}

#[test]
fn json_ends_with_what_a_runtime_has_said_at_last() {
    let ground = Ground::new();
    let mut played = Played::begin(&ground);
    // Nothing is due before it has ended.
    let mut command = ground.dataflow(["top", "--json", "--interval", "60s"]);
    let top = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let top = top.spawn().unwrap();
    played.wait_until_heard();
    played.end();
    let output = top.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["runtimes"][0]["name"], "vision");
    assert_eq!(object["runtimes"][0]["nodes"].as_array().unwrap().len(), 3);
}
