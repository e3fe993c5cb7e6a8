//! What a dataflow's graph says about the order of its stop: sources, chains, cycles.

use std::collections::BTreeMap;

use dataflow_ids::{EdgeId, NodeIndex};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex as Vertex};

/// An edge, as far as the order is concerned. Timers are not edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowEdge {
    /// The edge.
    pub edge: EdgeId,
    /// Its sender.
    pub source: NodeIndex,
    /// Its receiver.
    pub target: NodeIndex,
}

/// An edge names a node that the dataflow does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("edge {edge} names node number {}, but the dataflow has {nodes} nodes", node.0)]
pub struct UnknownNode {
    /// The edge.
    pub edge: EdgeId,
    /// The node it names.
    pub node: NodeIndex,
    /// How many nodes there are.
    pub nodes: u32,
}

/// The number of a cycle in its [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CycleIndex(pub usize);

/// How a node comes to its end when the dataflow stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// No edge leads to it (timers are not edges): it is told to stop.
    Source,
    /// Its inputs close.
    Chain,
    /// It can be reached from itself: its inputs cannot all close before it ends, so the cycle is told to
    /// stop as one.
    Member(CycleIndex),
}

/// Nodes that can all be reached from each other; one node, when it is connected to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// Its members, in order.
    pub members: Vec<CycleMember>,
    /// The edges that lead into it from outside. A cycle without any is a source.
    pub outer: Vec<EdgeId>,
}

/// A member of a cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleMember {
    /// The node.
    pub node: NodeIndex,
    /// The edges to it from within the cycle: those of which it receives up to the sequence at the stop.
    pub inner: Vec<EdgeId>,
}

/// The graph of a dataflow, reduced to what its order needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    pub(super) roles: Vec<Role>,
    pub(super) edges: BTreeMap<EdgeId, FlowEdge>,
    pub(super) cycles: Vec<Cycle>,
    /// All nodes, receivers before their senders.
    pub(super) start_order: Vec<NodeIndex>,
}

impl Graph {
    /// Reads the graph of `nodes` nodes, numbered from 0.
    ///
    /// # Errors
    ///
    /// [`UnknownNode`] when an edge names a node that is not there.
    pub fn new(nodes: u32, edges: &[FlowEdge]) -> Result<Graph, UnknownNode> {
        let mut graph = DiGraph::<NodeIndex, ()>::new();
        let vertices: Vec<Vertex> = (0..nodes)
            .map(|node| graph.add_node(NodeIndex(node)))
            .collect();
        let vertex = |edge: EdgeId, node: NodeIndex| {
            usize::try_from(node.0)
                .ok()
                .and_then(|place| vertices.get(place).copied())
                .ok_or(UnknownNode { edge, node, nodes })
        };
        for edge in edges {
            let source = vertex(edge.edge, edge.source)?;
            graph.add_edge(source, vertex(edge.edge, edge.target)?, ());
        }

        let mut roles = vec![Role::Source; vertices.len()];
        for edge in edges {
            roles[place(edge.target)] = Role::Chain;
        }
        let mut cycles = Vec::new();
        let mut start_order = Vec::with_capacity(vertices.len());
        // Components come in reverse topological order: receivers first.
        for mut component in tarjan_scc(&graph) {
            component.sort_unstable();
            let is_cycle = component.len() > 1
                || component
                    .iter()
                    .any(|vertex| graph.contains_edge(*vertex, *vertex));
            for vertex in &component {
                start_order.push(graph[*vertex]);
                if is_cycle {
                    roles[vertex.index()] = Role::Member(CycleIndex(cycles.len()));
                }
            }
            if is_cycle {
                let members = component.iter().map(|vertex| CycleMember {
                    node: graph[*vertex],
                    inner: Vec::new(),
                });
                cycles.push(Cycle {
                    members: members.collect(),
                    outer: Vec::new(),
                });
            }
        }

        let edges: BTreeMap<EdgeId, FlowEdge> =
            edges.iter().map(|edge| (edge.edge, *edge)).collect();
        for edge in edges.values() {
            let Role::Member(index) = roles[place(edge.target)] else {
                continue;
            };
            let cycle = &mut cycles[index.0];
            if roles[place(edge.source)] != Role::Member(index) {
                cycle.outer.push(edge.edge);
            } else if let Some(member) = cycle
                .members
                .iter_mut()
                .find(|member| member.node == edge.target)
            {
                member.inner.push(edge.edge);
            }
        }
        Ok(Graph {
            roles,
            edges,
            cycles,
            start_order,
        })
    }

    /// How each node comes to its end, by its number.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The cycles, by their number.
    #[must_use]
    pub fn cycles(&self) -> &[Cycle] {
        &self.cycles
    }

    /// All nodes, receivers before their senders, so that a sender waits as little as possible for its
    /// receivers to be ready.
    #[must_use]
    pub fn start_order(&self) -> &[NodeIndex] {
        &self.start_order
    }
}

/// The place of a node in a vector of all nodes.
pub(super) fn place(node: NodeIndex) -> usize {
    // Never more than u32::MAX, which a usize holds on every machine that has memfds of use to us.
    node.0 as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: u32, edges: &[(u32, u32)]) -> Graph {
        let edges: Vec<FlowEdge> = (0..)
            .zip(edges)
            .map(|(edge, (source, target))| FlowEdge {
                edge: EdgeId(edge),
                source: NodeIndex(*source),
                target: NodeIndex(*target),
            })
            .collect();
        Graph::new(nodes, &edges).unwrap()
    }

    #[test]
    fn a_chain_has_one_source_and_starts_from_its_end() {
        let graph = graph(3, &[(0, 1), (1, 2), (0, 1)]);
        assert_eq!(graph.roles(), [Role::Source, Role::Chain, Role::Chain]);
        assert!(graph.cycles().is_empty());
        assert_eq!(
            graph.start_order(),
            [NodeIndex(2), NodeIndex(1), NodeIndex(0)]
        );
    }

    #[test]
    fn a_node_connected_to_itself_is_a_cycle() {
        let graph = graph(2, &[(0, 0), (0, 1)]);
        assert_eq!(graph.roles()[0], Role::Member(CycleIndex(0)));
        assert_eq!(graph.roles()[1], Role::Chain);
        assert_eq!(graph.cycles()[0].members[0].inner, [EdgeId(0)]);
        assert!(graph.cycles()[0].outer.is_empty());
    }

    #[test]
    fn outer_edges_of_a_cycle_are_those_from_outside() {
        // 0 → 1 ⇄ 2 → 3, and 2 ⇄ 2
        let graph = graph(4, &[(0, 1), (1, 2), (2, 1), (2, 3), (2, 2)]);
        assert_eq!(graph.cycles().len(), 1);
        let cycle = &graph.cycles()[0];
        assert_eq!(cycle.outer, [EdgeId(0)]);
        assert_eq!(cycle.members[0].inner, [EdgeId(2)]);
        assert_eq!(cycle.members[1].inner, [EdgeId(1), EdgeId(4)]);
        assert_eq!(graph.roles()[3], Role::Chain);
    }

    #[test]
    fn an_edge_to_nowhere_is_an_error_that_names_it() {
        let edge = FlowEdge {
            edge: EdgeId(7),
            source: NodeIndex(0),
            target: NodeIndex(2),
        };
        let error = Graph::new(2, &[edge]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "edge e7 names node number 2, but the dataflow has 2 nodes"
        );
    }
}
