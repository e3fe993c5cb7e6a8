//! The root's part on the edges: making, repairing, closing, reading.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::broken::{Rule, is_broken};
use dataflow_core::drain::Receiver;
use dataflow_core::flow::Cycle;
use dataflow_core::inputs::{InputReading, Inputs};
use dataflow_core::quiesce::{Activity, CycleReading, EdgePosition, MemberReading};
use dataflow_core::segments;
use dataflow_descriptor::{Dataflow, Edge};
use dataflow_ids::{EdgeId, Epoch, NodeIndex, Sequence};
use dataflow_shm::EventFd;
use dataflow_shm::edge::{EdgeConfig, EdgeKeeper};

use super::segments::Segments;
use super::table::{EdgeRow, NodeRow, Process, Table};
use super::topology::Topology;
use super::{Purpose, Root};
use crate::error::RunError;

/// How many sequences a log line lists.
const LISTED_MAX: usize = 8;

/// What both ends of an edge are told about it.
pub(super) fn edge_config(
    dataflow: &Dataflow,
    topology: &Topology,
    edge: &Edge,
    default_memory: u64,
) -> EdgeConfig {
    let sender = dataflow.node(edge.source.index);
    let limit = sender
        .and_then(|node| node.output_memory_bytes)
        .unwrap_or(default_memory);
    let edges = topology
        .edges_from(dataflow, edge.source.index)
        .count()
        .max(1) as u64;
    EdgeConfig {
        edge: edge.id,
        policy: edge.policy,
        queue_size: edge.queue_size,
        held_max: edge.held_max,
        held_bytes_max: limit / (2 * edges),
    }
}

/// Makes the eventfds of all nodes and the memory of all edges.
pub(super) fn make_table(
    dataflow: &Dataflow,
    topology: &Topology,
    run: &str,
    default_memory: u64,
) -> Result<Table, RunError> {
    let eventfd = || {
        EventFd::new().map_err(|error| RunError::System {
            what: "cannot make a node's wake-ups",
            source: std::io::Error::other(error),
        })
    };
    let mut nodes = Vec::with_capacity(dataflow.nodes.len());
    for _ in &dataflow.nodes {
        nodes.push(NodeRow {
            receive: eventfd()?,
            send: eventfd()?,
            process: Process::None,
        });
    }
    let mut edges = Vec::with_capacity(dataflow.edges.len());
    for edge in &dataflow.edges {
        let refused = |why: String| RunError::Edge {
            output: format!("{}/{}", edge.source.node, edge.source.output),
            input: format!("{}/{}", edge.target.node, edge.target.input),
            why,
        };
        let clone = |eventfd: &EventFd| {
            eventfd
                .try_clone()
                .map_err(|error| refused(error.to_string()))
        };
        let sender = clone(&nodes[edge.source.index.0 as usize].send)?;
        let receiver = clone(&nodes[edge.target.index.0 as usize].receive)?;
        let config = edge_config(dataflow, topology, edge, default_memory);
        let keeper = EdgeKeeper::create(run, &config, sender, receiver)
            .map_err(|error| refused(error.to_string()))?;
        edges.push(EdgeRow {
            keeper,
            is_closed: false,
            is_drained: false,
            is_unread: false,
            is_receiver_ready: false,
            damage: None,
        });
    }
    Ok(Table {
        nodes,
        edges,
        segments: Segments::default(),
    })
}

impl Root {
    /// The edges that end in a node.
    pub(crate) fn edge_ids_into(&self, node: NodeIndex) -> Vec<EdgeId> {
        self.edges_into(node).map(|edge| edge.id).collect()
    }

    /// The edges that leave a node.
    pub(crate) fn edge_ids_from(&self, node: NodeIndex) -> Vec<EdgeId> {
        self.edges_from(node).map(|edge| edge.id).collect()
    }

    /// The receiver of an edge.
    pub(crate) fn target_of(&self, edge: EdgeId) -> Option<NodeIndex> {
        self.dataflow.edge(edge).map(|edge| edge.target.index)
    }

    /// Whether nothing is left to read for a node and nothing more will come: all of its edges are closed, and
    /// their queues are empty. Never so for a node without edges to it.
    pub(crate) fn is_all_read(&self, node: NodeIndex) -> bool {
        let table = self.table.borrow();
        let rows = (self.edges_into(node)).filter_map(|edge| table.edge(edge.id));
        let inputs = Inputs::of(rows.map(|row| InputReading {
            is_closed: row.is_closed,
            queued: row.keeper.read().counts.queued,
        }));
        inputs == Inputs::AllRead
    }

    /// A node begins an incarnation: both ends of its edges learn it.
    pub(super) fn set_epoch(&self, node: NodeIndex, epoch: Epoch) {
        let table = self.table.borrow();
        for edge in self.edges_from(node) {
            if let Some(row) = table.edge(edge.id) {
                row.keeper.set_sender_epoch(epoch);
            }
        }
        for edge in self.edges_into(node) {
            if let Some(row) = table.edge(edge.id) {
                row.keeper.set_receiver_epoch(epoch);
            }
        }
    }

    /// A node is ready: who waits to send to it may.
    pub(crate) fn mark_ready(&self, node: NodeIndex) {
        let mut table = self.table.borrow_mut();
        for edge in self.edges_into(node) {
            if let Some(row) = table.edge_mut(edge.id) {
                row.is_receiver_ready = true;
                row.keeper.set_receiver_ready();
            }
        }
    }

    /// A node's process has been reaped: plays its part on its edges to the end.
    pub(crate) fn repair(self: &Rc<Self>, node: NodeIndex) {
        let mut lines = Vec::new();
        {
            let table = self.table.borrow();
            for edge in self.edges_into(node) {
                let Some(row) = table.edge(edge.id) else {
                    continue;
                };
                let lost = row.keeper.repair_receiver();
                if !lost.is_empty() {
                    lines.push(lost_line(edge, &lost));
                }
            }
            for edge in self.edges_from(node) {
                if let Some(row) = table.edge(edge.id) {
                    row.keeper.repair_sender();
                }
            }
        }
        for line in lines {
            self.say(node, line);
        }
        self.watch_old_segments(node, Duration::ZERO);
    }

    /// No incarnation of a node will read again.
    pub(crate) fn close_inputs(&self, node: NodeIndex) {
        if is_broken(Rule::SenderIsNotReleased) {
            return;
        }
        let mut lines = Vec::new();
        {
            let mut table = self.table.borrow_mut();
            for edge in self.edges_into(node) {
                let dropped = table.edge_mut(edge.id).map_or(0, EdgeRow::receiver_gone);
                if dropped > 0 {
                    lines.push(format!(
                        "left {} of {}/{} unread",
                        messages(dropped),
                        edge.source.node,
                        edge.source.output
                    ));
                }
            }
        }
        for line in lines {
            self.say(node, line);
        }
    }

    /// No incarnation of a node will send again. Gives the last sequence of each of its edges.
    pub(crate) fn close_outputs(&self, node: NodeIndex) -> Vec<(EdgeId, Sequence)> {
        let mut table = self.table.borrow_mut();
        let mut closed = Vec::new();
        for edge in self.edges_from(node) {
            if let Some(row) = table.edge_mut(edge.id) {
                row.is_closed = true;
                closed.push((edge.id, row.keeper.close()));
            }
        }
        closed
    }

    /// How the receiver of an edge is at this moment, for the tokens up to `upto`.
    pub(crate) fn receiver_of(&self, edge: EdgeId, upto: Sequence) -> Receiver {
        let Some(target) = self.target_of(edge) else {
            return Receiver::Gone;
        };
        let machine = self.memory.node(target).read();
        let epoch = machine.epoch();
        if machine.has_process() {
            return Receiver::Alive { epoch };
        }
        if machine.end().is_some() {
            return Receiver::Gone;
        }
        let queued = self
            .table
            .borrow()
            .edge(edge)
            .map_or(0, |row| row.keeper.tokens(upto).queued);
        Receiver::Restarting { epoch, queued }
    }

    /// The last sequences that were sent on these edges.
    pub(crate) fn last_sequences(&self, edges: &[EdgeId]) -> Vec<(EdgeId, Sequence)> {
        let table = self.table.borrow();
        edges
            .iter()
            .filter_map(|edge| {
                let row = table.edge(*edge)?;
                Some((*edge, Sequence(row.keeper.read().tail)))
            })
            .collect()
    }

    /// A cycle at this moment.
    pub(crate) fn read_cycle(&self, cycle: &Cycle) -> CycleReading {
        let table = self.table.borrow();
        let mut reading = CycleReading::default();
        for member in &cycle.members {
            let machine = self.memory.node(member.node).read();
            if machine.end().is_some() {
                continue;
            }
            let mut is_idle = machine.is_ready();
            let mut reads_any = false;
            for edge in self.edges_into(member.node) {
                let Some(row) = table.edge(edge.id) else {
                    continue;
                };
                // Damaged: nobody waits for it, and nobody will read it.
                if row.is_unread {
                    continue;
                }
                let now = row.keeper.read();
                reads_any = true;
                is_idle &= now.receiver_idle;
                reading.edges.push(EdgePosition {
                    edge: edge.id,
                    sent: Sequence(now.tail),
                    head: now.head,
                    queued: now.counts.queued,
                });
            }
            let activity = if is_idle && reads_any {
                Activity::Idle
            } else {
                Activity::Busy
            };
            reading.members.push(MemberReading {
                node: member.node,
                activity,
            });
        }
        reading
    }

    /// Gives back the segments of incarnations of a node that are over, once no message lies in them any more.
    /// Looks again, less and less often, while one does.
    fn watch_old_segments(self: &Rc<Self>, node: NodeIndex, waited: Duration) {
        let living = {
            let machine = self.memory.node(node).read();
            machine.has_process().then(|| machine.epoch())
        };
        let look = {
            let table = self.table.borrow();
            let rows = (self.edges_from(node)).filter_map(|edge| table.edge(edge.id));
            let named: BTreeSet<(Epoch, u32)> =
                rows.flat_map(|row| row.keeper.segments()).collect();
            let dead_upto = segments::dead_upto(living);
            let old = table.segments.of_epochs_upto(node, dead_upto);
            segments::look(old, &named, waited)
        };
        for segment in look.free {
            self.retire_segment(segment);
        }
        if let Some(wait) = look.again_after {
            let at = self.env.now().after(wait);
            self.arm(Purpose::OldSegments(node), at, move |root| {
                root.watch_old_segments(node, wait);
            });
        }
    }

    /// A node has ended and all of its tokens have come back: no message lies in its segments.
    pub(super) fn retire_all(self: &Rc<Self>, node: NodeIndex) {
        if is_broken(Rule::SegmentsAreKept) {
            return;
        }
        let segments = {
            let table = self.table.borrow();
            table.segments.of_epochs_upto(node, Epoch(u32::MAX))
        };
        for segment in segments {
            self.retire_segment(segment);
        }
    }
}

/// An edge as people know it: `camera/image → detector/image`.
pub(super) fn name_of(edge: &Edge) -> String {
    format!(
        "{}/{} → {}/{}",
        edge.source.node, edge.source.output, edge.target.node, edge.target.input
    )
}

fn messages(count: u64) -> String {
    format!("{count} message{}", if count == 1 { "" } else { "s" })
}

fn lost_line(edge: &Edge, lost: &[Sequence]) -> String {
    let mut listed: Vec<String> = lost
        .iter()
        .take(LISTED_MAX)
        .map(ToString::to_string)
        .collect();
    if lost.len() > LISTED_MAX {
        listed.push("…".to_owned());
    }
    format!(
        "held {} of {}/{} when it ended, lost with it: {}",
        messages(lost.len() as u64),
        edge.source.node,
        edge.source.output,
        listed.join(", ")
    )
}
