//! Bad input: one clear error each, that names the thing and the remedy, with the right exit code, and nothing
//! left running (the drop of `Project` asserts that).

mod descriptions;
mod limits;
mod nodes;

use dataflow_tests::{Finished, Project};

/// Asserts that a command said one error, on standard error, in which all of `parts` stand.
#[track_caller]
fn assert_one_error(ended: Finished, code: i32, parts: &[&str]) {
    let ended = ended.expect_code(code);
    let said = ended.error();
    // Lines are wrapped to the width of the screen; words are what counts.
    let words: Vec<_> = said
        .split_whitespace()
        .filter(|word| *word != "│")
        .collect();
    let text = words.join(" ");
    for part in parts {
        assert!(text.contains(part), "no `{part}` in {ended}");
    }
    let errors = said.matches("error: ").count()
        + said.matches("error[").count()
        + said.matches('×').count();
    assert_eq!(errors, 1, "one error, not {errors}: {ended}");
    for bad in ["panicked", "RUST_BACKTRACE", "Os {", "Traceback"] {
        assert!(!said.contains(bad), "`{bad}` is for nobody: {ended}");
    }
    assert_eq!(ended.output(), "", "an error belongs on standard error");
}

/// Asserts that `up` refuses this dataflow before anything is started.
#[track_caller]
fn assert_refused(project: &Project, parts: &[&str]) {
    assert_one_error(project.up().wait(), 2, parts);
    assert_eq!(
        project.run_folders(),
        Vec::<std::path::PathBuf>::new(),
        "nothing was started"
    );
    let mut detached = project.dataflow(["up", "-d"]);
    detached = detached.arg(project.file());
    assert_one_error(detached.run(), 2, parts);
}
