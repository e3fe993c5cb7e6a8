//! Kinds of actors, and what is counted of all actors of one kind.

use dataflow_ids::stats::{ActorRow, Counter};

use super::ActorName;
use crate::supervision::Counts;

/// A kind of actor, as statistics call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ActorKind {
    /// Leads a run.
    Dataflow,
    /// One a node.
    Node,
    /// Places nodes.
    Scheduler,
    /// Keeps the statistics.
    Stats,
    /// One a peer.
    Peer,
    /// Fetches models.
    Download,
}

impl ActorKind {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ActorKind::Dataflow => "dataflow",
            ActorKind::Node => "node",
            ActorKind::Scheduler => "scheduler",
            ActorKind::Stats => "stats",
            ActorKind::Peer => ActorRow::PEER,
            ActorKind::Download => ActorRow::DOWNLOAD,
        }
    }
}

impl From<ActorName> for ActorKind {
    fn from(actor: ActorName) -> ActorKind {
        match actor {
            ActorName::Dataflow => ActorKind::Dataflow,
            ActorName::Node(_) => ActorKind::Node,
            ActorName::Scheduler => ActorKind::Scheduler,
            ActorName::Stats => ActorKind::Stats,
        }
    }
}

/// What stays of the actors of one kind: what those have counted that are no more, and how often one was built again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct KindCounts {
    past: Counts,
    rebuilt: u64,
}

impl KindCounts {
    /// One was built again after a panic.
    pub(crate) fn was_rebuilt(&mut self) {
        self.rebuilt += 1;
    }

    /// One is no more, and has counted this.
    pub(crate) fn has_gone(&mut self, counts: Counts) {
        let past = &mut self.past;
        past.sent += counts.sent;
        past.handled += counts.handled;
        past.returned += counts.returned;
        // Nobody takes what waited for it.
        past.dead_lettered += counts.dead_lettered + counts.waiting;
    }

    /// How all of them stand: those that are there have counted this.
    pub(crate) fn row(&self, kind: ActorKind, counts: impl Iterator<Item = Counts>) -> ActorRow {
        let past = &self.past;
        let mut row = ActorRow {
            sent: Counter::new(past.sent),
            handled: Counter::new(past.handled),
            returned: Counter::new(past.returned),
            dead_lettered: Counter::new(past.dead_lettered),
            rebuilt: Counter::new(self.rebuilt),
            ..ActorRow::none(kind.as_str())
        };
        for counts in counts {
            row.actors.add(1);
            row.sent.add(counts.sent);
            row.handled.add(counts.handled);
            row.returned.add(counts.returned);
            row.dead_lettered.add(counts.dead_lettered);
            row.waiting.add(counts.waiting);
        }
        row
    }
}
