//! The control: nothing is kept but the nodes, and each query counts them again.

use std::error::Error;
use std::hint::black_box;

use dataflow_benches::clock::now_ns;
use dataflow_benches::figures::median;
use dataflow_ids::LifeCycle;

use crate::Effort;

/// How many groups the nodes are spread over, as everywhere in this bench.
pub(crate) const GROUPS: usize = 10;

/// Nodes, packed as densely as it goes: no recount is faster.
pub(crate) struct Naive {
    /// The group and the state of each.
    nodes: Vec<(u16, LifeCycle)>,
}

impl Naive {
    /// So many nodes that are `Declared`.
    pub(crate) fn new(nodes: usize) -> Self {
        let group = |node| u16::try_from(node % GROUPS).unwrap_or_default();
        let nodes = (0..nodes).map(|node| (group(node), LifeCycle::Declared));
        Naive {
            nodes: nodes.collect(),
        }
    }

    /// A node's state has changed.
    pub(crate) fn transition(&mut self, node: usize, to: LifeCycle) {
        self.nodes[node].1 = to;
    }

    /// How many nodes of a group are in each state.
    pub(crate) fn group(&self, group: u16) -> [u64; LifeCycle::ALL.len()] {
        let mut states = [0; LifeCycle::ALL.len()];
        for (of, state) in &self.nodes {
            states[*state as usize] += u64::from(*of == group);
        }
        states
    }
}

/// Prints what a query costs that counts again.
pub(crate) fn print(effort: Effort) -> Result<(), Box<dyn Error>> {
    println!("\na naive recount, {GROUPS} names\n      nodes     change       a name");
    for &size in effort.sizes {
        let mut naive = Naive::new(size);
        let (mut changes, mut queries) = (Vec::new(), Vec::new());
        for _ in 0..effort.rounds {
            let began_ns = now_ns();
            for step in 0..10_000_usize {
                let node = step.wrapping_mul(7_919) % size;
                naive.transition(black_box(node), LifeCycle::ALL[step % 4]);
            }
            changes.push((now_ns() - began_ns) as f64 / 10_000.0);
            let asked = (1_000_000 / size).max(1);
            let began_ns = now_ns();
            for _ in 0..asked {
                black_box(naive.group(black_box(3)));
            }
            queries.push((now_ns() - began_ns) as f64 / asked as f64);
        }
        println!(
            "  {size:>9}  {:>6.1} ns  {:>10.0} ns",
            median(changes),
            median(queries)
        );
    }
    Ok(())
}
