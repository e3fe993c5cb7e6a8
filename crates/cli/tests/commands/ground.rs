//! A project in a temporary folder, with a registry that nobody else sees.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, FlockOperation, Mode, flock, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything is waited for before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Ground {
    place: TempDir,
}

impl Ground {
    pub(crate) fn new() -> Ground {
        let ground = Ground {
            place: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(ground.project()).unwrap();
        fs::create_dir(ground.runtime_folder()).unwrap();
        ground
    }

    /// A project with a dataflow `flow` of one node, a shell that runs `script`.
    pub(crate) fn with_shell(script: &str) -> Ground {
        let ground = Ground::new();
        let script = serde_json::to_string(script).unwrap();
        ground.write(&format!(
            "name: flow\nnodes:\n  - id: shell\n    path: /bin/sh\n    args: [-c, {script}]\n"
        ));
        ground
    }

    pub(crate) fn write(&self, description: &str) {
        fs::write(self.project().join("flow.yml"), description).unwrap();
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.place.path().canonicalize().unwrap().join("project")
    }

    pub(crate) fn runtime_folder(&self) -> PathBuf {
        self.place.path().join("runtime")
    }

    pub(crate) fn config_folder(&self) -> PathBuf {
        self.place.path().join("config")
    }

    /// A fifo in the project's folder.
    pub(crate) fn fifo(&self, name: &str) -> PathBuf {
        let path = self.project().join(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        path
    }

    /// The binary, with signals as a terminal leaves them, however these tests are run.
    pub(crate) fn dataflow<const N: usize>(&self, arguments: [&str; N]) -> Command {
        self.started_by(["--default-signal=INT,TERM,HUP"], arguments)
    }

    /// The binary, started by `env` with these options.
    pub(crate) fn started_by<const M: usize, const N: usize>(
        &self,
        options: [&str; M],
        arguments: [&str; N],
    ) -> Command {
        let mut command = Command::new("env");
        command
            .args(options)
            .arg(env!("CARGO_BIN_EXE_dataflow"))
            .args(arguments)
            .current_dir(self.project())
            .env("XDG_RUNTIME_DIR", self.runtime_folder())
            .env("XDG_CONFIG_HOME", self.config_folder())
            .env_remove("DATAFLOW_IDENTITY")
            .env_remove("DATAFLOW_PEERS")
            .env_remove("DATAFLOW_PEER")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("DATAFLOW_LOG")
            .env_remove("RUST_LOG")
            .env_remove("DATAFLOW_FORCE_AFTER")
            .env_remove("VIRTUAL_ENV")
            .stdin(Stdio::null());
        command
    }

    /// The objects of `ps --json`.
    pub(crate) fn ps(&self) -> Vec<Value> {
        let output = self.dataflow(["ps", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits until the dataflow `flow` is in this phase.
    pub(crate) fn wait_for_phase(&self, phase: &str) {
        wait_until(phase, || self.ps().iter().any(|run| run["phase"] == phase));
    }
}

/// Asks again and again until it is so.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "never so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A command that is killed when its test fails.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        Running(command.spawn().unwrap())
    }

    pub(crate) fn of(child: Child) -> Running {
        Running(child)
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Its exit code; `None` when a signal ended it.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it says on standard error, a pipe, until it ends.
    pub(crate) fn errors(&mut self) -> String {
        let mut errors = String::new();
        let stderr = self.0.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut errors).unwrap();
        errors
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// What stands in the registry for a run that this test plays.
pub(crate) struct PlayedRun {
    pub(crate) listener: UnixListener,
    pub(crate) folder: PathBuf,
    /// Locked for as long as it runs.
    _entry: File,
}

impl PlayedRun {
    pub(crate) fn begin(ground: &Ground, name: &str, pid: u32) -> PlayedRun {
        let project = ground.project();
        let registry = ground.runtime_folder().join("dataflow");
        let place = registry.join("0123456789abcdef");
        fs::create_dir_all(&place).unwrap();
        for folder in [&registry, &place] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            fs::set_permissions(folder, mode).unwrap();
        }
        let run = format!("{name}-1");
        let file = project.join(format!("{name}.yml"));
        let entry = json!({
            "name": name, "run": run, "file": file, "folder": project, "pid": pid,
        });
        // Under a name that nobody looks at: whoever finds an entry that is not locked removes it.
        let unseen = place.join(format!("{name}.new"));
        let mut locked = File::create(&unseen).unwrap();
        flock(&locked, FlockOperation::LockExclusive).unwrap();
        locked.write_all(entry.to_string().as_bytes()).unwrap();
        let folder = project.join(".dataflow/runs").join(&run);
        fs::create_dir_all(&folder).unwrap();
        let about = json!({
            "name": name, "file": file, "started_at_ms": 1, "pid": pid, "nodes": [],
        });
        fs::write(folder.join("run.json"), about.to_string()).unwrap();
        let listener = UnixListener::bind(place.join(format!("{name}.sock"))).unwrap();
        fs::rename(unseen, place.join(format!("{name}.json"))).unwrap();
        PlayedRun {
            listener,
            folder,
            _entry: locked,
        }
    }
}

/// Reads a line that somebody writes into a fifo.
pub(crate) fn line_of(fifo: &Path) -> String {
    let mut text = String::new();
    File::open(fifo).unwrap().read_to_string(&mut text).unwrap();
    text
}
