//! What it costs to tell somebody, and an agent that puts the statistics of many together: the whole, and what has changed.

use std::error::Error;

use dataflow_benches::clock::now_ns;
use dataflow_benches::figures::{median, size, time};
use dataflow_core::stats::{Collector, GROUPS_MAX, Source, apply};
use dataflow_ids::stats::{Delta, Keeper, Statistics};
use dataflow_wire::client::{ClientReply, Parts, in_parts};
use dataflow_wire::frame::{decode, encode};

use crate::Effort;
use crate::filled::{Filled, KEEPER, make};

/// What is told of so many nodes.
#[derive(Default)]
struct Figures {
    collected: Vec<f64>,
    encoded: Vec<f64>,
    decoded: Vec<f64>,
    applied: Vec<f64>,
    /// By what an agent puts together.
    put_together: Vec<f64>,
    bytes: usize,
}

/// Prints what the whole costs, and what a delta does of a hundredth of the nodes.
pub(crate) fn print(effort: Effort) -> Result<(), Box<dyn Error>> {
    println!(
        "\ntelling, medians of {} rounds\n      nodes                    bytes   collected    encoded    decoded    applied   by an agent",
        effort.rounds
    );
    for &nodes in effort
        .sizes
        .iter()
        .filter(|nodes| (1_000..=100_000).contains(*nodes))
    {
        let (mut whole, mut part) = (Figures::default(), Figures::default());
        let mut filled = Filled::new(nodes);
        for _ in 0..effort.rounds {
            round(&mut filled, nodes, &mut whole, &mut part)?;
        }
        for (name, figures) in [("the whole", whole), ("1 % has changed", part)] {
            let [collected, encoded, decoded, applied, put_together] = [
                figures.collected,
                figures.encoded,
                figures.decoded,
                figures.applied,
                figures.put_together,
            ]
            .map(|taken| match taken.is_empty() {
                true => "–".to_owned(),
                false => time(median(taken) as u64),
            });
            println!(
                "  {nodes:>9}  {name:<16} {:>8}  {collected:>10} {encoded:>10} {decoded:>10} {applied:>10}    {put_together:>10}",
                size(figures.bytes)
            );
        }
    }
    Ok(())
}

fn round(
    filled: &mut Filled,
    nodes: usize,
    whole: &mut Figures,
    part: &mut Figures,
) -> Result<(), Box<dyn Error>> {
    let first = filled.book.publish(filled.now());
    let statistics = timed(&mut whole.collected, || first.statistics());
    let reply = ClientReply::Statistics(Box::new(statistics));
    let parts: Vec<ClientReply> = timed(&mut whole.encoded, || {
        in_parts(&reply).map(Iterator::collect)
    })?;
    whole.bytes = parts.iter().map(length).sum();
    let put_together = timed(&mut whole.decoded, || {
        let mut together = Parts::default();
        let mut replies = parts.into_iter().map(|part| together.take(part));
        replies.try_fold(None, |_, reply| reply)
    })?;
    let Some(ClientReply::Statistics(mut known)) = put_together else {
        return Err("the whole is not what was sent".into());
    };

    let transitions = filled.transitions(nodes / 100);
    make(&mut filled.book, &transitions);
    let second = filled.book.publish(filled.now());
    let delta: Delta = timed(&mut part.collected, || second.since(&first));
    let encoded = timed(&mut part.encoded, || encode(&delta))?;
    part.bytes = encoded.len();
    let delta: Delta = timed(&mut part.decoded, || decode(&encoded))?;
    timed(&mut part.applied, || apply(&mut known, &delta))?;
    is_same(&known, &second.statistics())?;

    let mut agent = Collector::new(Keeper(KEEPER.0 + 1), GROUPS_MAX);
    let source = Source {
        peer: "robot".parse()?,
        run: None,
    };
    let all = first.statistics();
    timed(&mut whole.put_together, || {
        agent.whole(filled.now(), &source, all)
    })?;
    // Somebody reads what it has published, as always.
    let shown = agent.publish(filled.now());
    timed(&mut part.put_together, || {
        agent.delta(filled.now(), &source, delta)
    })?;
    drop(shown);
    match agent.book().total().states == second.total().states {
        true => Ok(()),
        false => Err("an agent counts others than there are".into()),
    }
}

/// How many bytes of the whole a part has.
fn length(part: &ClientReply) -> usize {
    match part {
        ClientReply::Part { bytes, .. } => bytes.len(),
        _ => 0,
    }
}

fn is_same(applied: &Statistics, snapshot: &Statistics) -> Result<(), Box<dyn Error>> {
    if applied == snapshot {
        Ok(())
    } else {
        Err("a snapshot and a delta are not the later snapshot".into())
    }
}

fn timed<T>(took: &mut Vec<f64>, what: impl FnOnce() -> T) -> T {
    let began_ns = now_ns();
    let result = what();
    took.push((now_ns() - began_ns) as f64);
    result
}
