//! Signals in any order, and those that the starter ignores.

use std::fs;
use std::process::Stdio;

use rustix::process::Signal;

use crate::ground::{Ground, Running, line_of};

/// A node that says at the fifo `deaf` that it is, ends when the fifo `gate` is opened, and not before.
const GATED: &str = "trap '' TERM; echo > deaf; exec cat < gate";

fn up(ground: &Ground) -> Running {
    let deaf = ground.fifo("deaf");
    let up = Running::start(ground.dataflow(["up", "flow.yml"]).stdout(Stdio::null()));
    line_of(&deaf);
    ground.wait_for_phase("running");
    up
}

#[test]
fn signals_after_signals_force_nothing_unless_both_are_interrupts() {
    let ground = Ground::with_shell(GATED);
    let gate = ground.fifo("gate");
    let mut up = up(&ground);
    up.signal(Signal::INT);
    ground.wait_for_phase("stopping");
    for signal in [Signal::TERM, Signal::HUP, Signal::TERM] {
        up.signal(signal);
    }
    fs::write(gate, "open").unwrap();
    assert_eq!(up.wait(), Some(0));
}

#[test]
fn a_supervisor_that_repeats_itself_forces_nothing() {
    let ground = Ground::with_shell(GATED);
    let gate = ground.fifo("gate");
    let mut up = up(&ground);
    up.signal(Signal::TERM);
    ground.wait_for_phase("stopping");
    up.signal(Signal::TERM);
    up.signal(Signal::INT);
    fs::write(gate, "open").unwrap();
    assert_eq!(up.wait(), Some(0));
}

#[test]
fn a_signal_that_the_starter_ignores_stays_ignored() {
    let ground = Ground::with_shell("sleep 1000");
    let mut up = Running::start(
        ground
            .started_by(
                ["--default-signal=TERM", "--ignore-signal=HUP,INT"],
                ["up", "flow.yml"],
            )
            .stdout(Stdio::null()),
    );
    ground.wait_for_phase("running");
    let status = fs::read_to_string(format!("/proc/{}/status", up.child().id())).unwrap();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .unwrap();
    let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
    assert_eq!(mask & 0b11, 0b11, "HUP and INT are ignored: {mask:x}");
    up.signal(Signal::HUP);
    up.signal(Signal::INT);
    up.signal(Signal::TERM);
    assert_eq!(up.wait(), Some(0));
}
