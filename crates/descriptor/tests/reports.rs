//! Every broken description in `tests/data` gives exactly the report beside it, and every code has such a case.
//!
//! `UPDATE_EXPECT=1 cargo test -p dataflow-descriptor` renews the reports.

// A failed test may say so by a panic anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dataflow_descriptor::{Checked, Code, Environment, Severity, check_file_in, limits};

const DATA: &str = "tests/data";

/// No virtual environment, and a PATH with only our own `python3`.
fn environment() -> Environment {
    Environment {
        virtual_env: None,
        search_path: Some(Path::new(DATA).join("bin").into_os_string()),
    }
}

fn report(checked: &Checked) -> String {
    let mut blocks: Vec<String> = checked
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    if checked.omitted > 0 {
        blocks.push(format!("and {} more", checked.omitted));
    }
    if blocks.is_empty() {
        blocks.push("no problems".to_owned());
    }
    blocks.join("\n\n") + "\n"
}

type Cases = BTreeMap<String, (Checked, Option<PathBuf>)>;

/// Name → what was checked, and the folder that a report must not name.
fn cases() -> &'static Cases {
    static CASES: OnceLock<Cases> = OnceLock::new();
    CASES.get_or_init(check_all)
}

fn check_all() -> Cases {
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(DATA).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yml") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            cases.insert(name, (check_file_in(&path, &environment()), None));
        }
    }
    // A file that is not there, and one that nobody wants in the repository.
    let folder = tempfile::tempdir().unwrap();
    let mut made = |name: &str, content: Option<&[u8]>| {
        let path = folder.path().join(format!("{name}.yml"));
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let checked = check_file_in(&path, &environment());
        cases.insert(name.to_owned(), (checked, Some(folder.path().to_owned())));
    };
    made("file_missing", None);
    let too_large = vec![b' '; usize::try_from(limits::FILE_BYTES_MAX).unwrap() + 1];
    made("file_too_large", Some(&too_large));
    cases
}

#[test]
fn every_broken_description_gives_the_report_beside_it() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1");
    let cases = cases();
    let mut wrong = Vec::new();
    for (name, (checked, folder)) in cases {
        let here = std::env::current_dir().unwrap();
        let mut report = report(checked).replace(here.to_str().unwrap(), "HERE");
        if let Some(folder) = folder {
            report = report.replace(folder.to_str().unwrap(), "FOLDER");
        }
        let path = Path::new(DATA).join(format!("{name}.report"));
        if update {
            std::fs::write(&path, &report).unwrap();
        } else {
            let expected = std::fs::read_to_string(&path).unwrap_or_default();
            if expected != report {
                wrong.push(format!(
                    "--- {name}: expected\n{expected}--- {name}: found\n{report}"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nUPDATE_EXPECT=1 renews the reports",
        wrong.join("\n")
    );
    for entry in std::fs::read_dir(DATA).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "report")
        {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(cases.contains_key(name), "{name}.report has no case");
        }
    }
}

#[test]
fn every_code_has_a_case() {
    let seen: BTreeSet<Code> = cases()
        .values()
        .flat_map(|(checked, _)| &checked.diagnostics)
        .map(|diagnostic| diagnostic.code)
        .collect();
    let missing: Vec<&Code> = Code::ALL
        .iter()
        .filter(|code| !seen.contains(code))
        .collect();
    assert!(missing.is_empty(), "codes without a case: {missing:?}");
}

#[test]
fn a_dataflow_comes_back_exactly_when_there_is_no_error() {
    for (name, (checked, _)) in cases() {
        assert_eq!(checked.dataflow.is_some(), checked.errors() == 0, "{name}");
    }
}

#[test]
fn every_diagnostic_says_what_to_do() {
    for (name, (checked, _)) in cases() {
        for diagnostic in &checked.diagnostics {
            let obvious = matches!(
                diagnostic.code,
                Code::WrongType | Code::BadText | Code::BadName
            );
            assert!(diagnostic.help.is_some() || obvious, "{name}: {diagnostic}");
            assert_eq!(
                diagnostic.severity == Severity::Warning,
                matches!(
                    diagnostic.code,
                    Code::NotBuiltYet | Code::NoEffect | Code::UnusedModel
                ),
                "{name}: {diagnostic}"
            );
        }
    }
}
