//! Python with `huggingface_hub`, in an environment of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// The versions that people have.
pub(crate) const MAJORS: [&str; 2] = ["1", "2"];

/// The Python that has this version.
pub(crate) fn python(major: &str) -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(project.join("scripts/huggingface-hub-environment"))
        .arg(major)
        .stderr(Stdio::inherit())
        .output()
        .expect("the script is there");
    assert!(
        output.status.success(),
        "no Python with huggingface_hub {major}"
    );
    let path = String::from_utf8(output.stdout).expect("a path");
    PathBuf::from(path.trim_end())
}

/// A process of it, with no variables but these.
pub(crate) fn command(major: &str, script: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(python(major));
    command
        .args(["-I", "-W", "error::FutureWarning", "-c", script])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .env("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// Gives a script its input, and reads the JSON that it prints.
pub(crate) fn run(major: &str, script: &str, variables: &[(&str, &str)], input: &str) -> Value {
    let mut child: Child = command(major, script, variables)
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "huggingface_hub {major}: {error}");
    // Its own words about a cache that it does not like come here.
    assert_eq!(error, "", "huggingface_hub {major}");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}
