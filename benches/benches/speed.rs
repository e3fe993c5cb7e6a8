//! `make bench`: what a message costs, beside what this machine costs without us, in one run.
//!
//! Absolute figures move with the machine and its neighbours, within a minute. So each case is measured in
//! pairs, its control right before it, and the median of the pairs' ratios is what to quote. With
//! `cases=quick` a tenth of the messages is sent.

use std::error::Error;
use std::path::{Path, PathBuf};

use dataflow_benches::arguments::Arguments;
use dataflow_benches::controls::{
    PACE_NS, copy_and_read, eventfd_half_round_trip, eventfd_one_way,
};
use dataflow_benches::figures::{Latencies, median, size, time};
use dataflow_benches::measured::{Case, Outcome, Programs, SinkLanguage, measure};

const SIZES: [usize; 5] = [64, 4_000, 400_000, 4_000_000, 40_000_000];

/// Payloads below this are bound by the wake-up, those above by the copy.
const COPY_BOUND_BYTES: usize = 100_000;

/// How often a case and its control are measured.
const PAIRS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let divisor = match Arguments::read().get::<String>("cases").as_deref() {
        Ok("quick") => 10,
        _ => 1,
    };
    let programs = programs()?;

    println!("controls");
    let one_way = eventfd_one_way(ECHO, 1_000 / divisor, PACE_NS)?;
    line("  eventfd between two processes, one way, 250 Hz", &one_way);
    let paced = eventfd_half_round_trip(ECHO, 1_000 / divisor, PACE_NS)?;
    line("  eventfd ping-pong, half a round trip, 250 Hz", &paced);
    let back_to_back = eventfd_half_round_trip(ECHO, 100_000 / divisor, 0)?;
    line("  the same, back to back", &back_to_back);
    for bytes in SIZES {
        let flat = copy_and_read(bytes, (200_000_000 / bytes).clamp(20, 100_000), 0);
        let rate = bytes as f64 / flat.median_ns().max(1) as f64;
        line(
            &format!("  memcpy and a read pass, {} ({rate:.1} GB/s)", size(bytes)),
            &flat,
        );
    }

    for sink in [SinkLanguage::Rust, SinkLanguage::Python] {
        println!("\nRust → {sink:?}, medians of {PAIRS} pairs");
        println!(
            "   size  pace      policy       p50        p99        messages/s   GB/s    lost  \
             runtime CPU  control    ratio"
        );
        for bytes in SIZES {
            let paced = Case {
                size: bytes,
                count: ((if bytes < 1_000_000 { 200 } else { 50 }) / divisor).max(10) as u64,
                pace_ns: PACE_NS,
                policy: "drop-oldest",
                queue_size: 10,
                sink,
            };
            row(&programs, &paced)?;
            if bytes < COPY_BOUND_BYTES {
                // Without the time in between in which caches go cold.
                let count = 20 * paced.count;
                let pace_ns = PACE_NS / 40;
                row(
                    &programs,
                    &Case {
                        count,
                        pace_ns,
                        ..paced.clone()
                    },
                )?;
            }
            for policy in ["block", "drop-oldest"] {
                let scale = if sink == SinkLanguage::Python { 10 } else { 1 };
                let flat = Case {
                    count: (flat_count(bytes) / divisor / scale).max(20) as u64,
                    pace_ns: 0,
                    policy,
                    queue_size: if bytes < 1_000_000 { 64 } else { 4 },
                    ..paced.clone()
                };
                row(&programs, &flat)?;
            }
        }
    }

    println!("\nthe smallest, Rust → Rust, queue_size 64 (to reach: 3 million messages a second)");
    let smallest = Case {
        size: 24,
        count: (5_000_000 / divisor) as u64,
        pace_ns: 0,
        policy: "block",
        queue_size: 64,
        sink: SinkLanguage::Rust,
    };
    row(&programs, &smallest)
}

/// The program at the other end of the eventfd floor.
const ECHO: &str = env!("CARGO_BIN_EXE_bench-echo");

/// How many messages of a size make a measurement of about a second.
fn flat_count(bytes: usize) -> usize {
    match bytes {
        0..1_000 => 2_000_000,
        1_000..100_000 => 500_000,
        100_000..1_000_000 => 20_000,
        1_000_000..10_000_000 => 2_000,
        _ => 100,
    }
}

fn line(what: &str, latencies: &Latencies) {
    println!(
        "{what}: p50 {}, p99 {}",
        time(latencies.median_ns()),
        time(latencies.percentile_ns(99.0))
    );
}

/// What bounds this case on this machine, at this moment: nanoseconds a message.
fn control(case: &Case) -> Result<Latencies, Box<dyn Error>> {
    let rounds = case.count.min(1_000) as usize;
    Ok(match (case.size < COPY_BOUND_BYTES, case.pace_ns) {
        (true, 0) => eventfd_half_round_trip(ECHO, rounds, 0)?,
        (true, pace_ns) => eventfd_one_way(ECHO, rounds, pace_ns)?,
        (false, pace_ns) => copy_and_read(case.size, rounds, pace_ns),
    })
}

fn row(programs: &Programs, case: &Case) -> Result<(), Box<dyn Error>> {
    let (mut controls_ns, mut ratios) = (Vec::new(), Vec::new());
    let mut outcomes: Vec<Outcome> = Vec::new();
    for _ in 0..PAIRS {
        let control = control(case)?;
        let outcome = measure(programs, case)?;
        // Paced, a message's latency; flat out, the time that each message takes its turn for.
        let cost_ns = match case.pace_ns {
            0 => 1e9 / outcome.rate().max(1e-9),
            _ => outcome.latencies.median_ns() as f64,
        };
        controls_ns.push(control.median_ns() as f64);
        ratios.push(cost_ns / control.median_ns().max(1) as f64);
        outcomes.push(outcome);
    }
    let over = |figure: fn(&Outcome) -> f64| median(outcomes.iter().map(figure).collect());
    let rate = over(Outcome::rate);
    let lost: u64 = outcomes
        .iter()
        .map(|outcome| case.count - outcome.arrived.min(case.count))
        .sum();
    println!(
        "{:>7}  {:<8}  {:<11} {:>10} {:>10} {:>13.0} {:>7.2} {:>7} {:>10.1} %  {:>10} {:>6.2}×",
        size(case.size),
        match case.pace_ns {
            0 => "flat out".into(),
            pace_ns => format!("{} Hz", 1_000_000_000 / pace_ns),
        },
        case.policy,
        time(over(|outcome| outcome.latencies.median_ns() as f64) as u64),
        time(over(|outcome| outcome.latencies.percentile_ns(99.0) as f64) as u64),
        rate,
        rate * case.size as f64 / 1e9,
        lost,
        100.0 * over(|outcome| outcome.runtime_cpu_seconds / outcome.seconds.max(1e-9)),
        time(median(controls_ns) as u64),
        median(ratios),
    );
    Ok(())
}

/// The programs lie where cargo has put this one's, except `dataflow`, which `make bench` builds beside them.
fn programs() -> Result<Programs, Box<dyn Error>> {
    let source = PathBuf::from(env!("CARGO_BIN_EXE_bench-source"));
    let dataflow = source.with_file_name("dataflow");
    if !dataflow.exists() {
        return Err(format!(
            "{} is not there: run `make bench`, or `cargo build --release -p dataflow-cli` first",
            dataflow.display()
        )
        .into());
    }
    Ok(Programs {
        dataflow,
        source,
        sink: PathBuf::from(env!("CARGO_BIN_EXE_bench-sink")),
        python_sink: Path::new(env!("CARGO_MANIFEST_DIR")).join("nodes/bench_sink.py"),
    })
}
