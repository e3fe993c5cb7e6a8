//! How what serves the dataflow stands, for the statistics: its actors, its models, and the pool.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use dataflow_core::stats::{Audited, ProcessFacts};
use dataflow_ids::NodeIndex;
use dataflow_ids::stats::{ActorRow, Counter, DownloadRow, Downloads, Gauge, PoolRow};

use super::Root;
use crate::actors::ActorName;
use crate::models::download_row;
use crate::supervision::Counts;

/// How what serves the dataflow stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Services {
    pub(crate) actors: Vec<ActorRow>,
    pub(crate) downloads: Downloads,
    /// Once there is one.
    pub(crate) pool: Option<PoolRow>,
    /// What the processes of nodes use, and have used.
    pub(crate) processes: Vec<(NodeIndex, ProcessFacts)>,
}

/// What is counted here of what serves the dataflow.
#[derive(Debug, Default)]
pub(super) struct ServiceCounts {
    /// How often actors of each kind were built again after a panic.
    rebuilt: RefCell<BTreeMap<&'static str, Counter>>,
    /// What the auditor has found in all.
    found: Cell<Audited>,
    /// How much of that the statistics have taken.
    taken: Cell<Audited>,
}

/// How an actor's kind is called.
fn kind(actor: ActorName) -> &'static str {
    match actor {
        ActorName::Dataflow => "dataflow",
        ActorName::Node(_) => "node",
        ActorName::Scheduler => "scheduler",
        ActorName::Stats => "stats",
    }
}

impl Root {
    /// How everything stands that serves the dataflow.
    pub(super) fn services(&self) -> Services {
        Services {
            actors: self.actor_rows(),
            downloads: self.downloads(),
            pool: self.models.pool(),
            processes: self.processes_used(),
        }
    }

    /// An actor is built again after a panic.
    pub(super) fn count_rebuilt(&self, actor: ActorName) {
        let mut rebuilt = self.service_counts.rebuilt.borrow_mut();
        rebuilt.entry(kind(actor)).or_default().add(1);
    }

    /// The auditor has found this. Gives what it has found in all: a total may be told twice.
    pub(super) fn found_in_all(&self, found: Audited) -> Audited {
        let mut all = self.service_counts.found.get();
        all.recounted += found.recounted;
        all.mismatches += found.mismatches;
        self.service_counts.found.set(all);
        all
    }

    /// The statistics hear what the auditor has found in all. Gives how much of it they have not taken, once.
    pub(crate) fn take_found(&self, all: Audited) -> Audited {
        let taken = self.service_counts.taken.get();
        self.service_counts.taken.set(Audited {
            recounted: all.recounted.max(taken.recounted),
            mismatches: all.mismatches.max(taken.mismatches),
        });
        Audited {
            recounted: all.recounted.saturating_sub(taken.recounted),
            mismatches: all.mismatches.saturating_sub(taken.mismatches),
        }
    }

    fn actor_rows(&self) -> Vec<ActorRow> {
        let handles = &self.handles;
        let nodes = handles.nodes.iter().map(|node| node.counts());
        let row = |actor, counts: &mut dyn Iterator<Item = Counts>| self.actor_row(actor, counts);
        let one = |counts| std::iter::once(counts);
        let mut rows = vec![
            row("dataflow", &mut one(handles.dataflow.counts())),
            row("scheduler", &mut one(handles.scheduler.counts())),
            row("stats", &mut one(handles.stats.counts())),
        ];
        rows.push(row("node", &mut nodes.into_iter()));
        rows
    }

    /// All actors of one kind.
    fn actor_row(&self, actor: &'static str, counts: &mut dyn Iterator<Item = Counts>) -> ActorRow {
        let mut row = ActorRow {
            actor: actor.to_owned(),
            actors: Gauge::default(),
            sent: Counter::default(),
            handled: Counter::default(),
            returned: Counter::default(),
            dead_lettered: Counter::default(),
            waiting: Gauge::default(),
            rebuilt: (self.service_counts.rebuilt.borrow().get(actor))
                .copied()
                .unwrap_or_default(),
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

    /// The models that this run wants, with what was counted where they are fetched: for all whom the same serves, if it is
    /// one of several.
    fn downloads(&self) -> Downloads {
        let mut downloads = Downloads {
            rows: Vec::new(),
            active: Gauge::default(),
            ..self.models.downloads()
        };
        for (model, view) in self.models.views() {
            downloads.active.add(u64::from(!view.state.is_final()));
            let Some(described) = self.dataflow.models.get(model.0 as usize) else {
                continue;
            };
            if downloads.rows.len() < DownloadRow::SHOWN_MAX {
                let row = download_row(&described.repo, &described.revision, &view);
                downloads.rows.push(row);
            }
        }
        downloads
    }
}
