//! What it takes to write a page of metrics, up to as many groups, edges and dataflows as a page ever shows.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use dataflow_benches::clock::now_ns;
use dataflow_benches::figures::{median, size, time};
use dataflow_core::Time;
use dataflow_core::stats::{Book, EdgeFacts, EdgeSpec, GROUPS_MAX};
use dataflow_ids::stats::{EdgeKey, NodeKey, RunNumber};
use dataflow_ids::{EdgeId, NodeIndex, QueuePolicy};
use dataflow_runtime::MetricsPages;

use crate::Effort;
use crate::filled::{KEEPER, add_dataflow, name};

/// Dataflows, groups and edges. The last: all that a page shows, on an agent that is full.
const SIZES: [(usize, usize, usize); 4] = [
    (1, 10, 10),
    (1, 1_000, 1_000),
    (1, 1_000, 10_000),
    (256, GROUPS_MAX, 10_000),
];

/// Prints how long the first page takes, and each after it, and how long it is.
pub(crate) fn print(effort: Effort) -> Result<(), Box<dyn Error>> {
    println!(
        "\npages of metrics, medians of {} rounds\n  dataflows   groups    edges      bytes   the first   the next",
        effort.rounds
    );
    for (dataflows, groups, edges) in SIZES {
        let mut book = filled(dataflows, groups, edges)?;
        let (mut first, mut next, mut bytes) = (Vec::new(), Vec::new(), 0);
        for round in 0..effort.rounds as u64 {
            let mut pages = MetricsPages::new();
            for figures in [&mut first, &mut next] {
                let snapshot = book.publish(Time(Duration::from_secs(2 + round)));
                let begun_ns = now_ns();
                let page = pages.openmetrics(Arc::clone(&snapshot), Duration::from_secs(2));
                figures.push((now_ns() - begun_ns) as f64);
                bytes = black_box(page).ok_or("a page could not be written")?.len();
            }
        }
        println!(
            "{dataflows:>11} {groups:>8} {edges:>8} {:>10} {:>11} {:>10}",
            size(bytes),
            time(median(first) as u64),
            time(median(next) as u64)
        );
    }
    Ok(())
}

/// Nodes of that many names, with edges between them, dealt out to the dataflows.
fn filled(dataflows: usize, groups: usize, edges: usize) -> Result<Book, Box<dyn Error>> {
    let mut book = Book::new(KEEPER, GROUPS_MAX);
    let runs: Vec<RunNumber> = (0..dataflows)
        .map(|number| add_dataflow(&mut book, Time::START, number))
        .collect();
    let place = |number: usize| -> Result<(RunNumber, u32), Box<dyn Error>> {
        Ok((runs[number % dataflows], u32::try_from(number / dataflows)?))
    };
    for group in 0..groups {
        let (run, node) = place(group)?;
        let key = NodeKey {
            run,
            node: NodeIndex(node),
        };
        book.add_node(Time::START, key, &name(&format!("node-{group}")))?;
    }
    for edge in 0..edges {
        let (run, id) = place(edge)?;
        let nodes = u32::try_from(groups / dataflows)?;
        let key = EdgeKey {
            run,
            edge: EdgeId(id),
        };
        book.add_edge(EdgeSpec {
            key,
            source: NodeIndex(id % nodes),
            output: "out".parse()?,
            target: NodeIndex((id + 1) % nodes),
            input: format!("in-{id}").parse()?,
            policy: QueuePolicy::Block,
            queue_size: 10,
        })?;
        let mut facts = EdgeFacts::default();
        for bucket in [20, 24, 30] {
            facts.histograms.latency.buckets[bucket] = 7;
            facts.histograms.queue_wait.buckets[bucket] = 7;
        }
        book.edge_read(key, &facts)?;
    }
    Ok(book)
}
