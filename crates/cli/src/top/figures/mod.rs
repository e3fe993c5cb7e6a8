//! What `top` shows, as numbers: rates and medians beside what was counted. `--json` writes these types as they are.

mod edge;
mod level;
mod node;
mod runtime;
mod service;
mod span;

use serde::Serialize;

pub(super) use edge::EdgeFigures;
pub(super) use level::{DataflowFigures, GroupFigures, LevelFigures};
pub(super) use node::NodeFigures;
pub(super) use runtime::{About, Answer, RuntimeFigures, RuntimeKind, Trouble, figures};
pub(super) use service::{ActorFigures, DownloadFigures, PeerFigures, PoolFigures};
pub(super) use span::SpanFigures;

/// Everything that is known, at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Picture {
    /// The runtimes, in the order in which they came.
    pub(super) runtimes: Vec<RuntimeFigures>,
}

impl Picture {
    /// All dataflows of all runtimes.
    pub(super) fn dataflows(&self) -> impl Iterator<Item = &DataflowFigures> {
        let answers = self.runtimes.iter();
        let answers = answers.filter_map(|runtime| runtime.answer.as_ref());
        answers.flat_map(|answer| &answer.dataflows)
    }
}
