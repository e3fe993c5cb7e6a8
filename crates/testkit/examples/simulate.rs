//! Simulates whole runtimes: `simulate --seeds COUNT [--first SEED]`, or `simulate --seed SEED` for all of its trace. With
//! `--peers` before that, agents that watch each other.

use std::process::{Command, ExitCode};
use std::time::Duration;

use dataflow_testkit::peers;
use dataflow_testkit::simulation::{
    Coverage, Tracing, Violation, simulate, simulate_all, work_if_asked,
};

/// How often progress is shown, in seeds.
const PROGRESS_EVERY: u64 = 500;

const USAGE: &str =
    "usage: simulate [--peers] --seeds COUNT [--first SEED] | [--peers] --seed SEED";

/// What is simulated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Runs,
    Peers,
}

enum Wanted {
    One { seed: u64 },
    Many { first: u64, count: u64 },
}

fn wanted() -> Option<(What, Wanted)> {
    let (mut first, mut count) = (0, None);
    let mut arguments = std::env::args().skip(1).peekable();
    let what = match arguments.next_if(|argument| argument == "--peers") {
        Some(_) => What::Peers,
        None => What::Runs,
    };
    while let Some(argument) = arguments.next() {
        let number: u64 = arguments.next()?.parse().ok()?;
        match argument.as_str() {
            "--seed" => return Some((what, Wanted::One { seed: number })),
            "--seeds" => count = Some(number),
            "--first" => first = number,
            _ => return None,
        }
    }
    count.map(|count| (what, Wanted::Many { first, count }))
}

fn main() -> ExitCode {
    if work_if_asked() {
        return ExitCode::SUCCESS;
    }
    match wanted() {
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
        Some((what, Wanted::One { seed })) => one(what, seed),
        Some((What::Runs, Wanted::Many { first, count })) => many(first, count),
        Some((What::Peers, Wanted::Many { first, count })) => many_of_peers(first, count),
    }
}

fn one(what: What, seed: u64) -> ExitCode {
    let (trace, coverage, violation) = match what {
        What::Runs => {
            let it = simulate(seed, Tracing::On);
            (it.trace, it.coverage, it.violation)
        }
        What::Peers => {
            let it = peers::simulation::simulate(seed, Tracing::On);
            (it.trace, it.coverage, it.violation)
        }
    };
    show(seed, &trace, &coverage, violation)
}

fn show(seed: u64, trace: &str, coverage: &Coverage, violation: Option<Violation>) -> ExitCode {
    print!("{trace}{coverage}");
    match violation {
        None => {
            println!("seed {seed}: every invariant held");
            ExitCode::SUCCESS
        }
        Some(violation) => {
            println!("seed {seed}: {violation}");
            ExitCode::FAILURE
        }
    }
}

fn workers() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

fn progress(done: u64, count: u64) {
    if done.is_multiple_of(PROGRESS_EVERY) {
        println!("{done} of {count} seeds");
    }
}

fn many_of_peers(first: u64, count: u64) -> ExitCode {
    let seeds = first..first + count;
    let summary = peers::simulation::simulate_all(seeds, workers() as usize, |done| {
        progress(done, count);
    });
    sum_up(
        summary.seeds,
        summary.took,
        &summary.coverage,
        &summary.failures,
    )
}

fn many(first: u64, count: u64) -> ExitCode {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("simulate: cannot find itself to start workers: {error}");
            return ExitCode::FAILURE;
        }
    };
    let summary = simulate_all(
        first..first + count,
        workers(),
        || Command::new(&program),
        |done| progress(done, count),
    );
    let summary = match summary {
        Ok(summary) => summary,
        Err(error) => {
            eprintln!("simulate: {error}");
            return ExitCode::FAILURE;
        }
    };
    sum_up(
        summary.seeds,
        summary.took,
        &summary.coverage,
        &summary.failures,
    )
}

fn sum_up(seeds: u64, took: Duration, coverage: &Coverage, failures: &[String]) -> ExitCode {
    for failure in failures {
        println!("{failure}\n");
    }
    print!("covered:\n{coverage}");
    let seconds = took.as_secs_f64();
    println!(
        "{seeds} seeds in {seconds:.1} s ({:.0} seeds/s, {} workers): {}",
        seeds as f64 / seconds,
        workers(),
        match failures.len() {
            0 => "every invariant held".to_owned(),
            failed => format!("{failed} FAILED"),
        }
    );
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
