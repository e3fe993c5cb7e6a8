//! What a run will take of this machine's limits, reckoned before anything is started.

use std::collections::BTreeSet;

use dataflow_descriptor::Dataflow;
use dataflow_ids::NodeIndex;
use dataflow_shm::child::DescriptorLimit;

use crate::error::UpError;

/// What the runtime has open besides its nodes: standard streams, the event loop, the registry, the log's
/// folder, commands that are connected, and a process that is being started.
const RUNTIME_BASE: u64 = 40;
/// What the runtime has open for one node: pidfd, control socket, two pipes, two eventfds, the log file.
const RUNTIME_PER_NODE: u64 = 7;
/// Duplicates of segments that a sender with edges has at a time, as its library makes them.
const RUNTIME_PER_SENDER: u64 = 4;
/// What the runtime has open for one edge: its memory, and its own copies of both wake-ups.
const RUNTIME_PER_EDGE: u64 = 3;
/// What a node has open besides its edges: standard streams, control socket, its three wake-ups, and room for
/// its interpreter and its own files.
const NODE_BASE: u64 = 32;
/// What a node has open for one edge at its start: its memory, and the other side's wake-up.
const NODE_PER_EDGE: u64 = 2;

/// How many descriptors the runtime will have open, about.
pub(crate) fn runtime_need(dataflow: &Dataflow) -> u64 {
    let nodes = dataflow.nodes.len() as u64;
    let edges = dataflow.edges.len() as u64;
    let senders: BTreeSet<NodeIndex> = (dataflow.edges.iter())
        .map(|edge| edge.source.index)
        .collect();
    let senders = senders.len() as u64;
    RUNTIME_BASE
        + nodes * RUNTIME_PER_NODE
        + senders * RUNTIME_PER_SENDER
        + edges * RUNTIME_PER_EDGE
}

/// Compares what each node needs with the limit of descriptors that nodes get.
pub(crate) fn check_nodes(dataflow: &Dataflow, limit: DescriptorLimit) -> Result<(), UpError> {
    let mut ends = vec![0; dataflow.nodes.len()];
    for edge in &dataflow.edges {
        ends[edge.source.index.0 as usize] += 1;
        ends[edge.target.index.0 as usize] += 1;
    }
    for (node, ends) in dataflow.nodes.iter().zip(ends) {
        let need = NODE_BASE + ends * NODE_PER_EDGE;
        if let Some(limit) = limit.before().filter(|limit| *limit < need) {
            return Err(UpError::TooFewDescriptorsForNode {
                node: node.id.clone(),
                need,
                limit,
            });
        }
    }
    Ok(())
}
