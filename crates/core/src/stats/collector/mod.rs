//! The collector: puts the statistics of several keepers together, which come as wholes and deltas.

mod clock;
mod gone;
mod members;
mod order;
mod services;
mod sources;
mod whole;

pub use sources::{Collector, Ended, Resync, Source};
