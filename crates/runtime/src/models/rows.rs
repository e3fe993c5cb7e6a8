//! Downloads and their pool, as the statistics have them.

use dataflow_core::pool::PoolStatistics;
use dataflow_ids::stats::{Counter, DownloadRow, Gauge, PoolRow};
use dataflow_wire::status::{ModelState, ModelView};

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

/// The download of a model that stands like this.
pub(crate) fn download_row(repo: &str, revision: &str, view: &ModelView) -> DownloadRow {
    DownloadRow {
        model: format!("{repo}@{revision}"),
        state: word(view.state).to_owned(),
        bytes_done: view.bytes_done,
        bytes_total: view.bytes_total,
        bytes_per_second: view.bytes_per_second,
    }
}

/// A pool that stands like this.
pub(crate) fn pool_row(pool: &PoolStatistics) -> PoolRow {
    PoolRow {
        running: Gauge::new(pool.running as u64),
        idle: Gauge::new(pool.idle as u64),
        queued: Gauge::new(pool.queued as u64),
        threads_started: Counter::new(pool.threads_started),
        threads_not_started: Counter::new(pool.threads_not_started),
        completed: Counter::new(pool.completed),
        panicked: Counter::new(pool.panicked),
        refused: Counter::new(pool.refused),
    }
}
