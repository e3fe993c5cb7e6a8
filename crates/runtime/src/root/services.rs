//! How what serves the dataflow stands, for the statistics: its actors, its models, and the pool.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use dataflow_core::stats::{Audited, ProcessFacts};
use dataflow_ids::NodeIndex;
use dataflow_ids::stats::{ActorRow, DownloadRow, Downloads, Gauge, PoolRow};

use super::Root;
use crate::actors::{ActorKind, ActorName, KindCounts};
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
    rebuilt: RefCell<BTreeMap<ActorKind, KindCounts>>,
    /// What the auditor has found in all.
    found: Cell<Audited>,
    /// How much of that the statistics have taken.
    taken: Cell<Audited>,
}

impl Root {
    /// How everything stands that serves the dataflow. What serves others on the same agent too is not its own, and is shown
    /// by the agent.
    pub(super) fn services(&self) -> Services {
        let mut services = Services {
            actors: self.actor_rows(),
            downloads: Downloads::default(),
            pool: None,
            processes: self.processes_used(),
        };
        if !self.is_hosted {
            services.actors.extend(self.models.actor_row());
            services.downloads = self.downloads();
            services.pool = self.models.pool();
        }
        services
    }

    /// An actor is built again after a panic.
    pub(super) fn count_rebuilt(&self, actor: ActorName) {
        let mut rebuilt = self.service_counts.rebuilt.borrow_mut();
        rebuilt.entry(actor.into()).or_default().was_rebuilt();
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
        let rebuilt = self.service_counts.rebuilt.borrow();
        let row = |kind, counts: &mut dyn Iterator<Item = Counts>| {
            let kept = rebuilt.get(&kind).copied().unwrap_or_default();
            kept.row(kind, counts)
        };
        let one = |counts| std::iter::once(counts);
        let mut nodes = handles.nodes.iter().map(|node| node.counts());
        vec![
            row(ActorKind::Dataflow, &mut one(handles.dataflow.counts())),
            row(ActorKind::Scheduler, &mut one(handles.scheduler.counts())),
            row(ActorKind::Stats, &mut one(handles.stats.counts())),
            row(ActorKind::Node, &mut nodes),
        ]
    }

    /// The models that this run wants, with what was counted where they are fetched.
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
