//! Whole runtimes on virtual time: every invariant holds, whatever happens, and one seed always goes the same way.

// A failed test may say so by a panic anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use dataflow_testkit::simulation::{Summary, Tracing, simulate, simulate_all, work_if_asked};

/// How many seeds are simulated.
const SEEDS: u64 = 500;

/// What must have happened in so many seeds, or their invariants say little.
const COVERED: [&str; 54] = [
    "SIGKILLs by the runtime",
    "SIGTERMs by the runtime",
    "acknowledgements: nothing owed",
    "acknowledgements: something owed",
    "acknowledgements: unasked, nothing owed",
    "crashes",
    "deeds: SIGKILL",
    "deeds: SIGSTOP and SIGCONT",
    "deeds: SIGTERM",
    "deeds: force",
    "deeds: stop",
    "deeds: stop now",
    "deeds: stop with a time after which to force",
    "deeds: restart NODE",
    "deeds: stop NODE",
    "deeds: with a SIGKILL of one node",
    "faults of actors that struck",
    "restart policies that were exhausted",
    "states: parked",
    "times it was said whom a stop waits for",
    "stuck nodes that were helped",
    "edges with lost messages",
    "edges with messages that nobody read",
    "ends: crashed",
    "ends: drained",
    "ends: forced",
    "faults of the actor of models that struck",
    "fetches that came to their end",
    "fetches that spoke after they were cancelled",
    "fetches that were cancelled",
    "launches of later incarnations",
    "launches that failed",
    "members of cycles stopped because it was at rest",
    "messages lost with who held them",
    "messages sent to nobody, or to a full edge",
    "messages sent, block",
    "messages sent, drop-oldest",
    "messages sent, latest",
    "messages taken, copied",
    "messages taken, in shared memory",
    "models given to processes",
    "nodes that saw all inputs closed",
    "outcomes: drained",
    "outcomes: failed",
    "outcomes: forced",
    "processes ended before Ready",
    "processes ended before hello",
    "processes ended in the handshake",
    "requests for tokens",
    "segments retired",
    "states: backoff",
    "states: downloading",
    "stops told, graceful",
    "stuck nodes that were named",
];

/// This test of this program, as a worker.
fn worker(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test knows itself"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command
}

#[test]
fn every_invariant_holds_in_every_seed_and_everything_does_happen() {
    if work_if_asked() {
        return;
    }
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let test = "every_invariant_holds_in_every_seed_and_everything_does_happen";
    let summary: Summary = simulate_all(0..SEEDS, workers, || worker(test), |_| {}).unwrap();
    assert!(
        summary.failures.is_empty(),
        "{}",
        summary.failures.join("\n\n")
    );
    assert_eq!(summary.seeds, SEEDS);
    let missing: Vec<&str> = COVERED
        .into_iter()
        .filter(|what| summary.coverage.of(what) == 0)
        .collect();
    assert!(
        missing.is_empty(),
        "never happened: {missing:?}\n{}",
        summary.coverage
    );
}

/// Prints a seed's trace, in a process of its own.
#[test]
fn a_seed_in_another_process() {
    if let Ok(seed) = std::env::var("DATAFLOW_TEST_SEED") {
        print!("{}", simulate(seed.parse().unwrap(), Tracing::On).trace);
    }
}

#[test]
fn one_seed_goes_the_same_way_every_time_and_in_every_process() {
    for seed in 0..12_u64 {
        let trace = simulate(seed, Tracing::On).trace;
        assert!(trace.lines().count() > 20, "seed {seed} has a trace");
        let again = simulate(seed, Tracing::On).trace;
        assert_eq!(trace, again, "seed {seed}, in this process");
        let elsewhere = worker("a_seed_in_another_process")
            .env("DATAFLOW_TEST_SEED", seed.to_string())
            .output()
            .unwrap();
        let printed = String::from_utf8(elsewhere.stdout).unwrap();
        assert!(printed.contains(&trace), "seed {seed}, in another process");
    }
}
