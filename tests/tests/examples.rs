//! Every dataflow in `dataflows/` runs, ends drained, and can be interrupted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dataflow_tests::{Project, repository};
use dataflow_wire::status::{Outcome, Report};

/// Each example, with a word that one of its lines has when it works.
const EXAMPLES: [(&str, &str); 3] = [
    ("quickstart.yml", "cpu"),
    ("frames.yml", "frames"),
    ("frames-flat-out.yml", "frames"),
];

/// What needs a Hub, and runs in the tests of models.
const WITH_A_HUB: [&str; 1] = ["semantic-search.yml"];

fn folder() -> PathBuf {
    repository().join("dataflows")
}

fn copy_of_the_examples(name: &str) -> Project {
    let project = Project::new(name);
    project.copy_examples();
    project
}

fn report(project: &Project) -> Report {
    let runs = project.folder().join("dataflows/.dataflow/runs");
    project.report_in(&runs)
}

fn file(project: &Project, example: &str) -> PathBuf {
    project.folder().join("dataflows").join(example)
}

fn runs_to_its_end(example: &str) {
    let (_, word) = EXAMPLES
        .into_iter()
        .find(|(name, _)| *name == example)
        .expect("it is one of the examples");
    let project = copy_of_the_examples(
        Path::new(example)
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a name"),
    );
    let ended = project
        .dataflow(["up"])
        .arg(file(&project, example))
        .env("DATAFLOW_EXAMPLE_SECONDS", "3")
        .run()
        .expect_code(0)
        .expect_line(&["drained"])
        .expect_line(&[word]);
    assert!(
        !ended.output().contains('\u{1b}'),
        "plain lines without a terminal: {ended}"
    );
    let report = report(&project);
    assert_eq!(report.outcome, Outcome::Drained);
    for edge in &report.edges {
        // Whether anything of this machine was unusual meanwhile is not for a test to say.
        if edge.output.as_str() != "flags" {
            assert!(edge.counts.delivered > 0, "nothing came through {edge:#?}");
        }
    }
}

#[test]
fn every_example_is_in_the_list() {
    let there: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("the examples are there")
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".yml") || name.ends_with(".yaml"))
        .collect();
    let listed: BTreeSet<String> = EXAMPLES
        .iter()
        .map(|(name, _)| *name)
        .chain(WITH_A_HUB)
        .map(str::to_owned)
        .collect();
    assert_eq!(there, listed);
}

#[test]
fn quickstart_runs_and_says_that_it_drained() {
    runs_to_its_end("quickstart.yml");
}

#[test]
fn frames_runs_and_every_checksum_is_right() {
    runs_to_its_end("frames.yml");
}

#[test]
fn frames_flat_out_runs_without_a_loss() {
    runs_to_its_end("frames-flat-out.yml");
}

#[test]
fn every_example_passes_the_check() {
    for example in EXAMPLES.map(|(name, _)| name).into_iter().chain(WITH_A_HUB) {
        let project = copy_of_the_examples("check");
        let path = file(&project, example);
        project.dataflow(["check"]).arg(path).run().expect_code(0);
    }
}

#[test]
fn every_example_ends_drained_when_it_is_interrupted() {
    for (example, word) in EXAMPLES {
        let project = copy_of_the_examples("interrupted");
        let up = project
            .dataflow(["up"])
            .arg(file(&project, example))
            .start();
        up.wait_for_line(&[word]);
        up.interrupt();
        up.wait().expect_code(0).expect_line(&["drained"]);
        assert_eq!(report(&project).outcome, Outcome::Drained);
    }
}

#[test]
fn quickstart_draws_a_live_table_at_a_terminal_and_ends_with_ctrl_c() {
    let project = copy_of_the_examples("terminal");
    let mut terminal = project.up_at_terminal(&file(&project, "quickstart.yml"));
    // It draws over what it drew before: that takes cursor movements.
    terminal.wait_for("cpu");
    terminal.wait_for("\u{1b}[");
    terminal.press_interrupt();
    let (code, shown) = terminal.wait();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("drained"), "{shown}");
    assert_eq!(report(&project).outcome, Outcome::Drained);
}
