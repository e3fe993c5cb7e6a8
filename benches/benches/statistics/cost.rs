//! What a transition and a query cost, with few nodes and with many, in turns: so that a machine that gets slower
//! meanwhile is not taken for a structure that does.
//!
//! Transitions are those of the same nodes again and again, as in the bench of dask, which shows what the structure costs:
//! all that they touch is in a cache. And those of nodes that chance chooses among all, with the machine's memory in them.

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
/// The nodes whose transitions are made again and again: as many as tasks change in a batch of dask's bench.
const SAME: usize = 2_000;
/// Queries that are timed at once.
const QUERIES: usize = 10_000;

/// The figures of one number of nodes.
#[derive(Default)]
struct Figures {
    same: Vec<f64>,
    by_chance: Vec<f64>,
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
    let mut all: Vec<(Case, Figures)> = (effort.sizes.iter())
        .map(|size| (Case::new(*size), Figures::default()))
        .collect();
    for round in 0..=effort.rounds {
        for (case, figures) in &mut all {
            let taken = case.round();
            // The first round warms.
            if round > 0 {
                figures.take(&taken);
            }
        }
    }
    println!(
        "\n{GROUPS} names, dataflows of 1,000 nodes, medians of {} rounds, in ns (goals: a query < 200, a transition < \
         150, both flat)\n      nodes   transition: of the same {SAME}   by chance     total   a name   a dataflow   a node  |  \
         naive: change   a name  |  memory",
        effort.rounds
    );
    for (case, figures) in all {
        let Figures {
            same,
            by_chance,
            total,
            group,
            dataflow,
            node,
            naive_transition,
            naive_group,
            floor,
        } = figures;
        println!(
            "  {:>9}   {:>28.0}   {:>9.0}  {:>8.1}  {:>7.1}   {:>10.1}  {:>7.1}  |  {:>13.1}  {:>7.0}  |  {:>6.1}",
            case.size,
            median(same),
            median(by_chance),
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
    fn take(&mut self, taken: &[f64; 9]) {
        let all = [
            &mut self.same,
            &mut self.by_chance,
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

/// What is measured with one number of nodes.
struct Case {
    size: usize,
    filled: Filled,
    /// The nodes whose transitions are made again and again.
    same: Vec<usize>,
    naive: Naive,
    floor: Floor,
}

impl Case {
    fn new(size: usize) -> Case {
        let mut filled = Filled::new(size);
        let same = (0..SAME.min(size)).map(|_| filled.chance(size)).collect();
        Case {
            size,
            filled,
            same,
            naive: Naive::new(size),
            floor: Floor::new(size),
        }
    }

    /// Each figure once, in nanoseconds a call.
    fn round(&mut self) -> [f64; 9] {
        let same = self.same();
        let [by_chance, naive_transition, floor] = self.by_chance();
        let [total, group, dataflow, node] = self.queries();
        let asked = (2_000_000 / self.size).clamp(1, QUERIES);
        let naive_group = a_call(asked, || {
            for _ in 0..asked {
                black_box(self.naive.group(black_box(3)));
            }
        });
        [
            same,
            by_chance,
            total,
            group,
            dataflow,
            node,
            naive_transition,
            naive_group,
            floor,
        ]
    }

    /// A transition of one of the same nodes.
    fn same(&mut self) -> f64 {
        // What they touch has been elsewhere for as long as all else was measured.
        let first = self.filled.transitions_of(&self.same, TRANSITIONS);
        make(&mut self.filled.book, &first);
        let transitions = self.filled.transitions_of(&self.same, TRANSITIONS);
        a_call(TRANSITIONS, || make(&mut self.filled.book, &transitions))
    }

    /// A transition of any node, a naive one, and a change of a row of an array.
    fn by_chance(&mut self) -> [f64; 3] {
        let transitions = self.filled.transitions(TRANSITIONS);
        let place = |run, node| self.filled.place(run, node);
        let places: Vec<(usize, LifeCycle)> = (transitions.iter())
            .map(|(run, transition)| (place(*run, transition.node), transition.to))
            .collect();
        let transition = a_call(TRANSITIONS, || make(&mut self.filled.book, &transitions));
        // Which row is next is known only when the one before has been changed, as with transitions.
        let floor = a_call(TRANSITIONS, || {
            let mut before = 0;
            for (node, _) in &places {
                let row = node ^ usize::from(before == u64::MAX);
                before = black_box(self.floor.change(row.min(self.size - 1)));
            }
        });
        let naive = a_call(TRANSITIONS, || {
            for (node, to) in places {
                self.naive.transition(node, to);
            }
        });
        [transition, naive, floor]
    }

    /// Queries of everything, of a name, of a dataflow, and of a node.
    fn queries(&self) -> [f64; 4] {
        let names = self.filled.names().to_vec();
        let run = self.filled.run();
        let keys: Vec<_> = (0..QUERIES)
            .map(|query| self.filled.key(query.wrapping_mul(7_919) % self.size))
            .collect();
        let book = &self.filled.book;
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
        [total, group, dataflow, node]
    }
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
