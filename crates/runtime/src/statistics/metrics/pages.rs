//! Pages of metrics without a server: for whoever has one already, and to measure what they cost.

use std::sync::Arc;
use std::time::Duration;

use dataflow_core::stats::Snapshot;

use super::page::{Exporter, Format};
use super::rows::Facts;

/// Writes pages of metrics as `/metrics` has them, one after another: what is shown of an edge stays on the pages after.
#[derive(Debug, Default)]
pub struct MetricsPages(Exporter);

impl MetricsPages {
    /// No page was written yet.
    #[must_use]
    pub fn new() -> MetricsPages {
        MetricsPages::default()
    }

    /// The page of a snapshot, in the format of OpenMetrics 1.0. Statistics are kept for so long, and the control loop lives.
    /// Gives nothing if it cannot be written, which only a fault of ours could cause.
    #[must_use]
    pub fn openmetrics(&mut self, snapshot: Arc<Snapshot>, uptime: Duration) -> Option<String> {
        let facts = Facts {
            snapshot,
            snapshot_age: Duration::ZERO,
            uptime,
            beat_age: Duration::ZERO,
        };
        self.0.page(facts, Format::OpenMetrics)
    }
}
