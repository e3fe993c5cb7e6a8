//! The control: nothing is kept but the nodes, and each query counts them again.

use dataflow_ids::LifeCycle;

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

/// The memory of the machine: rows as long as what is kept of a node's life, of which each change takes one and writes
/// into it. No structure of such rows is faster.
pub(crate) struct Floor(Vec<[u64; 22]>);

impl Floor {
    /// So many rows.
    pub(crate) fn new(rows: usize) -> Self {
        Floor(vec![[1; 22]; rows])
    }

    /// Changes a row, as it is: what comes next does not begin before.
    pub(crate) fn change(&mut self, row: usize) -> u64 {
        let row = &mut self.0[row];
        row[0] += 1;
        row[12] += row[0];
        row[21] += row[12];
        row[21]
    }
}
