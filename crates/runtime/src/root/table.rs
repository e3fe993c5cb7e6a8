//! The root's table: everything that must outlive a panic of an actor.

use std::rc::Rc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::lifecycle::Exit;
use dataflow_descriptor::Edge;
use dataflow_ids::{EdgeId, Epoch, NodeIndex, SegmentId};
use dataflow_shm::EventFd;
use dataflow_shm::edge::EdgeKeeper;

use super::pump::Pump;
use super::segments::Segments;
use crate::env::Task;
use crate::process::{Control, Process as Handle};

/// What the root holds for one node.
pub(crate) struct NodeRow {
    /// Wakes the node's receive waiter. Made once, kept over restarts.
    pub(crate) receive: EventFd,
    /// Wakes the node's send waiter.
    pub(crate) send: EventFd,
    /// Its process.
    pub(crate) process: Process,
}

/// The process of a node, as far as the root has come with it.
#[derive(Default)]
pub(crate) enum Process {
    /// None was ever started.
    #[default]
    None,
    /// It is being started.
    Starting { epoch: Epoch, task: Task },
    /// It runs.
    Running(Box<Running>),
    /// It could not be started.
    Failed { epoch: Epoch, cause: String },
    /// It has been reaped.
    Reaped { epoch: Epoch, exit: Exit },
}

impl Process {
    /// The incarnation that this is about.
    pub(crate) fn epoch(&self) -> Epoch {
        match self {
            Process::None => Epoch::NONE,
            Process::Starting { epoch, .. }
            | Process::Failed { epoch, .. }
            | Process::Reaped { epoch, .. } => *epoch,
            Process::Running(running) => running.epoch,
        }
    }

    /// The last incarnation that has ended; [`Epoch::NONE`] if none has.
    pub(crate) fn ended_upto(&self) -> Epoch {
        match self {
            Process::None => Epoch::NONE,
            Process::Failed { epoch, .. } | Process::Reaped { epoch, .. } => *epoch,
            Process::Starting { .. } | Process::Running(_) => {
                Epoch(self.epoch().0.saturating_sub(1))
            }
        }
    }

    /// The running process, if it is of this incarnation.
    pub(crate) fn running(&self, epoch: Epoch) -> Option<&Running> {
        match self {
            Process::Running(running) if running.epoch == epoch => Some(running),
            _ => None,
        }
    }

    /// As [`Process::running`], to change it.
    pub(crate) fn running_mut(&mut self, epoch: Epoch) -> Option<&mut Running> {
        match self {
            Process::Running(running) if running.epoch == epoch => Some(running),
            _ => None,
        }
    }
}

/// What a library says about the life of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LifeWord {
    Ready,
    Running,
    StopDelivered,
}

/// A process that runs, and everything that leads to it.
pub(crate) struct Running {
    pub(crate) epoch: Epoch,
    /// Its number, for people.
    pub(crate) pid: u32,
    pub(crate) process: Rc<dyn Handle>,
    pub(crate) control: Rc<dyn Control>,
    pub(crate) pumps: Vec<Rc<Pump>>,
    /// Whether its library was welcomed.
    pub(crate) is_connected: bool,
    /// Whether it was told that the conversation is over.
    pub(crate) is_refused: bool,
    /// Whether the process that was started has ended. Nobody is welcomed in its name any more.
    pub(crate) is_over: bool,
    /// What its library has said about its life. Each counts once for an incarnation.
    pub(crate) said: Vec<LifeWord>,
    /// For how long its user's code had run when it last said so.
    pub(crate) busy: Option<(Duration, Time)>,
    /// How many warnings it has sent.
    pub(crate) warnings: u32,
    /// What reads and writes for it ends when this is dropped.
    pub(crate) tasks: Vec<Task>,
}

/// What the root holds for one edge.
#[derive(Debug)]
pub(crate) struct EdgeRow {
    pub(crate) keeper: EdgeKeeper,
    /// Its sender has ended for good.
    pub(crate) is_closed: bool,
    /// Nobody owes a token of it.
    pub(crate) is_drained: bool,
    /// Its receiver has ended for good, or has closed it as damaged.
    pub(crate) is_unread: bool,
    /// Its receiver has been ready once.
    pub(crate) is_receiver_ready: bool,
    /// The first that was found of what no correct process writes there, by an end of it or by us.
    pub(crate) damage: Option<String>,
}

impl EdgeRow {
    /// Nobody will read it any more. Gives how many messages were left.
    pub(crate) fn receiver_gone(&mut self) -> u64 {
        self.is_unread = true;
        self.keeper.receiver_gone()
    }
}

/// The table.
pub(crate) struct Table {
    pub(crate) nodes: Vec<NodeRow>,
    pub(crate) edges: Vec<EdgeRow>,
    pub(crate) segments: Segments,
}

impl Table {
    /// The row of a node. Every index comes from the description that the table was made of.
    pub(crate) fn node(&self, node: NodeIndex) -> &NodeRow {
        &self.nodes[node.0 as usize]
    }

    /// As [`Table::node`], to change it.
    pub(crate) fn node_mut(&mut self, node: NodeIndex) -> &mut NodeRow {
        &mut self.nodes[node.0 as usize]
    }

    /// The row of an edge, which a node may have named.
    pub(crate) fn edge(&self, edge: EdgeId) -> Option<&EdgeRow> {
        self.edges.get(edge.0 as usize)
    }

    /// Whether a message of an edge lies in a segment that its sender's incarnations up to `upto`, which have ended,
    /// never handed over.
    pub(crate) fn lacks_a_segment(&self, edge: &Edge, upto: Epoch) -> bool {
        let used = self.edge(edge.id).map(|row| row.keeper.segments());
        used.into_iter().flatten().any(|(epoch, number)| {
            let segment = SegmentId {
                node: edge.source.index,
                epoch,
                number,
            };
            epoch <= upto && !self.segments.has(segment)
        })
    }

    /// As [`Table::edge`], to change it.
    pub(crate) fn edge_mut(&mut self, edge: EdgeId) -> Option<&mut EdgeRow> {
        self.edges.get_mut(edge.0 as usize)
    }
}
