//! `StatsActor`: all statistics, kept as things happen.

use dataflow_core::stats::{AuditMismatch, EdgeTotals, Transition};
use dataflow_ids::EdgeId;

use crate::root::RootRef;
use crate::supervision::{Behaviour, Reply};

/// What the keeper of statistics may be told.
#[derive(Debug)]
pub(crate) enum StatsMessage {
    /// A node has changed its state.
    Transition(Transition),
    /// What the headers of edges said, because somebody looked.
    EdgesRead(Vec<(EdgeId, EdgeTotals)>),
    /// Counts everything again: the kept sums must be those of the members.
    Audit(Reply<Result<(), AuditMismatch>>),
}

/// The actor that owns the statistics. Readers look at the committed copy and never enter it.
pub(crate) struct StatsActor {
    root: RootRef,
}

impl StatsActor {
    pub(crate) fn new(root: RootRef) -> StatsActor {
        StatsActor { root }
    }
}

impl Behaviour for StatsActor {
    type Message = StatsMessage;

    fn begin(&mut self) {}

    fn handle(&mut self, message: &StatsMessage) {
        let committed = &self.root.memory().stats;
        match message {
            StatsMessage::Transition(transition) => committed.decide(|statistics| {
                statistics.transition(*transition);
                Vec::new()
            }),
            StatsMessage::EdgesRead(readings) => committed.decide(|statistics| {
                for (edge, totals) in readings {
                    statistics.edge(*edge, *totals);
                }
                Vec::new()
            }),
            StatsMessage::Audit(reply) => reply.send(committed.read().audit()),
        }
    }
}
