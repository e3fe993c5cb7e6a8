//! `StatsActor`: all statistics, kept as things happen.

use dataflow_core::stats::{EdgeFacts, Transition};
use dataflow_ids::EdgeId;
use dataflow_ids::stats::EdgeKey;

use crate::root::{RootRef, Services};
use crate::supervision::Behaviour;

/// What the keeper of statistics may be told.
#[derive(Debug, Clone)]
pub(crate) enum StatsMessage {
    /// A node has changed its state.
    Transition(Transition),
    /// What the headers of edges said, because somebody looked.
    EdgesRead(Vec<(EdgeId, EdgeFacts)>),
    /// How what serves the dataflow stands.
    ServicesRead(Box<Services>),
    /// All that was read has been told: whoever looks is to see it.
    Publish,
}

crate::message_kinds!(StatsMessage {
    Transition,
    EdgesRead,
    ServicesRead,
    Publish,
});

/// The actor that keeps the statistics. Readers look at what it has written and never enter it.
///
/// They are changed in place: a copy of all of them for each change would cost a large dataflow its start. A
/// member's own numbers are the facts, of which sums are made; every message may be handled twice.
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

    /// An earlier incarnation may have panicked between a member's number and its sum.
    fn begin(&mut self) {
        self.root.memory().statistics_mut().recount();
    }

    fn handle(&mut self, message: &StatsMessage) {
        let memory = self.root.memory();
        let (run, mut statistics) = (memory.run_number(), memory.statistics_mut());
        match message {
            StatsMessage::Transition(transition) => {
                if let Err(error) = statistics.transition(run, *transition) {
                    tracing::error!(%error, node = transition.node.0, "transition refused");
                }
            }
            StatsMessage::EdgesRead(readings) => {
                for (edge, facts) in readings {
                    let edge = EdgeKey { run, edge: *edge };
                    if let Err(error) = statistics.edge_read(edge, facts) {
                        tracing::error!(%error, "reading refused");
                    }
                }
            }
            StatsMessage::ServicesRead(services) => {
                statistics.actors(services.actors.clone());
                statistics.downloads(services.downloads.clone());
                if let Some(pool) = services.pool {
                    statistics.pool(pool);
                }
            }
            StatsMessage::Publish => {
                let snapshot = statistics.publish(self.root.env().now());
                drop(statistics);
                self.root.publish_statistics(snapshot);
            }
        }
    }
}
