//! The pool for short jobs of the CPU and the disk: hashing, writing, decompression (section 12 of the design).
//!
//! Who submits a job knows at once what becomes of it: it is started, it is queued, or it is given back. It is queued
//! only while every thread that there may be is busy, so a job waits behind a blocked one only when `max` jobs run.

mod draining;
mod error;
mod job;
mod machinery;
mod settings;
mod shared;
mod submitting;
mod waiting;

pub use dataflow_core::pool::{PoolStatistics, Refusal};
pub use draining::Draining;
pub use error::{Busy, JobPanicked, PoolError};
pub use job::JobResult;
pub use settings::PoolSettings;
pub use submitting::{Pool, Start, Submitted};

#[cfg(test)]
mod tests;
