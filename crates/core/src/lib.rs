//! Decisions only: pure state machines for life cycle, drain, restart, placement and statistics.
//!
//! Nothing here has a clock, does I/O or starts a thread. A machine takes `(now, event)` and returns the
//! commands that follow; an actor of the runtime is the shell that performs them. So that a shell can be
//! rebuilt after a panic, every machine is `Clone`, takes a repeated fact without harm, ignores facts of an
//! old epoch, and gives only commands that may be performed twice.

mod backoff;
pub mod broken;
pub mod drain;
pub mod flow;
pub mod inputs;
pub mod lifecycle;
pub mod models;
pub mod outcome;
pub mod peers;
pub mod placement;
pub mod pool;
pub mod quiesce;
pub mod random;
pub mod restart;
pub mod segments;
pub mod stats;
mod time;
pub mod waiting;

pub use time::Time;
