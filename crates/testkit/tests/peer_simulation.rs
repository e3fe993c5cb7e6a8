//! Agents over a simulated network: whatever goes wrong, nobody is accused who lives, nobody who is gone stays unnoticed,
//! and in the end all find each other; one seed always goes the same way.

use std::thread;
use std::time::Duration;

use dataflow_testkit::peers::simulation::{simulate, simulate_all};
use dataflow_testkit::simulation::Tracing;

/// How many seeds are simulated.
const SEEDS: u64 = 1000;
/// What must have happened in so many seeds, or it says little that all went well.
const COVERED: [&str; 30] = [
    "closes: DuplicateId",
    "closes: Reconfigured",
    "closes: Superseded",
    "closes: Unanswered",
    "conditions: degraded",
    "conditions: healthy",
    "conditions: rejected",
    "conditions: unreachable",
    "connections to another start of the agent",
    "dials that were cancelled",
    "looks at a control loop that is rightly slow",
    "looks at a peer that is rightly given up",
    "own stalls that were noticed",
    "reloads that changed something",
    "second agents that were refused",
    "troubles: clock jumped",
    "troubles: control loop stalled",
    "troubles: cut",
    "troubles: cut off from all",
    "troubles: cut one way",
    "troubles: key rotated",
    "troubles: killed",
    "troubles: most packets lost",
    "troubles: moved",
    "troubles: reload with a wrong key",
    "troubles: reload without a peer",
    "troubles: restarted",
    "troubles: second agent with one id",
    "troubles: slow",
    "troubles: stopped",
];
/// The longest that they may take, on the slowest machine.
const TOOK_MAX: Duration = Duration::from_secs(300);

fn threads() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get())
}

#[test]
fn everything_that_must_be_true_of_peers_holds_in_every_seed_and_everything_does_happen() {
    let summary = simulate_all(0..SEEDS, threads(), |_| {});
    println!(
        "{} seeds in {:.1} s\n{}",
        summary.seeds,
        summary.took.as_secs_f64(),
        summary.coverage
    );
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
    assert!(missing.is_empty(), "never happened: {missing:?}");
    assert!(summary.took < TOOK_MAX, "{:?}", summary.took);
}

#[test]
fn one_seed_of_peers_always_goes_the_same_way() {
    for seed in 0..20 {
        let (one, again) = (simulate(seed, Tracing::On), simulate(seed, Tracing::On));
        assert!(one.trace.lines().count() > 20, "seed {seed} has a trace");
        assert_eq!(one.trace, again.trace, "seed {seed}");
        assert_eq!(one.coverage, again.coverage, "seed {seed}");
    }
}
