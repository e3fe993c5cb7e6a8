//! Help: each command explains itself, with examples.

use dataflow_tests::Project;

#[test]
fn every_command_has_help_with_examples() {
    let project = Project::new("help");
    for command in [
        "up", "down", "stop", "restart", "ps", "logs", "check", "graph", "models", "peers", "agent",
    ] {
        let help = project
            .dataflow([command, "--help"])
            .run()
            .expect_code(0)
            .output();
        assert!(help.contains("Examples:"), "{command}: {help}");
        assert!(
            help.contains(&format!("dataflow {command}")),
            "{command}: {help}"
        );
    }
    let help = project.dataflow(["--help"]).run().expect_code(0).output();
    assert!(help.contains("Exit codes"), "{help}");
}

#[test]
fn every_command_of_models_has_help_with_examples() {
    let project = Project::new("help-of-models");
    for command in ["pull", "ls", "verify", "rm"] {
        let help = project.dataflow(["models", command, "--help"]).run();
        let help = help.expect_code(0).output();
        let example = format!("  dataflow models {command}");
        assert!(help.contains("Examples:"), "{command}: {help}");
        assert!(help.contains(&example), "{command}: {help}");
        assert!(help.contains("--json"), "{command}: {help}");
    }
}

#[test]
fn every_command_of_peers_has_help_with_examples() {
    let project = Project::new("help-of-peers");
    for command in ["id", "pin", "check"] {
        let help = project.dataflow(["peers", command, "--help"]).run();
        let help = help.expect_code(0).output();
        let example = format!("  dataflow peers {command}");
        assert!(help.contains("Examples:"), "{command}: {help}");
        assert!(help.contains(&example), "{command}: {help}");
        assert!(help.contains("--json"), "{command}: {help}");
    }
}

#[test]
fn a_wrong_command_line_is_wrong_input() {
    let project = Project::new("usage");
    for wrong in [
        vec!["upp"],
        vec!["up"],
        vec!["models", "pull"],
        vec!["models", "rm"],
        vec!["models", "pull", "a/b", "--kind", "thing"],
        vec!["down", "--force-after", "soon"],
        vec!["graph", "--format", "png", "x"],
        vec!["graph"],
        vec!["graph", "flow.yml", "--peers"],
        vec!["agent"],
        vec![
            "agent", "--peers", "x", "--node", "a", "--listen", "nowhere",
        ],
        vec!["peers", "pin"],
        vec!["peers", "pin", "a", "--all"],
    ] {
        let ended = project.dataflow(wrong).run().expect_code(2);
        assert!(ended.error().contains("error: "), "{ended}");
    }
}

#[test]
fn the_version_is_that_of_the_workspace() {
    let project = Project::new("version");
    let said = project
        .dataflow(["--version"])
        .run()
        .expect_code(0)
        .output();
    assert_eq!(said, format!("dataflow {}", env!("CARGO_PKG_VERSION")));
}
