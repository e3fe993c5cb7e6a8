//! A folder with a dataflow in it, and a run of it on a thread of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use dataflow_descriptor::{Dataflow, Environment, check_file_in};
use dataflow_wire::status::Report;

use crate::prepare::{Host, prepare_in};
use crate::registry::{FoundRun, Registry};
use crate::{Controls, RunError, RunEvent, RunOptions, UpError};

/// Longer than anything here takes. Only a fault is found by it.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Project {
    _place: tempfile::TempDir,
    pub(super) folder: PathBuf,
    pub(super) registry: Registry,
}

impl Project {
    pub(super) fn new() -> Project {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().canonicalize().unwrap();
        Project {
            registry: Registry::at(folder.join("registry")),
            _place: place,
            folder,
        }
    }

    pub(super) fn script(&self, name: &str, text: &str) -> &Project {
        self.program(name, &format!("#!/bin/sh\n{text}\n"))
    }

    /// As `script`, for a shell that can write to any descriptor.
    pub(super) fn bash(&self, name: &str, text: &str) -> &Project {
        self.program(name, &format!("#!/bin/bash\n{text}\n"))
    }

    pub(super) fn program(&self, name: &str, text: &str) -> &Project {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    pub(super) fn dataflow(&self, yaml: &str) -> Dataflow {
        let file = self.folder.join("flow.yml");
        fs::write(&file, yaml).unwrap();
        let environment = Environment::of_this_process();
        let checked = check_file_in(&file, &environment);
        checked
            .dataflow
            .unwrap_or_else(|| panic!("{:?}", checked.diagnostics))
    }

    pub(super) fn prepare(&self, yaml: &str) -> Result<crate::Run, UpError> {
        self.prepare_with(yaml, RunOptions::default())
    }

    pub(super) fn prepare_with(
        &self,
        yaml: &str,
        options: RunOptions,
    ) -> Result<crate::Run, UpError> {
        let options = RunOptions {
            seed: Some(7),
            ..options
        };
        prepare_in(
            &self.registry,
            self.dataflow(yaml),
            options,
            &Host::default(),
        )
    }

    pub(super) fn start(&self, yaml: &str) -> Started {
        self.start_with(yaml, RunOptions::default())
    }

    pub(super) fn start_with(&self, yaml: &str, options: RunOptions) -> Started {
        let run = self.prepare_with(yaml, options).unwrap();
        let controls = run.controls();
        let (to_test, events) = mpsc::channel();
        let thread = std::thread::spawn(move || run.block_on(to_test));
        Started {
            controls,
            events,
            thread,
        }
    }

    pub(super) fn found(&self) -> Vec<FoundRun> {
        self.registry.find(&self.folder, None).unwrap()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

pub(super) struct Started {
    pub(super) controls: Controls,
    pub(super) events: mpsc::Receiver<RunEvent>,
    thread: JoinHandle<Result<Report, RunError>>,
}

impl Started {
    /// Waits for an event that `pick` makes something of.
    pub(super) fn wait<T>(&self, mut pick: impl FnMut(&RunEvent) -> Option<T>) -> T {
        loop {
            let event = self.events.recv_timeout(PATIENCE).expect("the event comes");
            if let Some(found) = pick(&event) {
                return found;
            }
        }
    }

    pub(super) fn wait_for_line(&self, wanted: &str) {
        self.wait(|event| match event {
            RunEvent::Log { line, .. } if line == wanted => Some(()),
            _ => None,
        });
    }

    /// Waits until all of these were said, whichever of them first.
    pub(super) fn wait_for_lines(&self, wanted: &[&str]) {
        let mut missing = wanted.to_vec();
        self.wait(|event| {
            if let RunEvent::Log { line, .. } = event {
                missing.retain(|wanted| wanted != line);
            }
            missing.is_empty().then_some(())
        });
    }

    pub(super) fn report(self) -> Report {
        self.wait(|event| match event {
            RunEvent::Ended(report) => Some((**report).clone()),
            _ => None,
        });
        self.thread.join().unwrap().unwrap()
    }
}

/// Whether a process is there and is no zombie.
pub(super) fn is_alive(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit(')').next().unwrap().trim().starts_with('Z'),
        Err(_) => false,
    }
}

pub(super) fn read_pid(file: &Path) -> u32 {
    fs::read_to_string(file).unwrap().trim().parse().unwrap()
}
