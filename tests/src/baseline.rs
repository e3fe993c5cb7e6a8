//! What a test must leave as it found it: processes, memory, sockets.
//!
//! Every process that a test starts, and every process that those start, carries the test's mark in its
//! environment, so that tests which run at the same time do not see each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long what has been killed or told to end may take to leave the table of processes. Generous: a machine
/// under load, and a runtime in the background that has answered `down` and is about to end.
const SETTLE: Duration = Duration::from_secs(10);

/// The variable that carries the mark.
pub(crate) const MARK: &str = "DATAFLOW_TEST_MARK";

/// A process of this test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its arguments, joined.
    pub command: String,
}

fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .expect("/proc is mounted")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Every process with this mark that still runs (a zombie does not).
pub(crate) fn processes(mark: &str) -> Vec<Process> {
    let wanted = format!("{MARK}={mark}");
    let mut found: Vec<Process> = pids()
        .filter_map(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == wanted.as_bytes())
                .then(|| {
                    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                    Process {
                        pid,
                        command: String::from_utf8_lossy(&command)
                            .replace('\0', " ")
                            .trim()
                            .to_owned(),
                    }
                })
        })
        .collect();
    found.sort();
    found
}

/// Kills every process with this mark. For a test that has failed.
pub(crate) fn kill_all(mark: &str) {
    for process in processes(mark) {
        if let Some(pid) = rustix::process::Pid::from_raw(process.pid) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// How many descriptors a process has open, files of logs left out: those are opened with the first line.
pub fn open_descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap_or_else(|error| panic!("process {pid} has no descriptors to count: {error}"))
        .flatten()
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .filter(|target| target.extension().is_none_or(|ending| ending != "log"))
        .count()
}

/// Who has memory of these runs open or mapped: `pid 12: memfd:dataflow-…`, one line each.
pub(crate) fn memory_of(runs: &[String]) -> BTreeSet<String> {
    let of_ours = |text: &str| {
        let start = text.find("/memfd:dataflow-")?;
        let name = &text[start + 1..];
        let of_run = name.strip_prefix("memfd:dataflow-")?;
        runs.iter()
            .any(|run| of_run.starts_with(run.as_str()))
            .then(|| name.to_owned())
    };
    let mut found = BTreeSet::new();
    for pid in pids() {
        if let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) {
            for descriptor in descriptors.flatten() {
                let target = fs::read_link(descriptor.path()).unwrap_or_default();
                if let Some(name) = of_ours(&target.to_string_lossy()) {
                    found.insert(format!("pid {pid} has open {name}"));
                }
            }
        }
        if let Ok(maps) = fs::read_to_string(format!("/proc/{pid}/maps")) {
            for name in maps.lines().filter_map(of_ours) {
                found.insert(format!("pid {pid} has mapped {name}"));
            }
        }
    }
    found
}

fn sockets_in(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sockets_in(&path, found);
        } else {
            found.insert(path);
        }
    }
}

/// Waits until nothing is left of a test.
///
/// # Panics
///
/// When something is, with its name.
pub(crate) fn assert_nothing_left(mark: &str, runs: &[String], runtime_folder: &Path) {
    let started = Instant::now();
    loop {
        let processes = processes(mark);
        let memory = memory_of(runs);
        let mut files = BTreeSet::new();
        sockets_in(runtime_folder, &mut files);
        if processes.is_empty() && memory.is_empty() && files.is_empty() {
            return;
        }
        assert!(
            started.elapsed() < SETTLE,
            "not back to baseline:\nprocesses {processes:#?}\nmemory {memory:#?}\nfiles {files:#?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_the_mark_is_seen_until_it_has_ended() {
        let mark = format!("seen-{}", std::process::id());
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .env(MARK, &mark)
            .spawn()
            .unwrap();
        crate::wait_until("the child is seen", || !processes(&mark).is_empty());
        assert_eq!(processes("another"), []);
        kill_all(&mark);
        child.wait().unwrap();
        assert_eq!(processes(&mark), []);
    }

    #[test]
    fn memory_of_a_run_is_seen_by_its_name() {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let name = format!("dataflow-run-{}-node-1-0", std::process::id());
        let run = format!("run-{}", std::process::id());
        // A child that another test starts beside this one has it open too, until it runs its program.
        let ours = format!("pid {} has ", std::process::id());
        let seen = |run: &str| -> Vec<String> {
            let seen = memory_of(&[run.to_owned()]).into_iter();
            seen.filter(|line| line.starts_with(&ours)).collect()
        };
        let memory = rustix::fs::memfd_create(&name, flags).unwrap();
        assert_eq!(seen(&run).len(), 1, "{:?}", seen(&run));
        assert!(seen("another").is_empty());
        drop(memory);
        assert!(seen(&run).is_empty());
    }

    #[test]
    fn a_socket_left_behind_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("project")).unwrap();
        let socket = folder.path().join("project/flow.sock");
        fs::write(&socket, "").unwrap();
        let mut found = BTreeSet::new();
        sockets_in(folder.path(), &mut found);
        assert_eq!(found, BTreeSet::from([socket]));
    }
}
