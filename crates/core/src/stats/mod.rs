//! Statistics, kept as things happen: edge → node → group → dataflow → total (section 13 of the design).
//!
//! Every change updates all levels that it belongs to in one step. Gauges say how many there are now; counters only
//! grow. What a removed member counted stays in the `retired` of its levels.
//!
//! What is kept lies in pages that a [`Snapshot`] shares with the [`Book`]: to publish costs the same for any number of
//! members, and a page is copied at the first change after that.

mod audit;
mod book;
mod collector;
mod delta;
mod facts;
mod groups;
mod histogram;
mod journal;
mod levels;
mod members;
mod misplaced;
mod pages;
mod rates;
mod readings;
mod recount;
mod rows;
mod services;
mod slots;
mod snapshot;
mod sums;

pub use audit::{Audited, Auditor};
pub use book::Book;
pub use collector::{Collector, Ended, Resync, Source};
pub use delta::{Gap, apply};
pub use facts::{EdgeFacts, EdgeSpec, NotThere, ProcessFacts, RefusedTransition, Transition};
pub use groups::GROUPS_MAX;
pub use histogram::{count, quantile};
pub use journal::{Changes, Strayed};
pub use levels::time_in_state_ns;
pub use misplaced::Misplaced;
pub use rates::{EdgeRates, rate, rates};
pub use recount::{AuditMismatch, Whose};
pub use rows::EdgeNumbers;
pub use snapshot::Snapshot;
