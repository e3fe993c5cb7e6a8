//! What a page is made of, in the order in which it is written.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use dataflow_core::stats::Snapshot;
use dataflow_ids::stats::{DataflowRow, GroupRow, Level};

use super::edges::OTHERS;
use super::text::Member;

/// All that a page says.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// The statistics at their last moment.
    pub(crate) snapshot: Arc<Snapshot>,
    /// How long ago they were published.
    pub(crate) snapshot_age: Duration,
    /// How long statistics are kept here. The moments of a snapshot do not say it: those of an agent begin elsewhere.
    pub(crate) uptime: Duration,
    /// How long ago the control loop gave its last sign of life.
    pub(crate) beat_age: Duration,
}

/// What is known of the process that answers.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) uptime: Duration,
    pub(super) beat_age: Duration,
    pub(super) snapshot_age: Duration,
    pub(super) dataflows: u64,
}

/// A text that a page has for as long as it is written.
pub(super) fn owned(text: &impl ToString) -> Cow<'static, str> {
    Cow::Owned(text.to_string())
}

/// A run and its labels.
pub(super) fn run(row: &DataflowRow) -> Member<'_, Level> {
    Member {
        labels: vec![
            ("peer", owned(&row.peer)),
            ("dataflow", owned(&row.name)),
            ("run", owned(&row.run)),
        ],
        row: &row.level,
    }
}

/// A group and its label.
pub(super) fn group(row: &GroupRow) -> Member<'_, Level> {
    let name = row.name.as_ref().map_or(Cow::Borrowed(OTHERS), owned);
    Member {
        labels: vec![("group", name)],
        row: &row.level,
    }
}
