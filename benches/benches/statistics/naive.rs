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
