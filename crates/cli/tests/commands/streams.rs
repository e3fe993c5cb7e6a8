//! Streams that have gone, and streams that stall.

use std::fs::OpenOptions;
use std::io::{Read, pipe};
use std::process::Stdio;

use rustix::process::Signal;

use crate::ground::{Ground, Running, said, wait_until};

#[test]
fn a_reader_that_goes_away_ends_nothing() {
    let ground = Ground::with_shell("for i in 1 2 3 4 5; do echo $i; echo $i >&2; done");
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let mut up = Running::start(
        ground
            .dataflow(["up", "flow.yml"])
            .env("DATAFLOW_LOG", "trace")
            .stdout(writer.try_clone().unwrap())
            .stderr(writer),
    );
    assert_eq!(up.wait(), Some(0));
}

#[test]
fn a_build_needs_nobody_who_reads_about_it() {
    let ground = Ground::new();
    ground.write(
        "name: flow\nnodes:\n  - { id: a, path: /bin/sh, args: [-c, 'true'], build: 'true' }\n",
    );
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let mut up = Running::start(
        ground
            .dataflow(["up", "--build", "flow.yml"])
            .stdout(Stdio::null())
            .stderr(writer),
    );
    assert_eq!(up.wait(), Some(0));
}

#[test]
fn a_second_interrupt_forces_although_nobody_reads() {
    let ground = Ground::with_shell("trap '' TERM; while :; do echo a line of some length; done");
    let (reader, writer) = pipe().unwrap();
    let mut up = Running::start(
        ground
            .dataflow(["up", "flow.yml"])
            .env("DATAFLOW_LOG", "trace")
            .stdout(writer.try_clone().unwrap())
            .stderr(writer),
    );
    wait_until("the pipe is full", || {
        rustix::io::ioctl_fionread(&reader).unwrap() > 60_000
    });
    ground.wait_for_phase("running");
    up.signal(Signal::INT);
    ground.wait_for_phase("stopping");
    up.signal(Signal::INT);
    assert_eq!(up.wait(), Some(3));
    drop(reader);
}

#[test]
fn a_reader_that_comes_back_late_is_told_how_much_was_dropped() {
    let ground = Ground::with_shell(
        "i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done; echo last > told; exec sleep 1000",
    );
    let told = ground.fifo("told");
    let (mut reader, writer) = pipe().unwrap();
    let mut up = Running::start(ground.dataflow(["up", "flow.yml"]).stdout(writer));
    crate::ground::line_of(&told);
    // Everything that was said before it has been taken when the log has it.
    wait_until("the last line is in the log", || {
        let logs = ground.dataflow(["logs", "-n", "1"]).output().unwrap();
        said(&logs).contains("line 29999")
    });
    up.signal(Signal::TERM);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(up.wait(), Some(0));
    let dropped: usize = text
        .lines()
        .filter_map(|line| line.split("= ").nth(1)?.strip_suffix(" has every line"))
        .filter_map(|line| {
            line.split(' ')
                .next()?
                .replace(',', "")
                .parse::<usize>()
                .ok()
        })
        .sum();
    let lines = text.lines().filter(|line| line.contains("| line ")).count();
    assert!(dropped > 10_000, "{dropped}");
    // Some changes of the node's state are among what was dropped.
    assert!(
        (30_000..30_010).contains(&(lines + dropped)),
        "{lines} and {dropped}"
    );
}

#[test]
fn standard_output_that_cannot_be_written_is_an_error_and_one_that_has_gone_is_none() {
    let ground = Ground::with_shell("true");
    for arguments in [["check", "flow.yml"], ["graph", "flow.yml"]] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let gone = ground.dataflow(arguments).stdout(writer).output().unwrap();
        assert_eq!(gone.status.code(), Some(0), "{}", said(&gone));
        assert_eq!(said(&gone), "");
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let full = ground.dataflow(arguments).stdout(full).output().unwrap();
        assert_eq!(full.status.code(), Some(1), "{}", said(&full));
    }
}
