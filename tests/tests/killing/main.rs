//! What nodes and runtimes survive, shown with real processes that are killed, paused and starved: one module a
//! behaviour. `dataflow-soak` does the same for as long as it is told, at moments that nobody chooses.
//!
//! Each test ends back at its baseline: no process, no memory and no socket of it is left (the drop of
//! `Project` asserts it), and every message is accounted for.

mod down_in_every_phase;
mod limits;
mod named_points;
mod own_doing;
mod restart_semantics;
mod standing_still;

use dataflow_tests::{Fact, PATIENCE, Project};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

fn number(pid: Option<u32>) -> Pid {
    let pid = pid.and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(Pid::from_raw).expect("the process lives")
}

/// Sends a signal to this process alone.
fn signal(pid: Option<u32>, signal: Signal) {
    kill_process(number(pid), signal).expect("the process lives");
}

/// SIGKILL; waits until the kernel has closed everything that the process had.
fn kill(pid: Option<u32>) {
    let held = pidfd_open(number(pid), PidfdFlags::empty()).expect("the process lives");
    signal(pid, Signal::KILL);
    let mut ended = [PollFd::new(&held, PollFlags::IN)];
    let patience = Timespec::try_from(PATIENCE).expect("a minute is a time");
    let ready = poll(&mut ended, Some(&patience)).expect("a process can be waited for");
    assert_eq!(ready, 1, "a killed process ends");
}

/// The process of the incarnation of a ledger node that began last.
fn last_pid(project: &Project, node: &str) -> Option<u32> {
    let ledger = project.ledger(node);
    ledger.iter().rev().find_map(|fact| match fact {
        Fact::Began { pid } => Some(*pid),
        _ => None,
    })
}
