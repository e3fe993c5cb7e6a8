//! Two projects of one user at one time never see each other.

use dataflow_tests::Project;
use dataflow_wire::status::Outcome;

const FLOW: &str = "
name: same
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=5, bytes=5000]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive]
    inputs: { in: { source: sender/out, queue_policy: block } }
";

#[test]
fn two_projects_with_dataflows_of_one_name_never_see_each_other() {
    let home = Project::new("home");
    let away = home.neighbour("away");
    home.flow(FLOW);
    away.flow(FLOW);
    let home_up = home.up();
    let mut away_up = away.up();
    home.record("receiver").wait_for("input");
    away.record("receiver").wait_for("input");

    for (project, up) in [(&home, &home_up), (&away, &away_up)] {
        let statuses = project.ps();
        assert_eq!(statuses.len(), 1, "{statuses:#?}");
        assert_eq!(statuses[0].pid, up.pid());
    }
    home.down().expect_code(0);
    home_up.wait().expect_code(0);
    assert_eq!(home.ps(), []);
    assert_eq!(home.report().outcome, Outcome::Drained);

    let before = away.record("receiver").lines().len();
    away.record("receiver").wait_for_count("input", before + 10);
    assert!(!away_up.has_ended());
    assert_eq!(away.ps()[0].pid, away_up.pid());
    away.down().expect_code(0);
    away_up.wait().expect_code(0);
    assert_eq!(away.report().outcome, Outcome::Drained);
}

#[test]
fn a_second_up_of_the_same_name_says_that_it_runs_already() {
    let project = Project::new("second-up");
    project.flow(&FLOW.replace("name: same\n", ""));
    let mut up = project.up();
    project.record("receiver").wait_for("input");
    project
        .up()
        .wait()
        .expect_code(2)
        .expect_line(&["second-up", "runs already"]);
    project
        .dataflow(["up", "-d"])
        .arg(project.file())
        .run()
        .expect_code(2)
        .expect_line(&["second-up", "runs already"]);
    assert!(!up.has_ended());
    assert_eq!(project.ps().len(), 1);
    project.down().expect_code(0);
    up.wait().expect_code(0);
}
