//! What `top` shows, as numbers: rates and medians beside what was counted. `--json` writes these types as they are.

mod edge;
mod group;
mod level;
mod node;
mod runtime;
mod service;
mod span;

use serde::Serialize;

pub(super) use edge::EdgeFigures;
pub(super) use group::GroupFigures;
pub(super) use level::{DataflowFigures, LevelFigures};
pub(super) use node::NodeFigures;
pub(super) use runtime::{About, Answer, RuntimeFigures, RuntimeKind, Trouble, figures};
pub(super) use service::{ActorFigures, DownloadFigures, PeerFigures, PoolFigures};
pub(super) use span::SpanFigures;

/// Everything that is known, at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Picture {
    /// The runtimes, in the order in which they came.
    pub(super) runtimes: Vec<RuntimeFigures>,
    /// All nodes of one name, over all runtimes that answer.
    pub(super) groups: Vec<GroupFigures>,
}

impl Picture {
    /// Of these runtimes.
    pub(super) fn of(runtimes: Vec<RuntimeFigures>) -> Picture {
        let answering = runtimes.iter().filter(|runtime| runtime.error.is_none());
        let answers = answering.filter_map(|runtime| runtime.answer.as_ref());
        let groups = group::together(answers.flat_map(|answer| &answer.groups));
        Picture { runtimes, groups }
    }

    /// All dataflows of all runtimes.
    pub(super) fn dataflows(&self) -> impl Iterator<Item = &DataflowFigures> {
        let answers = self.runtimes.iter();
        let answers = answers.filter_map(|runtime| runtime.answer.as_ref());
        answers.flat_map(|answer| &answer.dataflows)
    }
}
