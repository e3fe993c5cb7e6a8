//! Whom a stop waits for, beside those that owe tokens: who has not ended, and who keeps another from ending.

use std::collections::BTreeSet;

use dataflow_ids::{EdgeId, LifeCycle, NodeIndex};

use crate::inputs::Inputs;

/// A node at one moment of a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The node.
    pub node: NodeIndex,
    /// Its state.
    pub state: LifeCycle,
    /// Whether a process of it lives, as far as is known.
    pub has_process: bool,
    /// The edges to it.
    pub inputs: Inputs,
    /// The edges on which it waits in a `send`, and whose receivers owe something.
    pub blocked_on: Vec<EdgeId>,
}

/// Who is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    /// The receiver of this edge: it is to release, or to read.
    Receiver(EdgeId),
    /// This node: it is to end.
    End(NodeIndex),
}

impl Standing {
    /// Whether the stop has come to this node: it was told, or nothing more comes to it.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.has_process && (self.state == LifeCycle::Stopping || self.inputs.are_closed())
    }

    /// For whom this node waits before it ends. Who waits in a `send` is not the one to blame.
    #[must_use]
    pub fn waits_for(&self) -> Vec<WaitsFor> {
        if self.blocked_on.is_empty() {
            return vec![WaitsFor::End(self.node)];
        }
        let edges = self.blocked_on.iter();
        edges.map(|edge| WaitsFor::Receiver(*edge)).collect()
    }
}

/// Whom a stop waits for. Nodes that are `named` already, as they owe tokens of closed edges, are left out.
#[must_use]
pub fn whom(
    named: &BTreeSet<NodeIndex>,
    nodes: impl IntoIterator<Item = Standing>,
) -> Vec<WaitsFor> {
    (nodes.into_iter())
        .filter(|it| it.is_asked() && !named.contains(&it.node))
        .flat_map(|it| it.waits_for())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeIndex = NodeIndex(3);

    fn running() -> Standing {
        Standing {
            node: NODE,
            state: LifeCycle::Running,
            has_process: true,
            inputs: Inputs::Open,
            blocked_on: Vec::new(),
        }
    }

    fn whom_of(standing: Standing) -> Vec<WaitsFor> {
        whom(&BTreeSet::new(), [standing])
    }

    #[test]
    fn who_was_told_or_has_nothing_more_to_come_is_waited_for() {
        assert!(whom_of(running()).is_empty());
        let told = Standing {
            state: LifeCycle::Stopping,
            ..running()
        };
        assert_eq!(whom_of(told.clone()), [WaitsFor::End(NODE)]);
        for inputs in [Inputs::Closed, Inputs::AllRead] {
            let asked = Standing {
                inputs,
                ..running()
            };
            assert_eq!(whom_of(asked), [WaitsFor::End(NODE)]);
        }
        let source = Standing {
            inputs: Inputs::None,
            ..running()
        };
        assert!(whom_of(source).is_empty());
        let gone = Standing {
            has_process: false,
            ..told
        };
        assert!(whom_of(gone).is_empty(), "nobody waits for the dead");
    }

    #[test]
    fn who_waits_in_a_send_is_not_to_blame_and_nobody_is_named_twice() {
        let blocked = Standing {
            state: LifeCycle::Stopping,
            blocked_on: vec![EdgeId(1), EdgeId(4)],
            ..running()
        };
        let receivers = [EdgeId(1), EdgeId(4)].map(WaitsFor::Receiver);
        assert_eq!(whom_of(blocked.clone()), receivers);
        assert!(whom(&BTreeSet::from([NODE]), [blocked]).is_empty());
    }
}
