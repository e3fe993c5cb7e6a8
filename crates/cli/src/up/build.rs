//! `up --build`: the `build` command of each node, before anything is started.

use std::collections::BTreeSet;
use std::io::stderr;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use dataflow_descriptor::Dataflow;
use dataflow_ids::span;
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::error::CliError;
use crate::output;
use crate::signals::Signals;

/// Runs the commands in the order of the nodes, each once, however many nodes share it. What they say, and what
/// is said about them, goes to standard error: standard output may be for programs.
pub(super) fn all(dataflow: &Dataflow, signals: &Signals) -> Result<(), CliError> {
    let mut done = BTreeSet::new();
    for node in &dataflow.nodes {
        let Some(command) = &node.build else { continue };
        if !done.insert(command) {
            continue;
        }
        output::note(&format!("building {}: {command}", node.id));
        let began = Instant::now();
        let errors = stderr()
            .as_fd()
            .try_clone_to_owned()
            .map_err(CliError::system("use standard error"))?;
        if signals.interrupted() {
            return Err(CliError::Interrupted);
        }
        let mut child = Command::new("sh")
            .args(["-c", command])
            .current_dir(&dataflow.folder)
            .envs(&dataflow.env)
            .envs(&node.env)
            .stdin(Stdio::null())
            .stdout(errors)
            .process_group(0)
            .spawn()
            .map_err(CliError::system("run `sh`"))?;
        signals.go_to_build(child.id());
        // Its number is not given to another before nobody sends signals to it.
        wait_without_reaping(&child);
        signals.go_nowhere();
        let status = child.wait();
        let status = status.map_err(CliError::system("wait for the build"))?;
        if signals.interrupted() {
            return Err(CliError::Interrupted);
        }
        if !status.success() {
            return Err(CliError::BuildFailed {
                node: node.id.to_string(),
                how: status.to_string(),
                command: command.clone(),
            });
        }
        let took = span::plain(began.elapsed());
        output::note(&format!("built {} in {took}", node.id));
    }
    Ok(())
}

/// Waits for the end of a process, which keeps its number.
fn wait_without_reaping(child: &Child) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(Errno::INTR) = waitid(WaitId::Pid(Pid::from_child(child)), options) {}
}
