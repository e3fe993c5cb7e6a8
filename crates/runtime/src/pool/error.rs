//! What can go wrong with a pool and its jobs.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use dataflow_core::pool::Refusal;

use crate::supervision::panic_text;

/// Settings that no pool can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// It could never run a job.
    #[error("the pool `{name}` may have no thread: `max` must be 1 or more")]
    NoThreads {
        /// The pool.
        name: &'static str,
    },
    /// More threads would stay than there may be.
    #[error(
        "the pool `{name}` would keep {core} threads and may have {max}: `core` must not exceed `max`"
    )]
    CoreAboveMax {
        /// The pool.
        name: &'static str,
        /// Threads that stay.
        core: usize,
        /// Threads at most.
        max: usize,
    },
    /// No thread can have such a name.
    #[error("the name of the pool {name:?} contains a zero byte")]
    NameWithZero {
        /// The pool.
        name: &'static str,
    },
}

/// The pool has not taken a job. Here it is again.
pub struct Busy<F> {
    /// The pool.
    pub pool: &'static str,
    /// Why not.
    pub why: Refusal,
    /// The job.
    pub job: F,
}

impl<F> fmt::Debug for Busy<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Busy")
            .field("pool", &self.pool)
            .field("why", &self.why)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Display for Busy<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Refusal::Full => "all its threads are busy, and its queue is full",
            Refusal::NoThread => "the system starts no thread for it",
            Refusal::Closed => "it is drained",
        };
        write!(f, "the pool `{}` takes no job: {why}", self.pool)
    }
}

impl<F> std::error::Error for Busy<F> {}

/// A job has panicked. Its thread lives on.
#[derive(thiserror::Error)]
#[error("the job `{job}` has panicked: {}", self.text())]
pub struct JobPanicked {
    /// The job's name.
    pub job: Arc<str>,
    /// What it panicked with.
    pub payload: Box<dyn Any + Send>,
}

impl JobPanicked {
    /// What it panicked with, as a text.
    #[must_use]
    pub fn text(&self) -> String {
        panic_text(self.payload.as_ref())
    }
}

impl fmt::Debug for JobPanicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobPanicked")
            .field("job", &self.job)
            .field("payload", &self.text())
            .finish()
    }
}
