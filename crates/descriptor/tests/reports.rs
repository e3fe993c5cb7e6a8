//! Every broken description in `tests/data`, and every broken file of peers in `tests/data/peers`, gives exactly the
//! report beside it, and every code has such a case.
//!
//! `UPDATE_EXPECT=1 cargo test -p dataflow-descriptor` renews the reports.

// A failed test may say so by a panic anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dataflow_descriptor::{
    Checked, CheckedPeers, Code, Diagnostic, Environment, Severity, ThisMachine, check_file_in,
    check_file_with_peers, check_peers_file, check_peers_file_on, limits,
};
use dataflow_ids::PeerId;

const DATA: &str = "tests/data";
/// The folder of files of peers in it.
const PEERS: &str = "peers/";
/// The folder of files of peers that are checked on [`this_machine`].
const ON_THIS_MACHINE: &str = "on_this_machine/";
/// The folder of descriptions that are checked with the peers of [`THEIR_PEERS`].
const WITH_PEERS: &str = "with_peers/";
const THEIR_PEERS: &str = "tests/data/with_peers/peers.yaml";
const FOLDERS: [&str; 4] = ["", PEERS, ON_THIS_MACHINE, WITH_PEERS];

/// `gpu-a`, with 16 GB, 8 processors and no GPU, at 192.168.1.10 and 10.0.0.10.
fn this_machine() -> ThisMachine<'static> {
    ThisMachine {
        id: PeerId::new("gpu-a").unwrap(),
        memory_bytes: Some(16 << 30),
        cpus: Some(8),
        gpu: Some(false),
        has_address: &|ip| {
            ip.is_loopback() || ["192.168.1.10", "10.0.0.10"].contains(&ip.to_string().as_str())
        },
    }
}

/// No virtual environment, and a PATH with only our own `python3`.
fn environment() -> Environment {
    Environment {
        virtual_env: None,
        search_path: Some(Path::new(DATA).join("bin").into_os_string()),
    }
}

/// What a check has given.
struct Case {
    diagnostics: Vec<Diagnostic>,
    omitted: usize,
    /// Whether there is a dataflow, or peers.
    whole: bool,
    /// The folder that a report must not name.
    folder: Option<PathBuf>,
}

impl From<Checked> for Case {
    fn from(checked: Checked) -> Case {
        Case {
            whole: checked.dataflow.is_some(),
            diagnostics: checked.diagnostics,
            omitted: checked.omitted,
            folder: None,
        }
    }
}

impl From<CheckedPeers> for Case {
    fn from(checked: CheckedPeers) -> Case {
        Case {
            whole: checked.peers.is_some(),
            diagnostics: checked.diagnostics,
            omitted: checked.omitted,
            folder: None,
        }
    }
}

impl Case {
    fn errors(&self) -> usize {
        let errors = self.diagnostics.iter();
        errors.filter(|it| it.severity == Severity::Error).count()
    }

    fn report(&self) -> String {
        let mut blocks: Vec<String> = self.diagnostics.iter().map(ToString::to_string).collect();
        if self.omitted > 0 {
            blocks.push(format!("and {} more", self.omitted));
        }
        if blocks.is_empty() {
            blocks.push("no problems".to_owned());
        }
        blocks.join("\n\n") + "\n"
    }
}

type Cases = BTreeMap<String, Case>;

/// Name, below [`DATA`] and without an ending, → what the check has given.
fn cases() -> &'static Cases {
    static CASES: OnceLock<Cases> = OnceLock::new();
    CASES.get_or_init(check_all)
}

fn files(folder: &str, ending: &str) -> Vec<(String, PathBuf)> {
    std::fs::read_dir(Path::new(DATA).join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == ending))
        .map(|path| {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            (format!("{folder}{stem}"), path)
        })
        .collect()
}

fn check_all() -> Cases {
    let mut cases = Cases::new();
    for (name, path) in files("", "yml") {
        cases.insert(name, check_file_in(&path, &environment()).into());
    }
    for (name, path) in files(PEERS, "yaml") {
        cases.insert(name, check_peers_file(&path).into());
    }
    for (name, path) in files(ON_THIS_MACHINE, "yaml") {
        let checked = check_peers_file_on(&path, &this_machine());
        cases.insert(name, checked.into());
    }
    let peers = check_peers_file(THEIR_PEERS).peers.unwrap();
    for (name, path) in files(WITH_PEERS, "yml") {
        let checked = check_file_with_peers(&path, &environment(), &peers);
        cases.insert(name, checked.into());
    }
    // Files that are not there, and such as nobody wants in the repository.
    let folder = tempfile::tempdir().unwrap();
    let too_large = vec![b' '; usize::try_from(limits::FILE_BYTES_MAX).unwrap() + 1];
    let no_text: &[u8] = b"peers: \xff";
    for (name, content) in [
        ("file_missing", None),
        ("file_too_large", Some(too_large.as_slice())),
        ("peers/file_missing", None),
        ("peers/file_too_large", Some(too_large.as_slice())),
        ("peers/file_not_text", Some(no_text)),
    ] {
        let (path, of_peers) = match name.strip_prefix(PEERS) {
            Some(name) => (folder.path().join(format!("{name}.yaml")), true),
            None => (folder.path().join(format!("{name}.yml")), false),
        };
        // Each is alone in its folder: the report of a missing file lists the others.
        let _ = std::fs::remove_dir_all(folder.path());
        std::fs::create_dir(folder.path()).unwrap();
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let case = match of_peers {
            true => Case::from(check_peers_file(&path)),
            false => Case::from(check_file_in(&path, &environment())),
        };
        let folder = Some(folder.path().to_owned());
        cases.insert(name.to_owned(), Case { folder, ..case });
    }
    let folder = check_peers_file(Path::new(DATA).join("bin"));
    cases.insert("peers/file_is_folder".to_owned(), folder.into());
    cases
}

#[test]
fn every_broken_description_gives_the_report_beside_it() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1");
    let cases = cases();
    let mut wrong = Vec::new();
    for (name, case) in cases {
        let here = std::env::current_dir().unwrap();
        let mut report = case.report().replace(here.to_str().unwrap(), "HERE");
        if let Some(folder) = &case.folder {
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
    for (name, _) in FOLDERS
        .into_iter()
        .flat_map(|folder| files(folder, "report"))
    {
        assert!(cases.contains_key(&name), "{name}.report has no case");
    }
}

#[test]
fn every_code_has_a_case() {
    let seen: BTreeSet<Code> = cases()
        .values()
        .flat_map(|case| &case.diagnostics)
        .map(|diagnostic| diagnostic.code)
        .collect();
    let missing: Vec<&Code> = Code::ALL
        .iter()
        .filter(|code| !seen.contains(code))
        .collect();
    assert!(missing.is_empty(), "codes without a case: {missing:?}");
}

#[test]
fn a_dataflow_and_peers_come_back_exactly_when_there_is_no_error() {
    for (name, case) in cases() {
        assert_eq!(case.whole, case.errors() == 0, "{name}");
    }
}

#[test]
fn every_diagnostic_says_what_to_do() {
    for (name, case) in cases() {
        for diagnostic in &case.diagnostics {
            let obvious = matches!(
                diagnostic.code,
                Code::WrongType | Code::BadText | Code::BadName
            );
            assert!(diagnostic.help.is_some() || obvious, "{name}: {diagnostic}");
            assert_eq!(
                diagnostic.severity == Severity::Warning,
                matches!(
                    diagnostic.code,
                    Code::NotBuiltYet
                        | Code::NoEffect
                        | Code::UnusedModel
                        | Code::NoFingerprint
                        | Code::SharedHost
                        | Code::DeclaredBeyondFound
                        | Code::AddressElsewhere
                ),
                "{name}: {diagnostic}"
            );
        }
    }
}
