//! The beginning of the conversation with a node: everything that is there is handed to it.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use dataflow_descriptor::{Edge, InputSource};
use dataflow_ids::{Epoch, NodeIndex};
use dataflow_shm::EventFd;
use dataflow_wire::node::{EdgeGrant, EdgeRole, NODE_PROTOCOL, TimerSpec, ToNode, Welcome};

use super::Root;
use super::edges::edge_config;

impl Root {
    /// Hands a node everything that is there at its start.
    pub(super) fn welcome(
        self: &Rc<Self>,
        node: NodeIndex,
        epoch: Epoch,
        pid: u32,
    ) -> Result<(), String> {
        let spec = self.spec(node);
        let no_descriptor = |error: &dyn std::fmt::Display| {
            format!("its edges cannot be handed over: {error}; raise the limit with `ulimit -n`")
        };
        let mut table = self.table.borrow_mut();
        let table = &mut *table;
        let mut frames: Vec<(ToNode, Vec<OwnedFd>)> = Vec::new();
        let clone = |eventfd: &EventFd| {
            let eventfd = eventfd.try_clone().map_err(|error| no_descriptor(&error))?;
            Ok::<OwnedFd, String>(eventfd.into_fd())
        };

        let edges: Vec<(&Edge, End)> = (self.edges_from(node))
            .map(|edge| (edge, End::Sender))
            .chain(self.edges_into(node).map(|edge| (edge, End::Receiver)))
            .collect();
        let row = table.node(node);
        frames.push((
            ToNode::Welcome(Welcome {
                protocol: NODE_PROTOCOL,
                dataflow: self.dataflow.name.clone(),
                run: self.run.clone(),
                node: spec.id.clone(),
                index: node,
                epoch,
                outputs: spec.outputs.clone(),
                timers: spec
                    .inputs
                    .iter()
                    .filter_map(|input| match input.source {
                        InputSource::Timer(period) => Some(TimerSpec {
                            input: input.id.clone(),
                            period,
                        }),
                        InputSource::Edge(_) => None,
                    })
                    .collect(),
                edges: u32::try_from(edges.len()).unwrap_or(u32::MAX),
                output_memory_bytes: spec.output_memory_bytes.unwrap_or(self.output_memory_bytes),
            }),
            vec![clone(&row.receive)?, clone(&row.send)?],
        ));
        for (edge, end) in &edges {
            let other = match end {
                End::Sender => &table.node(edge.target.index).receive,
                End::Receiver => &table.node(edge.source.index).send,
            };
            let Some(row) = table.edge(edge.id) else {
                continue;
            };
            let memory = row
                .keeper
                .fd()
                .try_clone_to_owned()
                .map_err(|error| no_descriptor(&error))?;
            let grant = self.grant(edge, end);
            frames.push((ToNode::Edge(grant), vec![memory, clone(other)?]));
        }
        let mut senders: Vec<NodeIndex> = (self.edges_into(node))
            .map(|edge| edge.source.index)
            .collect();
        senders.sort_unstable();
        senders.dedup();
        for sender in senders {
            for (segment, length) in table.segments.living_of(sender) {
                if let Some(fd) = table.segments.give(segment, node) {
                    let fd = fd
                        .try_clone_to_owned()
                        .map_err(|error| no_descriptor(&error))?;
                    frames.push((ToNode::Segment { segment, length }, vec![fd]));
                }
            }
            let epoch = table.node(sender).process.ended_upto();
            let mut edges = self.edges_into(node);
            if edges.any(|edge| edge.source.index == sender && table.lacks_a_segment(edge, epoch)) {
                let complete = ToNode::SegmentsComplete { sender, epoch };
                frames.push((complete, Vec::new()));
            }
        }
        frames.push((ToNode::Begin, Vec::new()));

        if let Some(running) = table.node_mut(node).process.running_mut(epoch) {
            (running.process.speaks(pid)).map_err(|error| error.to_string())?;
            running.is_connected = true;
            for (frame, fds) in frames {
                let sent = running.control.send(&frame, fds);
                sent.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn grant(&self, edge: &Edge, end: &End) -> EdgeGrant {
        let config = edge_config(
            &self.dataflow,
            &self.topology,
            edge,
            self.output_memory_bytes,
        );
        EdgeGrant {
            edge: edge.id,
            role: match end {
                End::Sender => EdgeRole::Sender {
                    output: edge.source.output.clone(),
                },
                End::Receiver => EdgeRole::Receiver {
                    input: edge.target.input.clone(),
                    spin: edge.spin,
                },
            },
            source: edge.source.node.clone(),
            source_index: edge.source.index,
            output: edge.source.output.clone(),
            target: edge.target.node.clone(),
            input: edge.target.input.clone(),
            policy: config.policy,
            queue_size: config.queue_size,
            held_max: config.held_max,
            held_bytes_max: config.held_bytes_max,
        }
    }
}

/// Which end of an edge a node has.
enum End {
    Sender,
    Receiver,
}
