//! What nodes have said and is not in their logs: counted by the thread that writes, read by whoever asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use dataflow_ids::NodeId;
use dataflow_wire::status::LogLosses;

/// The losses of a run, by node. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Losses(Arc<Mutex<BTreeMap<NodeId, LogLosses>>>);

impl Losses {
    /// What a node has lost so far.
    pub(crate) fn of(&self, node: &NodeId) -> LogLosses {
        let losses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        losses.get(node).cloned().unwrap_or_default()
    }

    /// A node has lost something.
    pub(super) fn note(&self, node: &NodeId, change: impl FnOnce(&mut LogLosses)) {
        let mut losses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(losses.entry(node.clone()).or_default());
    }
}
