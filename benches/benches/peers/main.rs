//! `make bench`: what peers cost. An agent with 63 of them at rest, how fast `dataflow peers` shows them, handshakes a
//! second, and a probe beside a bare echo over quinn in the same run. With `cases=quick` there is less of each.

mod agent;
mod echo;
mod network;

use std::error::Error;
use std::time::Duration;

use dataflow_benches::arguments::Arguments;
use dataflow_benches::figures::{Latencies, median, time};

/// Peers of the agent that is measured.
const PEERS: usize = 63;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let is_quick = arguments.get::<String>("cases").as_deref() == Ok("quick");
    let (rounds, rest) = if is_quick { (2, 5) } else { (9, 60) };

    let at_rest = agent::at_rest(PEERS, Duration::from_secs(rest), rounds * 5)?;
    println!("one agent with {PEERS} connected peers, {rest} s at rest");
    println!(
        "  processor             {:>8.2} % of a core   (goal: < 1 %)",
        at_rest.processor_percent
    );
    println!(
        "  resident memory       {:>8.1} MB            (goal: < 30 MB)",
        at_rest.resident_bytes as f64 / 1e6
    );
    println!(
        "  `dataflow peers`      {:>11} p50, {} p99   (goal: < 50 ms)",
        time(at_rest.shown.median_ns()),
        time(at_rest.shown.percentile_ns(99.0))
    );

    println!(
        "\nhandshakes a second, both keys pinned, both hellos passed, medians of {rounds} rounds"
    );
    for at_once in [1, 16] {
        let rates = (0..rounds).map(|_| network::handshakes_a_second(at_once, 200));
        println!(
            "  {at_once:>2} at a time          {:>8.0}",
            median(rates.collect())
        );
    }

    println!("\na probe beside a bare echo over quinn, {rounds} rounds that take turns");
    let (mut probes, mut echoes) = (Vec::new(), Vec::new());
    let (mut prober, mut echoer) = (network::Prober::new(), echo::Echo::new());
    for _ in 0..rounds {
        probes.extend(prober.round_trips_ns(500));
        echoes.extend(echoer.round_trips_ns(500));
    }
    let (probes, echoes) = (Latencies::new(probes), Latencies::new(echoes));
    for (name, latencies) in [("probe", &probes), ("bare echo", &echoes)] {
        println!(
            "  {name:<20}  {:>11} p50, {} p99",
            time(latencies.median_ns()),
            time(latencies.percentile_ns(99.0))
        );
    }
    let ratio = probes.median_ns() as f64 / echoes.median_ns() as f64;
    println!("  probe / echo          {ratio:>8.2}              (goal: ≤ 1.5)");
    Ok(())
}
