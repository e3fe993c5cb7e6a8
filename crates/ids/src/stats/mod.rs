//! Words for statistics: what is counted, what there is now, and the levels at which both are kept (section 13 of the
//! design). How they are kept is decided in `core`.
//!
//! Moments (`…_ns` without a span in the name) are nanoseconds since whoever keeps the statistics began.

mod edge;
mod histogram;
mod level;
mod list;
mod node;
mod number;
mod service;
mod whole;

pub use edge::{EdgeCounters, EdgeGauges, EdgeHistograms, EdgeKey, EdgeRow};
pub use histogram::{HISTOGRAM_BUCKETS, Histogram};
pub use level::{Level, Retired, States, StatesNs};
pub use node::{NodeKey, NodeNumbers, NodeRow, ProcessNumbers};
pub use number::{Counter, Gauge, Keeper, RunNumber, Underflow};
pub use service::{ActorRow, AuditRow, DownloadRow, Downloads, PeerRow, PoolRow};
pub use whole::{DataflowRow, Delta, GroupRow, Statistics};
