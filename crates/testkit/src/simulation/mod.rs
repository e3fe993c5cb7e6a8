//! Whole runtimes on virtual time, with simulated processes, driven by a seed.
//!
//! A seed chooses one to three random dataflows, what each of their processes will do, what comes of the models that
//! they wait for, and what persons and accidents do to them. Real actors, a real root and real edges then live through it, on one thread, and whenever
//! nothing moves, everything that must be true is looked at. One seed always goes the same way.

mod character;
mod draw;
mod drive;
mod launcher;
mod ledger;
mod models;
mod notes;
mod one;
mod plan;
mod restarts;
mod rules;
mod script;
mod seeds;
mod watch;
mod world;

use std::time::Duration;

pub(crate) use draw::Draw;
pub use notes::{Coverage, Tracing, Violation};
pub use one::{Simulated, simulate};
pub use seeds::{Summary, WorkerError, simulate_all, work_if_asked};

/// So much time passes while everything that can run runs: the least that tokio's clock knows.
const SETTLE: Duration = Duration::from_millis(1);
