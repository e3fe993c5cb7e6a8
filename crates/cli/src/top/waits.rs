//! Who waits for whom: a sender waits on an edge whose queue is full, and perhaps so does its receiver on another.

use std::collections::{BTreeMap, BTreeSet};

use dataflow_ids::stats::{EdgeRow, NodeKey};

/// How long a chain of nodes that wait for each other is said.
const CHAIN_MAX: usize = 8;

/// For each node that waits, the one for which it does.
#[derive(Debug, Default)]
pub(super) struct Waits(BTreeMap<NodeKey, NodeKey>);

impl Waits {
    /// What these edges say. A node sends one message at a time, and so waits on one edge.
    pub(super) fn of(edges: &[EdgeRow]) -> Waits {
        let blocked = edges.iter().filter(|edge| edge.gauges.blocked.get() > 0);
        Waits(
            blocked
                .map(|edge| {
                    let key = |node| NodeKey {
                        run: edge.key.run,
                        node,
                    };
                    (key(edge.source), key(edge.target))
                })
                .collect(),
        )
    }

    /// The node for which this one waits, then that for which that one does, and so on: the last is the root, or, in a
    /// circle, the one that was said before.
    pub(super) fn chain(&self, node: NodeKey) -> Vec<NodeKey> {
        let mut chain = Vec::new();
        let mut seen = BTreeSet::from([node]);
        let mut waits = node;
        while let Some(next) = self.0.get(&waits).copied()
            && chain.len() < CHAIN_MAX
        {
            chain.push(next);
            if !seen.insert(next) {
                break;
            }
            waits = next;
        }
        chain
    }
}

#[cfg(test)]
mod tests {
    use dataflow_ids::NodeIndex;
    use dataflow_ids::stats::RunNumber;

    use super::super::example;
    use super::*;

    fn node(number: u32) -> NodeKey {
        NodeKey {
            run: RunNumber(1),
            node: NodeIndex(number),
        }
    }

    fn waits(pairs: &[(u32, u32)]) -> Waits {
        let edges: Vec<_> = (0..)
            .zip(pairs)
            .map(|(number, (source, target))| {
                let mut edge = example::edge(number, *source, *target);
                edge.gauges.blocked.add(1);
                edge
            })
            .collect();
        Waits::of(&edges)
    }

    #[test]
    fn a_chain_names_everybody_up_to_the_root() {
        let waits = waits(&[(0, 1), (1, 2)]);
        assert_eq!(waits.chain(node(0)), [node(1), node(2)]);
        assert_eq!(waits.chain(node(1)), [node(2)]);
        assert!(waits.chain(node(2)).is_empty());
    }

    #[test]
    fn those_who_wait_for_each_other_in_a_circle_are_said_once() {
        let waits = waits(&[(0, 1), (1, 2), (2, 1)]);
        assert_eq!(waits.chain(node(0)), [node(1), node(2), node(1)]);
        assert_eq!(waits.chain(node(1)), [node(2), node(1)]);
    }

    #[test]
    fn an_edge_with_room_makes_nobody_wait() {
        let edges = [example::edge(0, 0, 1)];
        assert!(Waits::of(&edges).chain(node(0)).is_empty());
    }
}
