//! What is counted of downloads: kept as things happen, where each happens once, for whoever looks from any thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dataflow_core::models::{FetchEpoch, Job, JobState};
use dataflow_ids::stats::{ActorRow, Counter, DownloadRow, Downloads, Gauge};
use dataflow_wire::status::ModelView;

use crate::actors::{ActorKind, KindCounts};
use crate::models::{ModelError, ModelOrder, download_row};
use crate::supervision::Counts;

/// What a service has counted of its downloads: each once, however many want it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    ready: Counter,
    failed: Counter,
    bytes: Counter,
    /// How each job stands that somebody wants.
    jobs: BTreeMap<ModelOrder, Standing>,
    /// What has become of the messages to the actor.
    messages: Counts,
    /// How often it was built again.
    actors: KindCounts,
    has_actor: bool,
}

#[derive(Debug)]
struct Standing {
    epoch: FetchEpoch,
    is_in_hand: bool,
    row: DownloadRow,
}

impl Ledger {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        // Every change is one that leaves all of it right.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job stands like this now. It may be said twice.
    pub(super) fn stands(&self, order: &ModelOrder, job: &Job<ModelError>, view: &ModelView) {
        let standing = Standing {
            epoch: job.epoch,
            is_in_hand: job.state.is_in_hand(),
            row: download_row(&order.spec.repo, &order.spec.revision, view),
        };
        let mut counted = self.counted();
        let was = counted.jobs.insert(order.clone(), standing);
        // What another fetch came to is another end.
        if was.is_some_and(|was| was.epoch == job.epoch && !was.is_in_hand) {
            return;
        }
        match job.state {
            JobState::Ready { .. } => counted.ready.add(1),
            JobState::Failed(_) => counted.failed.add(1),
            JobState::Resolving | JobState::Fetching => {}
        }
    }

    /// These alone are wanted.
    pub(super) fn wanted_are(&self, is_wanted: impl Fn(&ModelOrder) -> bool) {
        self.counted().jobs.retain(|order, _| is_wanted(order));
    }

    /// So many bytes have come in from the network.
    pub(super) fn came_in(&self, bytes: u64) {
        self.counted().bytes.add(bytes);
    }

    /// How all downloads stand.
    pub(crate) fn downloads(&self) -> Downloads {
        let counted = self.counted();
        let mut downloads = Downloads {
            ready: counted.ready,
            failed: counted.failed,
            bytes: counted.bytes,
            ..Downloads::default()
        };
        for standing in counted.jobs.values() {
            downloads.active.add(u64::from(standing.is_in_hand));
            if downloads.rows.len() < DownloadRow::SHOWN_MAX {
                downloads.rows.push(standing.row.clone());
            }
        }
        downloads
    }

    /// There is an actor from now on.
    pub(super) fn actor_begins(&self) {
        self.counted().has_actor = true;
    }

    /// This has become of the messages to it.
    pub(super) fn actor_has(&self, messages: Counts) {
        self.counted().messages = messages;
    }

    /// It is built again after a panic.
    pub(super) fn actor_is_rebuilt(&self) {
        self.counted().actors.was_rebuilt();
    }

    /// There is none any more.
    pub(super) fn actor_ends(&self) {
        self.counted().has_actor = false;
    }

    /// How the actor stands.
    pub(crate) fn actor(&self) -> ActorRow {
        let counted = self.counted();
        let mut row = (counted.actors).row(ActorKind::Download, std::iter::once(counted.messages));
        row.actors = Gauge::new(u64::from(counted.has_actor));
        row
    }

    /// Whether nobody else can change it any more.
    pub(crate) fn is_closed(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}
