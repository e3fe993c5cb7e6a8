//! Who waits for whom: a sender waits for the receiver of an edge, and perhaps so does that one on another.

use std::collections::{BTreeMap, BTreeSet};

use dataflow_ids::stats::{EdgeRow, NodeKey};

/// How long a chain of nodes that wait for each other is said.
const CHAIN_MAX: usize = 8;

/// For each node that waits, those for which it does: first the one whose message has waited for the longest time.
#[derive(Debug, Default)]
pub(super) struct Waits(BTreeMap<NodeKey, Vec<NodeKey>>);

impl Waits {
    /// What these edges say. A message goes to all edges of an output, and its sender waits on each that lacks something: `ps`
    /// follows the same one of them, and the runtime has decided for both where somebody waits (`dataflow_core::waiting::why`).
    pub(super) fn of(edges: &[EdgeRow]) -> Waits {
        let mut blocked: BTreeMap<NodeKey, Vec<&EdgeRow>> = BTreeMap::new();
        for edge in edges.iter().filter(|edge| edge.lacks.is_some()) {
            let key = NodeKey {
                run: edge.key.run,
                node: edge.source,
            };
            blocked.entry(key).or_default().push(edge);
        }
        let targets = |mut edges: Vec<&EdgeRow>| {
            edges.sort_by_key(|edge| edge.oldest_ns.unwrap_or(u64::MAX));
            let mut seen = BTreeSet::new();
            let targets = edges.into_iter().map(|edge| NodeKey {
                run: edge.key.run,
                node: edge.target,
            });
            targets.filter(|target| seen.insert(*target)).collect()
        };
        let blocked = blocked.into_iter();
        Waits(
            blocked
                .map(|(node, edges)| (node, targets(edges)))
                .collect(),
        )
    }

    /// The chain from a node ([`Waits::chain`]), and for whom it waits beside the first of that.
    pub(super) fn of_node(&self, node: NodeKey) -> (Vec<NodeKey>, Vec<NodeKey>) {
        let others = self.0.get(&node).into_iter().flatten().skip(1);
        (self.chain(node), others.copied().collect())
    }

    /// The node for which this one waits, then that for which that one does, and so on: the last is the root, or, in a
    /// circle, the one that was said before.
    fn chain(&self, node: NodeKey) -> Vec<NodeKey> {
        let mut chain = Vec::new();
        let mut seen = BTreeSet::from([node]);
        let mut waits = node;
        while let Some(next) = self.0.get(&waits).and_then(|all| all.first().copied())
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
    use dataflow_ids::stats::RunNumber;
    use dataflow_ids::{Lacks, NodeIndex};

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
                edge.lacks = Some(Lacks::Queue);
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
    fn who_waits_for_several_waits_first_for_the_one_whose_message_is_oldest() {
        let mut edges = [
            example::edge(0, 0, 1),
            example::edge(1, 0, 2),
            example::edge(2, 0, 3),
            example::edge(3, 2, 4),
        ];
        for (edge, sent_ns) in edges
            .iter_mut()
            .zip([Some(20), Some(10), Some(5), Some(30)])
        {
            edge.lacks = Some(Lacks::Memory);
            edge.oldest_ns = sent_ns;
        }
        // Nobody waits there, however old its oldest message is.
        edges[2].lacks = None;
        let waits = Waits::of(&edges);
        assert_eq!(
            waits.of_node(node(0)),
            (vec![node(2), node(4)], vec![node(1)])
        );
        assert_eq!(waits.of_node(node(2)), (vec![node(4)], vec![]));
    }

    #[test]
    fn who_waits_for_a_receiver_that_is_not_ready_or_for_memory_waits_too() {
        for lacks in Lacks::ALL {
            let mut edges = [example::edge(0, 0, 1)];
            edges[0].lacks = Some(lacks);
            assert_eq!(Waits::of(&edges).chain(node(0)), [node(1)], "{lacks:?}");
        }
    }

    #[test]
    fn an_edge_that_is_full_and_lets_its_sender_go_on_makes_nobody_wait() {
        let mut edges = [example::edge(0, 0, 1)];
        edges[0].gauges.queued.add(edges[0].queue_size.into());
        assert!(Waits::of(&edges).chain(node(0)).is_empty());
    }
}
