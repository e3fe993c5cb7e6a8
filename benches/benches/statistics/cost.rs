//! What a transition and a query cost, with few nodes and with many, in turns: so that a machine that gets slower
//! meanwhile is not taken for a structure that does.

use std::error::Error;
use std::hint::black_box;

use dataflow_benches::clock::thread_ns;
use dataflow_benches::figures::median;

use dataflow_ids::LifeCycle;
use dataflow_ids::stats::{Gauge, Level};

use crate::Effort;
use crate::filled::{Filled, make};
use crate::naive::{Floor, GROUPS, Naive};

/// Transitions that are timed at once.
const TRANSITIONS: usize = 20_000;
/// Queries that are timed at once.
const QUERIES: usize = 10_000;

/// The figures of one number of nodes.
#[derive(Default)]
struct Figures {
    transition: Vec<f64>,
    total: Vec<f64>,
    group: Vec<f64>,
    dataflow: Vec<f64>,
    node: Vec<f64>,
    naive_transition: Vec<f64>,
    naive_group: Vec<f64>,
    floor: Vec<f64>,
}

/// Prints what both cost for each number of nodes.
pub(crate) fn print(effort: Effort) -> Result<(), Box<dyn Error>> {
    let mut all: Vec<(usize, Filled, Naive, Floor, Figures)> = Vec::new();
    for &size in effort.sizes {
        all.push((
            size,
            Filled::new(size),
            Naive::new(size),
            Floor::new(size),
            Figures::default(),
        ));
    }
    for round in 0..=effort.rounds {
        for (size, filled, naive, floor, figures) in &mut all {
            let taken = round_of(*size, filled, naive, floor);
            // The first round warms.
            if round > 0 {
                figures.take(&taken);
            }
        }
    }
    println!(
        "\n{GROUPS} names, dataflows of 1,000 nodes, medians of {} rounds, in ns (goals: a query < 200, a transition < \
         150, both flat)\n      nodes   transition     total   a name   a dataflow   a node  |  naive: change   a name  |  memory",
        effort.rounds
    );
    for (size, _, _, _, figures) in all {
        let Figures {
            transition,
            total,
            group,
            dataflow,
            node,
            naive_transition,
            naive_group,
            floor,
        } = figures;
        println!(
            "  {size:>9}   {:>10.0}  {:>8.1}  {:>7.1}   {:>10.1}  {:>7.1}  |  {:>13.1}  {:>7.0}  |  {:>6.1}",
            median(transition),
            median(total),
            median(group),
            median(dataflow),
            median(node),
            median(naive_transition),
            median(naive_group),
            median(floor),
        );
    }
    Ok(())
}

impl Figures {
    fn take(&mut self, taken: &[f64; 8]) {
        let all = [
            &mut self.transition,
            &mut self.total,
            &mut self.group,
            &mut self.dataflow,
            &mut self.node,
            &mut self.naive_transition,
            &mut self.naive_group,
            &mut self.floor,
        ];
        for (figures, figure) in all.into_iter().zip(taken) {
            figures.push(*figure);
        }
    }
}

/// Each figure once, in nanoseconds a call.
fn round_of(size: usize, filled: &mut Filled, naive: &mut Naive, floor: &mut Floor) -> [f64; 8] {
    let transitions = filled.transitions(TRANSITIONS);
    let same: Vec<(usize, _)> = transitions
        .iter()
        .map(|(run, transition)| (filled.place(*run, transition.node), transition.to))
        .collect();
    let names = filled.names().to_vec();
    let run = filled.run();
    let keys: Vec<_> = (0..QUERIES)
        .map(|query| filled.key(query.wrapping_mul(7_919) % size))
        .collect();

    let transition = a_call(TRANSITIONS, || make(&mut filled.book, &transitions));
    let book = &filled.book;
    let total = a_call(QUERIES, || {
        for _ in 0..QUERIES {
            black_box(running(black_box(book).total()));
        }
    });
    let group = a_call(QUERIES, || {
        for query in 0..QUERIES {
            black_box(book.group(Some(&names[query % GROUPS])).map(running));
        }
    });
    let dataflow = a_call(QUERIES, || {
        for _ in 0..QUERIES {
            black_box(book.dataflow(black_box(run)).map(running));
        }
    });
    let node = a_call(QUERIES, || {
        for key in &keys {
            black_box(book.node(*key));
        }
    });
    // Which row is next is known only when the one before has been changed, as with transitions.
    let floor = a_call(TRANSITIONS, || {
        let mut before = 0;
        for (node, _) in &same {
            let row = node ^ usize::from(before == u64::MAX);
            before = black_box(floor.change(row.min(size - 1)));
        }
    });
    let naive_transition = a_call(TRANSITIONS, || {
        for (node, to) in same {
            naive.transition(node, to);
        }
    });
    let asked = (2_000_000 / size).clamp(1, QUERIES);
    let naive_group = a_call(asked, || {
        for _ in 0..asked {
            black_box(naive.group(black_box(3)));
        }
    });
    [
        transition,
        total,
        group,
        dataflow,
        node,
        naive_transition,
        naive_group,
        floor,
    ]
}

/// One of a level's numbers.
fn running(level: &Level) -> Gauge {
    level.states[LifeCycle::Running]
}

/// What a call takes of a processor, of so many.
fn a_call(calls: usize, all: impl FnOnce()) -> f64 {
    let began_ns = thread_ns();
    all();
    (thread_ns() - began_ns) as f64 / calls as f64
}
