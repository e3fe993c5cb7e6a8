//! Which edges touch a node: looked up, not searched for.

use dataflow_descriptor::{Dataflow, Edge};
use dataflow_ids::NodeIndex;

/// The edges of each node, by their places in the description.
#[derive(Debug)]
pub(super) struct Topology {
    from: Vec<Vec<usize>>,
    into: Vec<Vec<usize>>,
}

impl Topology {
    pub(super) fn of(dataflow: &Dataflow) -> Topology {
        let mut topology = Topology {
            from: vec![Vec::new(); dataflow.nodes.len()],
            into: vec![Vec::new(); dataflow.nodes.len()],
        };
        for (place, edge) in dataflow.edges.iter().enumerate() {
            topology.from[edge.source.index.0 as usize].push(place);
            topology.into[edge.target.index.0 as usize].push(place);
        }
        topology
    }

    /// The edges that leave a node.
    pub(super) fn edges_from<'a>(
        &'a self,
        dataflow: &'a Dataflow,
        node: NodeIndex,
    ) -> impl Iterator<Item = &'a Edge> + Clone {
        edges(&self.from, dataflow, node)
    }

    /// The edges that end in a node.
    pub(super) fn edges_into<'a>(
        &'a self,
        dataflow: &'a Dataflow,
        node: NodeIndex,
    ) -> impl Iterator<Item = &'a Edge> + Clone {
        edges(&self.into, dataflow, node)
    }
}

fn edges<'a>(
    of: &'a [Vec<usize>],
    dataflow: &'a Dataflow,
    node: NodeIndex,
) -> impl Iterator<Item = &'a Edge> + Clone {
    of[node.0 as usize]
        .iter()
        .map(|place| &dataflow.edges[*place])
}
