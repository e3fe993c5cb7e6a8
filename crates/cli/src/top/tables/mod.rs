//! Tables: what their columns are, how their rows are chosen and ordered, and how they fit on a screen.

mod actors;
mod column;
mod dataflows;
mod downloads;
mod edges;
mod fit;
mod groups;
mod levels;
mod nodes;
mod peers;
mod pool;
mod sheet;
mod tab;

pub(super) use fit::fit;
#[cfg(feature = "top")]
pub(super) use sheet::RowId;
pub(super) use sheet::Wishes;
pub(super) use tab::Tab;
