//! Where the things under test are: the binaries, the Python environment, the test nodes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a test waits for a fact before it fails. Nothing is ever decided by this time passing.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `is_so`.
///
/// # Panics
///
/// When it never is; `what` says what was waited for.
#[track_caller]
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The folder of the workspace.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package is a folder of the workspace")
}

/// The folder of the Python test nodes.
pub fn nodes_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("nodes")
}

fn built(name: &str, package: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test has an executable");
    // `target/debug/deps/stopping-0123` → `target/debug/`
    let found = test
        .ancestors()
        .skip(1)
        .take(3)
        .map(|folder| folder.join(name))
        .find(|binary| binary.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "the binary `{name}` is not built beside {}: run `cargo build -p {package}` \
             (`make test` does it)",
            test.display()
        )
    })
}

/// The binary under test.
///
/// # Panics
///
/// When it is not built, with the command that builds it.
pub fn dataflow_binary() -> PathBuf {
    built("dataflow", "dataflow-cli")
}

/// The Rust test node: one program with many roles, chosen by its first argument.
pub fn test_node() -> PathBuf {
    built("dataflow-test-node", "dataflow-tests")
}

/// The node that shows how steadily messages flow.
///
/// # Panics
///
/// As [`dataflow_binary`].
pub fn pulse_node() -> PathBuf {
    built("dataflow-pulse-node", "dataflow-tests")
}

/// The node that writes into edges out of turn.
///
/// # Panics
///
/// As [`dataflow_binary`].
pub fn scribbling_node() -> PathBuf {
    built("dataflow-scribbling-node", "dataflow-tests")
}

/// The node of the soak, which keeps a ledger of every message.
///
/// # Panics
///
/// As [`dataflow_binary`].
pub fn ledger_node() -> PathBuf {
    built("dataflow-ledger-node", "dataflow-tests")
}

/// Where the virtual environment with our wheel and numpy is.
pub(crate) fn python_environment() -> PathBuf {
    std::env::var_os("VIRTUAL_ENV").map_or_else(|| repository().join(".venv"), PathBuf::from)
}

/// The Python with our wheel and numpy.
pub fn python() -> PathBuf {
    python_environment().join("bin/python")
}

/// Asserts that the virtual environment is there and has both.
///
/// # Panics
///
/// When there is none, or it lacks one of the two, with the remedy.
pub(crate) fn assert_python_works() {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let remedy = "run `make test` (it makes `.venv` with our wheel and numpy)";
        let python = python();
        let output = Command::new(&python)
            .args(["-c", "import dataflow, numpy; dataflow.Node"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{} does not start: {error}; {remedy}", python.display()))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(format!(
                "{} cannot import dataflow and numpy; {remedy}\n{}",
                python.display(),
                String::from_utf8_lossy(&output.stderr)
            ))
        }
    });
    if let Err(why) = found {
        panic!("{why}");
    }
}

/// A Python that does not have our module: the one our environment was made from, without site packages.
///
/// Made in `folder`, as a virtual environment without pip.
pub fn bare_python(folder: &Path) -> PathBuf {
    let bare = folder.join("bare");
    let output = Command::new(python())
        .args(["-m", "venv", "--without-pip"])
        .arg(&bare)
        .stdin(Stdio::null())
        .output()
        .expect("the environment's Python starts");
    assert!(
        output.status.success(),
        "no bare environment: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    bare.join("bin/python")
}
