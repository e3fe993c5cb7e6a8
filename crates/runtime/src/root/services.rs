//! How what serves the dataflow stands, for the statistics: its actors, its models, and the pool.

use std::cell::RefCell;
use std::collections::BTreeMap;

use dataflow_core::stats::ProcessFacts;
use dataflow_ids::stats::{ActorRow, Counter, DownloadRow, Downloads, Gauge, PoolRow};
use dataflow_ids::{ModelIndex, NodeIndex};
use dataflow_wire::status::{ModelState, ModelView};

use super::Root;
use crate::actors::ActorName;
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
    downloads: RefCell<DownloadCounts>,
}

/// What was counted of the downloads.
#[derive(Debug, Default)]
struct DownloadCounts {
    ready: Counter,
    failed: Counter,
    bytes: Counter,
    /// How each model stood when it was last looked at.
    seen: BTreeMap<ModelIndex, (ModelState, u64)>,
}

impl DownloadCounts {
    /// Counts what has happened to a model since it was last looked at.
    fn see(&mut self, model: ModelIndex, view: &ModelView) {
        let now = (view.state, view.bytes_done);
        let (was, bytes) = self.seen.insert(model, now).unwrap_or_default();
        // What was there before it was fetched has not come in now.
        if was == ModelState::Fetching {
            self.bytes.add(view.bytes_done.saturating_sub(bytes));
        }
        match view.state {
            ModelState::Ready if was != ModelState::Ready => self.ready.add(1),
            ModelState::Failed if was != ModelState::Failed => self.failed.add(1),
            _ => {}
        }
    }
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

/// How a model's state is called, as `ps` calls it.
fn word(state: ModelState) -> &'static str {
    match state {
        ModelState::Waiting => "waiting",
        ModelState::Resolving => "resolving",
        ModelState::Fetching => "fetching",
        ModelState::Ready => "ready",
        ModelState::Failed => "failed",
        ModelState::Cancelled => "cancelled",
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

    fn downloads(&self) -> Downloads {
        let mut counted = self.service_counts.downloads.borrow_mut();
        let mut downloads = Downloads::default();
        for (model, view) in self.models.views() {
            counted.see(model, &view);
            downloads.active.add(u64::from(!view.state.is_final()));
            let Some(described) = self.dataflow.models.get(model.0 as usize) else {
                continue;
            };
            if downloads.rows.len() < DownloadRow::SHOWN_MAX {
                downloads.rows.push(DownloadRow {
                    model: format!("{}@{}", described.repo, described.revision),
                    state: word(view.state).to_owned(),
                    bytes_done: view.bytes_done,
                    bytes_total: view.bytes_total,
                    bytes_per_second: view.bytes_per_second,
                });
            }
        }
        Downloads {
            ready: counted.ready,
            failed: counted.failed,
            bytes: counted.bytes,
            ..downloads
        }
    }
}
