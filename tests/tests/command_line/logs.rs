//! `logs`: of a run that is on, followed, and of runs that have ended.

use dataflow_tests::{Project, wait_until};
use serde_json::Value;

const FLOW: &str = "
nodes:
  - id: talker
    path: /bin/sh
    args: [-c, 'echo first; echo second >&2; cat GATES/gate; echo third']
  - id: quiet
    path: /bin/sh
    args: [-c, 'echo only line']
";

#[test]
fn logs_show_each_line_with_its_node_also_after_the_end() {
    let project = Project::new("logs");
    let mut gate = project.gate("gate");
    project.flow(FLOW);
    let up = project.up();
    gate.wait_until_reached();
    up.wait_for_line(&["talker", "second"]);
    up.wait_for_line(&["quiet", "only line"]);
    // A line is shown and written at the same time, by two.
    wait_until("all lines are in the files", || {
        let said = project.dataflow(["logs"]).run().expect_code(0);
        said.output().lines().count() == 3
    });
    let said = project.dataflow(["logs"]).run().expect_code(0);
    said.expect_line(&["talker", "first"])
        .expect_line(&["talker", "second"])
        .expect_line(&["quiet", "only line"]);

    let follow = project.dataflow(["logs", "-f"]).start();
    follow.wait_for_line(&["talker", "second"]);
    gate.open();
    follow.wait_for_line(&["talker", "third"]);
    up.wait().expect_code(0);
    follow.wait().expect_code(0);

    let said = project
        .dataflow(["logs", "logs.yml", "talker"])
        .run()
        .expect_code(0);
    let output = said.output();
    assert!(output.contains("third"), "{said}");
    assert!(!output.contains("only line"), "{said}");
    let last = project
        .dataflow(["logs", "logs", "talker", "-n", "1"])
        .run()
        .expect_code(0);
    assert!(!last.output().contains("first"), "{last}");

    let json = project.dataflow(["logs", "--json"]).run().expect_code(0);
    let lines: Vec<Value> = json
        .output()
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
        .collect();
    let second = lines
        .iter()
        .find(|line| line["line"] == "second")
        .expect("the line is there");
    assert_eq!(second["node"], "talker");
    assert_eq!(second["stream"], "stderr");
    assert!(second["at_ms"].is_u64());
}

#[test]
fn who_follows_sees_everything_up_to_the_last_line() {
    let project = Project::new("follow-all");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: talker
    path: /bin/sh
    args: [-c, 'echo ready; cat GATES/gate; seq 1 20000']
",
    );
    let up = project.up();
    gate.wait_until_reached();
    let follow = project.dataflow(["logs", "-f"]).start();
    follow.wait_for_line(&["talker", "ready"]);
    gate.open();
    up.wait().expect_code(0);
    let followed = follow.wait().expect_code(0);
    assert_eq!(followed.lines.len(), 20_001);
    followed.expect_line(&["talker | 20000"]);
}

#[test]
fn the_last_ten_runs_are_kept() {
    let project = Project::new("ten-runs");
    project.flow("nodes: [{ id: short, path: /bin/true }]");
    for _ in 0..12 {
        project.up().wait().expect_code(0);
    }
    assert_eq!(project.run_folders().len(), 10);
}

#[test]
fn logs_of_nothing_say_so() {
    let project = Project::new("no-logs");
    let ended = project.dataflow(["logs"]).run().expect_code(2);
    assert!(ended.error().contains("no logs"), "{ended}");
}

#[test]
fn lines_that_are_no_text_or_have_no_end_are_logged_all_the_same() {
    let project = Project::new("odd-lines");
    project.flow(
        "
nodes:
  - id: odd
    path: /bin/sh
    args: [-c, 'printf \"bytes \\\\377 here\\n\"; head -c 300000 /dev/zero | tr \"\\\\0\" x; echo; printf last']
",
    );
    let ended = project.up().wait().expect_code(0);
    let ended = ended.expect_line(&["odd", "bytes", "here"]);
    let ended = ended.expect_line(&["odd", "xxxxxxxx"]);
    ended.expect_line(&["odd", "last"]);
}
