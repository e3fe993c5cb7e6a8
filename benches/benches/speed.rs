//! `make bench`: what a message costs, beside what this machine costs without us, in one run.
//!
//! Absolute figures move with the machine and its neighbours: the ratios to the controls are what to quote.
//! With `cases=quick` a tenth of the messages is sent.

use std::error::Error;
use std::path::{Path, PathBuf};

use dataflow_benches::arguments::Arguments;
use dataflow_benches::controls::{PACE_NS, copy_and_read, eventfd_floor};
use dataflow_benches::figures::{Latencies, size, time};
use dataflow_benches::measured::{Case, Outcome, Programs, SinkLanguage, measure};

const SIZES: [usize; 5] = [64, 4_000, 400_000, 4_000_000, 40_000_000];

fn main() -> Result<(), Box<dyn Error>> {
    let divisor = match Arguments::read().get::<String>("cases").as_deref() {
        Ok("quick") => 10,
        _ => 1,
    };
    let programs = programs()?;
    let echo = env!("CARGO_BIN_EXE_bench-echo");

    println!("controls of this run");
    let floor = eventfd_floor(echo, 1_000 / divisor, PACE_NS)?;
    line(
        "  eventfd between two processes, 250 Hz, one way",
        &floor.one_way,
    );
    line("  the same, half a round trip", &floor.half_round_trip);
    let back_to_back = eventfd_floor(echo, 100_000 / divisor, 0)?;
    line(
        "  eventfd, back to back, half a round trip",
        &back_to_back.half_round_trip,
    );
    let mut copies = Vec::new();
    for bytes in SIZES {
        let paced = copy_and_read(bytes, rounds(bytes, true) / divisor, PACE_NS);
        let flat = copy_and_read(bytes, rounds(bytes, false).min(100_000) / divisor, 0);
        println!(
            "  memcpy and a read pass, {:>6}: 250 Hz p50 {:>9}, flat out p50 {:>9} ({:.1} GB/s)",
            size(bytes),
            time(paced.median_ns()),
            time(flat.median_ns()),
            bytes as f64 / flat.median_ns().max(1) as f64,
        );
        copies.push((paced, flat));
    }

    for sink in [SinkLanguage::Rust, SinkLanguage::Python] {
        println!("\nRust → {sink:?}");
        println!(
            "   size  pace      policy       p50        p99        messages/s   GB/s    lost  runtime CPU  ratio to the control"
        );
        for (bytes, (copy_paced, copy_flat)) in SIZES.into_iter().zip(&copies) {
            let paced = Case {
                size: bytes,
                count: (rounds(bytes, true) / divisor) as u64,
                pace_ns: PACE_NS,
                policy: "drop-oldest",
                queue_size: 10,
                sink,
            };
            let outcome = measure(&programs, &paced)?;
            let (control, name) = if bytes < 100_000 {
                (floor.one_way.median_ns(), "eventfd")
            } else {
                (copy_paced.median_ns(), "copy and read")
            };
            let ratio = outcome.latencies.median_ns() as f64 / control.max(1) as f64;
            row(&paced, &outcome, &format!("{ratio:.2}× {name}"));

            let scale = if sink == SinkLanguage::Python { 10 } else { 1 };
            for policy in ["block", "drop-oldest"] {
                let flat = Case {
                    count: (rounds(bytes, false) / divisor / scale).max(20) as u64,
                    pace_ns: 0,
                    policy,
                    queue_size: if bytes < 1_000_000 { 64 } else { 4 },
                    ..paced.clone()
                };
                let outcome = measure(&programs, &flat)?;
                let seconds_each = 1.0 / outcome.rate().max(1e-9);
                let ratio = seconds_each * 1e9 / copy_flat.median_ns().max(1) as f64;
                let said = if bytes < 100_000 || policy != "block" {
                    String::new()
                } else {
                    format!("{ratio:.2}× copy and read")
                };
                row(&flat, &outcome, &said);
            }
        }
    }

    println!("\nsmallest messages, Rust → Rust, 24 B, block, queue_size 64");
    let small = Case {
        size: 24,
        count: (20_000_000 / divisor) as u64,
        pace_ns: 0,
        policy: "block",
        queue_size: 64,
        sink: SinkLanguage::Rust,
    };
    row(
        &small,
        &measure(&programs, &small)?,
        "reach: 3 M messages/s",
    );
    Ok(())
}

/// How many messages of a size make a measurement of a few seconds.
fn rounds(bytes: usize, paced: bool) -> usize {
    match (bytes, paced) {
        (0..1_000_000, true) => 1_000,
        (_, true) => 250,
        (0..1_000, false) => 5_000_000,
        (0..100_000, false) => 1_000_000,
        (0..1_000_000, false) => 50_000,
        (0..10_000_000, false) => 5_000,
        (_, false) => 300,
    }
}

fn line(what: &str, latencies: &Latencies) {
    println!(
        "{what}: p50 {}, p99 {}",
        time(latencies.median_ns()),
        time(latencies.percentile_ns(99.0))
    );
}

fn row(case: &Case, outcome: &Outcome, ratio: &str) {
    let rate = outcome.rate();
    println!(
        "{:>7}  {:<8}  {:<11} {:>10} {:>10} {:>13.0} {:>7.2} {:>7} {:>10.1} %  {ratio}",
        size(case.size),
        if case.pace_ns > 0 {
            "250 Hz"
        } else {
            "flat out"
        },
        case.policy,
        time(outcome.latencies.median_ns()),
        time(outcome.latencies.percentile_ns(99.0)),
        rate,
        rate * case.size as f64 / 1e9,
        case.count.saturating_sub(outcome.arrived),
        100.0 * outcome.runtime_cpu_seconds / outcome.seconds.max(1e-9),
    );
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
