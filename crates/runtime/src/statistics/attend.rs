//! What is done on the thread of statistics for each source, for as long as there is one.

use std::sync::Arc;
use std::time::Duration;

use dataflow_core::stats::{Audited, Auditor};

use super::beat::{LISTENS_EVERY, Listener};
use super::source::Source;

/// A control loop that says nothing for so long is told of.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// How many members are counted again at a time: some 50 µs.
pub(crate) const AUDITED_MAX: usize = 1000;

/// Looks after a source until nothing follows: counts its members again, some at a time, and watches its control loop.
pub(crate) async fn attend(source: Source, audited: impl Fn(Audited)) {
    let mut auditor = Auditor::new();
    let listener = Listener::new(source.beat.clone());
    let mut is_silent = false;
    while source.snapshots.has_changed().is_ok() {
        let newest = Arc::clone(&source.snapshots.borrow());
        let found = auditor.step(&newest, AUDITED_MAX);
        drop(newest);
        if found.mismatches > 0 {
            let mismatches = found.mismatches;
            tracing::error!(
                mismatches,
                "statistics do not add up: this is a fault of ours"
            );
        }
        if found != Audited::default() {
            audited(found);
        }
        listener.listens();
        let silence = listener.silence();
        let was_silent = std::mem::replace(&mut is_silent, silence > SILENT_AFTER);
        if is_silent && !was_silent {
            tracing::warn!(?silence, "control loop stands still");
        } else if was_silent && !is_silent {
            tracing::info!("control loop goes on");
        }
        tokio::time::sleep(LISTENS_EVERY).await;
    }
}
