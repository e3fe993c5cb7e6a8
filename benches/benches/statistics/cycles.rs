//! A hundred thousand dataflows that come and go, none with the name of another: memory stays, and no counter falls
//! (I-14). In a process of its own, so that its memory is that of the statistics.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::Duration;

use dataflow_benches::processes::resident_bytes;
use dataflow_core::Time;
use dataflow_core::stats::{Book, EdgeFacts, EdgeSpec, GROUPS_MAX, Transition};
use dataflow_ids::stats::{
    Counter, EdgeCounters, EdgeHistograms, EdgeKey, Histogram, Level, NodeKey,
};
use dataflow_ids::{EdgeId, Epoch, LifeCycle, NodeId, NodeIndex, QueuePolicy};

use crate::Effort;
use crate::filled::{KEEPER, add_dataflow, name};

/// How often the memory is looked at.
const LOOKS: usize = 10;

/// Prints how memory goes.
pub(crate) fn print(effort: Effort) -> Result<(), Box<dyn Error>> {
    let cycles = if effort.is_quick { 20_000 } else { 100_000 };
    println!(
        "\n{cycles} dataflows of 3 nodes and 2 edges come and go, with 300,000 names for a hundred thousand"
    );
    let output = Command::new(std::env::current_exe()?)
        .args(["role=cycles", &format!("cycles={cycles}")])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("it ended with {}", output.status).into());
    }
    let mut resident = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let (cycle, bytes) = line.split_once(' ').ok_or("two figures")?;
        let bytes: f64 = bytes.parse()?;
        println!("  after {cycle:>7}: {:>6.2} MB resident", bytes / 1e6);
        resident.push(bytes);
    }
    // All groups that there may be are there when the first look is taken.
    let first = resident.first().ok_or("no figure")?;
    let most = resident.iter().copied().fold(0.0, f64::max);
    println!(
        "  at most {:+.2} % since the first of these (goal: within 5 %); no counter fell",
        100.0 * (most / first - 1.0)
    );
    Ok(())
}

/// Lets so many come and go, and prints the resident memory now and then.
pub(crate) fn run(cycles: usize) -> Result<(), Box<dyn Error>> {
    let mut book = Book::new(KEEPER, GROUPS_MAX);
    let mut known = Known::default();
    for cycle in 1..=cycles {
        up_and_down(&mut book, cycle)?;
        let snapshot = book.publish(at(cycle, 9));
        known.look(cycle, snapshot.total(), |group| {
            let name = (group < GROUPS_MAX).then(|| node_name(group / 3 + 1, group % 3));
            snapshot.group(name.as_ref()).copied()
        })?;
        if cycle.is_multiple_of(cycles / LOOKS) {
            println!("{cycle} {}", resident_bytes(std::process::id())?);
        }
    }
    let total = book.total();
    if (total.nodes.get(), total.edges.get()) != (0, 0)
        || total.retired.nodes.get() != 3 * cycles as u64
    {
        return Err(format!("in the end there are {total:?}").into());
    }
    Ok(())
}

/// A moment in a cycle.
fn at(cycle: usize, step: u64) -> Time {
    Time(Duration::from_micros(cycle as u64 * 10 + step))
}

fn node_name(cycle: usize, node: usize) -> NodeId {
    name(&format!("node-{cycle}-{node}"))
}

/// One dataflow from its beginning to its end, all of whose counters grow.
fn up_and_down(book: &mut Book, cycle: usize) -> Result<(), Box<dyn Error>> {
    let run = add_dataflow(book, at(cycle, 0), cycle);
    for node in 0..3_u32 {
        let key = NodeKey {
            run,
            node: NodeIndex(node),
        };
        book.add_node(at(cycle, 0), key, &node_name(cycle, node as usize))?;
    }
    for edge in 0..2 {
        book.add_edge(EdgeSpec {
            key: EdgeKey {
                run,
                edge: EdgeId(edge),
            },
            source: NodeIndex(edge),
            output: "out".parse()?,
            target: NodeIndex(edge + 1),
            input: "in".parse()?,
            policy: QueuePolicy::Block,
            queue_size: 10,
        })?;
    }
    let life = [
        (LifeCycle::Placed, 0),
        (LifeCycle::Starting, 1),
        (LifeCycle::Ready, 1),
        (LifeCycle::Running, 1),
        (LifeCycle::Backoff, 1),
        (LifeCycle::Starting, 2),
        (LifeCycle::Draining, 2),
        (LifeCycle::Finished, 2),
    ];
    for (step, (to, epoch)) in (1..).zip(life) {
        for node in 0..3 {
            let transition = Transition {
                node: NodeIndex(node),
                to,
                epoch: Epoch(epoch),
                sequence: step,
                at: at(cycle, step),
            };
            book.transition(run, transition)?;
        }
    }
    let one = Counter::new(1);
    let mut timed = Histogram::default();
    timed.buckets[cycle % timed.buckets.len()] = 1;
    timed.sum_ns = 1;
    let facts = EdgeFacts {
        counters: EdgeCounters {
            sent: one,
            delivered: one,
            released: one,
            lost: one,
            dropped_full: one,
            dropped_receiver_closed: one,
            dropped_memory: one,
            bytes: one,
            blocked_ns: one,
        },
        histograms: EdgeHistograms {
            latency: timed,
            queue_wait: timed,
            handling: timed,
        },
        ..EdgeFacts::default()
    };
    for edge in 0..2 {
        let key = EdgeKey {
            run,
            edge: EdgeId(edge),
        };
        book.edge_read(key, &facts)?;
    }
    book.remove_dataflow(at(cycle, 9), run)?;
    Ok(())
}

/// What all counters were when they were looked at last.
#[derive(Default)]
struct Known {
    total: Vec<u128>,
    groups: Vec<Vec<u128>>,
}

impl Known {
    /// Looks at the counters of everything, of the group without a name and of one other; now and then, of all.
    fn look(
        &mut self,
        cycle: usize,
        total: &Level,
        group: impl Fn(usize) -> Option<Level>,
    ) -> Result<(), String> {
        grown(&mut self.total, counters(total))?;
        self.groups.resize(GROUPS_MAX + 1, Vec::new());
        let looked_at = if cycle.is_multiple_of(1_000) {
            (0..GROUPS_MAX).collect()
        } else {
            vec![cycle % GROUPS_MAX]
        };
        for place in looked_at.into_iter().chain([GROUPS_MAX]) {
            if let Some(level) = group(place) {
                grown(&mut self.groups[place], counters(&level))?;
            }
        }
        Ok(())
    }
}

/// Takes what counters stand at, if none is below where it stood.
fn grown(known: &mut Vec<u128>, now: Vec<u128>) -> Result<(), String> {
    if let Some(place) = known.iter().zip(&now).position(|(then, now)| now < then) {
        return Err(format!(
            "counter {place} fell from {} to {}",
            known[place], now[place]
        ));
    }
    *known = now;
    Ok(())
}

/// All counters of a level.
fn counters(level: &Level) -> Vec<u128> {
    let retired = &level.retired;
    let single = [
        level.transitions,
        level.restarts,
        level.cpu_ns,
        retired.nodes,
        retired.transitions,
        retired.restarts,
        retired.cpu_ns,
    ];
    let mut all: Vec<u128> = single.iter().map(|counter| counter.get().into()).collect();
    for times in [&level.time_in_state_ns, &retired.time_in_state_ns] {
        all.extend(LifeCycle::ALL.map(|state| times[state]));
    }
    for counters in [&level.out, &level.into, &retired.out, &retired.into] {
        all.extend(counters.each().map(|counter| u128::from(counter.get())));
    }
    for histograms in [&level.histograms, &retired.histograms] {
        for histogram in histograms.each() {
            all.extend(histogram.buckets.map(u128::from));
            all.push(histogram.sum_ns.into());
        }
    }
    all
}
