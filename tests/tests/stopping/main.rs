//! Stopping, shown with real processes: sections 6 and 7 of the design, one module a behaviour.
//!
//! Each test ends back at its baseline: no process, no memory and no socket of it is left (the drop of
//! `Project` asserts it), and in each report every message is accounted for (I-2, asserted where it is read).

mod crashes;
mod cycles;
mod damaged_edges;
mod down;
mod ends_of_senders;
mod force;
mod gil;
mod held;
mod now;
mod one_node;
mod random_kills;
mod restarts;
mod runtime_killed;
mod shapes;
mod starting;
mod stopped_processes;
mod two_projects;

use rustix::process::{Pid, Signal};

/// SIGKILL, to this process alone.
fn kill(pid: Option<u32>) {
    let pid = pid
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    let pid = pid.expect("the process lives");
    rustix::process::kill_process(pid, Signal::KILL).expect("the process lives");
}
