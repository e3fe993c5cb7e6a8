//! What serves the runs of one process: counted once, however many runs it serves, and also when it has ended.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use dataflow_ids::stats::{ActorRow, Counter, DownloadRow, Downloads, Gauge, PoolRow};

use crate::models::{Ledger, ModelService, pool_row};
use crate::pool::Pool;

/// The downloads of all runs of a process, and the pools on which they are written. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    services: Vec<Serving>,
    /// What those have counted that have ended.
    past: Service,
}

/// What is held of one that fetches, without holding it.
#[derive(Debug)]
struct Serving {
    service: Weak<ModelService>,
    pool: Option<Pool>,
    ledger: Ledger,
}

/// What the runs of a process are served by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Service {
    pub(crate) downloads: Downloads,
    /// All pools together, once there was one.
    pub(crate) pool: Option<PoolRow>,
    /// All actors that lead downloads, once there was one.
    pub(crate) actors: Option<ActorRow>,
}

impl Serving {
    /// Whether nothing will be counted any more. Whoever fetches may outlive the last who wanted something for a moment.
    fn is_over(&self) -> bool {
        self.service.strong_count() == 0 && self.ledger.is_closed()
    }

    fn now(&self) -> Service {
        Service {
            downloads: self.ledger.downloads(),
            pool: (self.pool.as_ref()).map(|pool| pool_row(&pool.statistics())),
            actors: Some(self.ledger.actor()),
        }
    }
}

impl Service {
    /// Adds what another one counts, and what there is of it.
    fn add(&mut self, other: Service) {
        let Downloads {
            rows,
            active,
            ready,
            failed,
            bytes,
        } = other.downloads;
        let downloads = &mut self.downloads;
        let room = DownloadRow::SHOWN_MAX.saturating_sub(downloads.rows.len());
        downloads.rows.extend(rows.into_iter().take(room));
        downloads.active.add(active.get());
        add(&mut downloads.ready, ready);
        add(&mut downloads.failed, failed);
        add(&mut downloads.bytes, bytes);
        if let Some(row) = other.pool {
            let pool = self.pool.get_or_insert_default();
            pool.running.add(row.running.get());
            pool.idle.add(row.idle.get());
            pool.queued.add(row.queued.get());
            add(&mut pool.threads_started, row.threads_started);
            add(&mut pool.threads_not_started, row.threads_not_started);
            add(&mut pool.completed, row.completed);
            add(&mut pool.panicked, row.panicked);
            add(&mut pool.refused, row.refused);
        }
        if let Some(row) = other.actors {
            let actors = (self.actors).get_or_insert_with(|| ActorRow::none(&row.actor));
            actors.actors.add(row.actors.get());
            actors.waiting.add(row.waiting.get());
            add(&mut actors.sent, row.sent);
            add(&mut actors.handled, row.handled);
            add(&mut actors.returned, row.returned);
            add(&mut actors.dead_lettered, row.dead_lettered);
            add(&mut actors.rebuilt, row.rebuilt);
        }
    }

    /// What stays of one that has ended: its counters.
    fn counters(mut self) -> Service {
        self.downloads.rows.clear();
        self.downloads.active = Gauge::default();
        if let Some(pool) = &mut self.pool {
            (pool.running, pool.idle, pool.queued) = Default::default();
        }
        if let Some(row) = &mut self.actors {
            // Nobody takes what waited.
            row.dead_lettered.add(row.waiting.get());
            (row.actors, row.waiting) = Default::default();
        }
        self
    }
}

fn add(sum: &mut Counter, more: Counter) {
    sum.add(more.get());
}

impl Served {
    /// This serves runs from now on.
    pub(crate) fn by(&self, service: &Arc<ModelService>) {
        let serving = Serving {
            service: Arc::downgrade(service),
            pool: service.writes_on().cloned(),
            ledger: service.ledger().clone(),
        };
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.services.push(serving);
    }

    /// How all of it stands, with what those have counted that have ended.
    pub(crate) fn look(&self) -> Service {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let Shared { services, past } = &mut *shared;
        services.retain(|serving| {
            // In this order: nothing is counted after it is known to be over.
            let is_over = serving.is_over();
            if is_over {
                past.add(serving.now().counters());
            }
            !is_over
        });
        let mut all = past.clone();
        for serving in services {
            all.add(serving.now());
        }
        all
    }
}
