//! Those who read metrics in the world, out of an environment that a script makes: it is skipped loudly, and not quietly,
//! where one of them cannot be had.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use dataflow_tests::{PATIENCE, repository};
use serde_json::Value;

/// The folder with the readers.
fn environment() -> &'static Path {
    static ENVIRONMENT: OnceLock<PathBuf> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let made = Command::new(repository().join("scripts/metrics-environment"))
            .stderr(Stdio::inherit())
            .output()
            .expect("the script is there");
        assert!(made.status.success(), "no environment: {}", made.status);
        PathBuf::from(String::from_utf8(made.stdout).expect("a path").trim_end())
    })
}

/// A variable that is set where a test that does nothing is a fault, as in CI.
const REQUIRED: &str = "DATAFLOW_METRICS_READER";

/// Says that a test does nothing here. Not through `eprintln!`, which is shown for tests that fail alone.
fn skipped(test: &str, needs: &str) {
    let _ = writeln!(
        std::io::stderr(),
        "\n**** SKIPPED: {test}: it needs {needs}, which cannot be had here\n"
    );
}

/// Whether Python's `prometheus_client` is there. Where it cannot be had, says so.
pub(super) fn has_library(test: &str) -> bool {
    let is_there = environment().join(".whole").exists();
    let is_required = std::env::var_os(REQUIRED).is_some_and(|value| value == "required");
    assert!(
        is_there || !is_required,
        "{REQUIRED}=required, and `prometheus_client` of PyPI is not there: nothing of the world has read the metrics"
    );
    if !is_there {
        skipped(test, "`prometheus_client` of PyPI");
    }
    is_there
}

/// A program of Debian's `prometheus`. Where it cannot be had, says so.
pub(super) fn prometheus(program: &str, test: &str) -> Option<PathBuf> {
    let path = environment().join("prometheus/usr/bin").join(program);
    if path.exists() {
        return Some(path);
    }
    skipped(test, &format!("{program} of Debian's package `prometheus`"));
    None
}

/// What an HTTP server answers: its head and its body. The connection is its own.
pub(super) fn get(address: SocketAddr, path: &str, accept: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

/// Gives a program a page, and what it says of it.
pub(super) fn read_by(command: &mut Command, page: &str) -> (bool, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    let page = page.to_owned();
    let writing = std::thread::spawn(move || input.write_all(page.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    let _ = writing.join();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

/// What Python's `prometheus_client` understands of a page, family by family.
pub(super) fn parsed(page: &str, format: &str) -> Vec<Value> {
    let script = repository().join("tests/tests/statistics/metrics/parse.py");
    let mut python = Command::new(environment().join("bin/python"));
    let (is_well, said) = read_by(python.arg(script).arg(format), page);
    assert!(is_well, "{said}\n{page}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// The value of the one sample of this name whose labels have all of these.
pub(super) fn sample(families: &[Value], name: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = families
        .iter()
        .flat_map(|family| family["samples"].as_array());
    let found: Vec<f64> = samples
        .flatten()
        .filter(|sample| {
            sample[0] == name
                && labels
                    .iter()
                    .all(|(label, value)| sample[1][label] == *value)
        })
        .filter_map(|sample| sample[2].as_f64())
        .collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
    found[0]
}

/// The port on which a process listens, once it does: its own, and of this machine alone.
pub(super) fn listens_on(pid: u32) -> Option<SocketAddr> {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let sockets: Vec<String> = descriptors
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter_map(|link| {
            let link = link.to_str()?;
            let inode = link.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        })
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let is_it = *state == "0A" && sockets.iter().any(|socket| socket == inode);
        let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        is_it.then(|| SocketAddr::from(([127, 0, 0, 1], port)))
    })
}
