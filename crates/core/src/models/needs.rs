//! Which nodes wait for which models.

use std::collections::{BTreeMap, BTreeSet};

use dataflow_ids::{ModelIndex, NodeIndex};

use crate::broken::{Rule, is_broken};

/// What is known of a model that nodes wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    Ready,
    /// It cannot be had, and why, in one line.
    Failed(String),
}

/// The models of a dataflow, and the nodes that need them. What is said first of a model is what counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    nodes: BTreeMap<NodeIndex, BTreeSet<ModelIndex>>,
    known: BTreeMap<ModelIndex, Known>,
}

/// How a node stands with its models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It waits for at least one of them.
    Waiting,
    /// All of them are there; also of a node without any.
    Ready,
    /// One of them cannot be had.
    Failed {
        /// Why not, in one line.
        why: String,
    },
}

impl Needs {
    /// What each node needs. Nodes that need nothing may be left out.
    #[must_use]
    pub fn new(
        nodes: impl IntoIterator<Item = (NodeIndex, impl IntoIterator<Item = ModelIndex>)>,
    ) -> Needs {
        let nodes = nodes.into_iter();
        let nodes = nodes.map(|(node, models)| (node, models.into_iter().collect::<BTreeSet<_>>()));
        Needs {
            nodes: nodes.filter(|(_, models)| !models.is_empty()).collect(),
            known: BTreeMap::new(),
        }
    }

    /// The models that some node needs.
    #[must_use]
    pub fn wanted(&self) -> BTreeSet<ModelIndex> {
        self.nodes.values().flatten().copied().collect()
    }

    /// The nodes that need a model.
    pub fn nodes_with(&self, model: ModelIndex) -> impl Iterator<Item = NodeIndex> {
        let nodes = self.nodes.iter();
        nodes.filter_map(move |(node, models)| models.contains(&model).then_some(*node))
    }

    /// A model is there. Gives the nodes that it concerns.
    pub fn ready(&mut self, model: ModelIndex) -> Vec<NodeIndex> {
        self.known.entry(model).or_insert(Known::Ready);
        self.nodes_with(model).collect()
    }

    /// A model cannot be had, and why, in one line. Gives the nodes that it concerns.
    pub fn failed(&mut self, model: ModelIndex, why: String) -> Vec<NodeIndex> {
        self.known.entry(model).or_insert(Known::Failed(why));
        self.nodes_with(model).collect()
    }

    /// How a node stands.
    #[must_use]
    pub fn standing(&self, node: NodeIndex) -> Standing {
        let models = self.nodes.get(&node).into_iter().flatten();
        let mut standing = Standing::Ready;
        for model in models {
            match self.known.get(model) {
                Some(Known::Ready) if is_broken(Rule::OneModelIsEnough) => return Standing::Ready,
                Some(Known::Ready) => {}
                Some(Known::Failed(why)) => return Standing::Failed { why: why.clone() },
                None => standing = Standing::Waiting,
            }
        }
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: [NodeIndex; 3] = [NodeIndex(0), NodeIndex(1), NodeIndex(2)];
    const MODELS: [ModelIndex; 2] = [ModelIndex(0), ModelIndex(1)];

    /// The first node needs nothing, the second both models, the third the second model.
    fn needs() -> Needs {
        let models = [vec![], MODELS.to_vec(), vec![MODELS[1]]];
        Needs::new(NODES.into_iter().zip(models))
    }

    #[test]
    fn a_node_has_what_it_needs_when_the_last_of_its_models_is_there() {
        let mut needs = needs();
        assert_eq!(needs.wanted(), BTreeSet::from(MODELS));
        assert_eq!(needs.standing(NODES[0]), Standing::Ready);
        assert_eq!(needs.ready(MODELS[0]), [NODES[1]]);
        assert_eq!(needs.standing(NODES[1]), Standing::Waiting);
        for _ in 0..2 {
            assert_eq!(needs.ready(MODELS[1]), NODES[1..], "also again");
        }
        assert_eq!(needs.standing(NODES[1]), Standing::Ready);
        assert_eq!(needs.standing(NODES[2]), Standing::Ready);
    }

    #[test]
    fn who_needs_a_model_that_cannot_be_had_fails_and_nobody_else_does() {
        let failed = |why: &str| Standing::Failed {
            why: why.to_owned(),
        };
        let mut needs = needs();
        assert_eq!(needs.failed(MODELS[0], "gated".to_owned()), [NODES[1]]);
        needs.ready(MODELS[1]);
        // What was said first counts.
        needs.ready(MODELS[0]);
        needs.failed(MODELS[1], "gone".to_owned());
        assert_eq!(needs.standing(NODES[1]), failed("gated"));
        assert_eq!(needs.standing(NODES[2]), Standing::Ready);
    }
}
