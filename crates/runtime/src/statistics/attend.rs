//! What is done on the thread of statistics for each source, for as long as there is one.

use std::time::Duration;

use super::source::Source;

/// How often.
const EVERY: Duration = Duration::from_secs(1);
/// A control loop that says nothing for so long is told of.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// Looks after a source until nothing follows.
pub(crate) async fn attend(source: Source) {
    let mut is_silent = false;
    while source.snapshots.has_changed().is_ok() {
        let silence = source.beat.silence();
        let was_silent = std::mem::replace(&mut is_silent, silence > SILENT_AFTER);
        if is_silent && !was_silent {
            tracing::warn!(?silence, "control loop stands still");
        } else if was_silent && !is_silent {
            tracing::info!("control loop goes on");
        }
        tokio::time::sleep(EVERY).await;
    }
}
