//! Simulates whole runtimes: `simulate --seeds COUNT [--first SEED]`, or `simulate --seed SEED` for all of its trace.

use std::process::{Command, ExitCode};

use dataflow_testkit::simulation::{Tracing, simulate, simulate_all, work_if_asked};

/// How often progress is shown, in seeds.
const PROGRESS_EVERY: u64 = 500;

const USAGE: &str = "usage: simulate --seeds COUNT [--first SEED] | --seed SEED";

enum Wanted {
    One { seed: u64 },
    Many { first: u64, count: u64 },
}

fn wanted() -> Option<Wanted> {
    let (mut first, mut count) = (0, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number: u64 = arguments.next()?.parse().ok()?;
        match argument.as_str() {
            "--seed" => return Some(Wanted::One { seed: number }),
            "--seeds" => count = Some(number),
            "--first" => first = number,
            _ => return None,
        }
    }
    count.map(|count| Wanted::Many { first, count })
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
        Some(Wanted::One { seed }) => one(seed),
        Some(Wanted::Many { first, count }) => many(first, count),
    }
}

fn one(seed: u64) -> ExitCode {
    let simulated = simulate(seed, Tracing::On);
    print!("{}{}", simulated.trace, simulated.coverage);
    match simulated.violation {
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

fn many(first: u64, count: u64) -> ExitCode {
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("simulate: cannot find itself to start workers: {error}");
            return ExitCode::FAILURE;
        }
    };
    let summary = simulate_all(
        first..first + count,
        workers,
        || Command::new(&program),
        |done| {
            if done.is_multiple_of(PROGRESS_EVERY) {
                println!("{done} of {count} seeds");
            }
        },
    );
    let summary = match summary {
        Ok(summary) => summary,
        Err(error) => {
            eprintln!("simulate: {error}");
            return ExitCode::FAILURE;
        }
    };
    for failure in &summary.failures {
        println!("{failure}\n");
    }
    print!("covered:\n{}", summary.coverage);
    let seconds = summary.took.as_secs_f64();
    println!(
        "{} seeds in {seconds:.1} s ({:.0} seeds/s, {workers} workers): {}",
        summary.seeds,
        summary.seeds as f64 / seconds,
        match summary.failures.len() {
            0 => "every invariant held".to_owned(),
            failed => format!("{failed} FAILED"),
        }
    );
    if summary.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
