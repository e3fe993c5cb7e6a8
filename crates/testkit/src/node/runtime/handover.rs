//! The beginning of the conversation with a node: everything that is there is handed to it.

use std::os::fd::{AsFd, BorrowedFd};

use dataflow_ids::{DataflowName, Epoch, NodeIndex};
use dataflow_wire::frame;
use dataflow_wire::node::{EdgeGrant, EdgeRole, NODE_PROTOCOL, ToNode, Welcome};

use super::{EdgeSide, State, node_id};

impl State {
    /// Answers a node's hello.
    pub(super) fn hand_over(&self, name: &str, socket: BorrowedFd<'_>) {
        let say = |message: &ToNode, descriptors: &[BorrowedFd<'_>]| {
            frame::send(socket, message, descriptors)
                .unwrap_or_else(|error| panic!("{name} cannot be welcomed: {error}"));
        };
        let node = self.side(name);
        let grants: Vec<_> = self
            .edges
            .iter()
            .flat_map(|edge| roles(edge, name).map(move |role| (edge, role)))
            .collect();
        let welcome = ToNode::Welcome(Welcome {
            protocol: NODE_PROTOCOL,
            dataflow: DataflowName::new("test").expect("it has letters only"),
            run: "test".to_owned(),
            node: node_id(name),
            index: NodeIndex(node.index),
            epoch: node.epoch,
            outputs: node.outputs.clone(),
            timers: node.timers.clone(),
            edges: u32::try_from(grants.len()).unwrap_or(u32::MAX),
            output_memory_bytes: node.memory_bytes,
        });
        say(
            &welcome,
            &[node.receive_waiter.as_fd(), node.send_waiter.as_fd()],
        );
        for (edge, role) in grants {
            let peer = match role {
                EdgeRole::Sender { .. } => &self.side(&edge.target).receive_waiter,
                EdgeRole::Receiver { .. } => &self.side(&edge.source).send_waiter,
            };
            let grant = ToNode::Edge(EdgeGrant {
                edge: edge.keeper.edge(),
                role,
                source: node_id(&edge.source),
                source_index: NodeIndex(self.side(&edge.source).index),
                output: edge.output.clone(),
                target: node_id(&edge.target),
                input: edge.input.clone(),
                policy: edge.queue.policy,
                queue_size: edge.queue.size,
                held_max: edge.queue.held_max,
                held_bytes_max: edge.queue.held_bytes_max,
            });
            say(&grant, &[edge.keeper.fd(), peer.as_fd()]);
        }
        for known in &self.segments {
            let receives =
                (self.edges.iter()).any(|edge| edge.source == known.source && edge.target == name);
            if receives {
                let message = ToNode::Segment {
                    segment: known.segment,
                    length: known.length,
                };
                say(&message, &[known.fd.as_fd()]);
            }
        }
        for (sender, side) in &self.nodes {
            let receives =
                (self.edges.iter()).any(|edge| edge.source == *sender && edge.target == name);
            if receives && side.epoch > Epoch(1) {
                let complete = ToNode::SegmentsComplete {
                    sender: NodeIndex(side.index),
                    epoch: Epoch(side.epoch.0 - 1),
                };
                say(&complete, &[]);
            }
        }
        say(&ToNode::Begin, &[]);
    }
}

/// The ends of an edge that a node has: both, of an edge to itself.
fn roles(edge: &EdgeSide, name: &str) -> impl Iterator<Item = EdgeRole> {
    let sender = (edge.source == name).then(|| EdgeRole::Sender {
        output: edge.output.clone(),
    });
    let receiver = (edge.target == name).then(|| EdgeRole::Receiver {
        input: edge.input.clone(),
        spin: edge.queue.spin,
    });
    [sender, receiver].into_iter().flatten()
}
