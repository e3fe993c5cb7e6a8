//! The pool as its users see it.

use std::fmt;
use std::sync::Arc;

use super::draining::Draining;
use super::error::{Busy, PoolError};
use super::job::JobResult;
use super::machinery::System;
use super::settings::PoolSettings;
use super::shared::{Shared, Taken};
use dataflow_core::pool::PoolStatistics;

/// A pool of threads for short jobs. Clones are handles of the same pool. When the last one is dropped, the pool runs
/// what it has taken, and its threads end.
///
/// A job that waits for another job of the same pool holds one of its `max` threads meanwhile.
#[derive(Clone)]
pub struct Pool(Arc<Handle>);

/// Closes the pool with its last handle. The threads hold what it holds.
struct Handle(Arc<Shared<System>>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Where a job has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A thread is reserved for it alone.
    Started,
    /// It waits for a thread: it is the n-th of those that wait, from 1.
    Queued(usize),
}

/// A job that the pool has taken.
#[must_use = "the job's result, and whether it panicked"]
pub struct Submitted<T> {
    /// Whether a thread has it.
    pub how: Start,
    /// What becomes of it.
    pub result: JobResult<T>,
}

impl<T> fmt::Debug for Submitted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitted")
            .field("how", &self.how)
            .field("result", &self.result)
            .finish()
    }
}

impl Pool {
    /// A pool. No thread is started before there is a job for it.
    ///
    /// # Errors
    ///
    /// [`PoolError`]: settings that no pool can have.
    pub fn new(settings: PoolSettings) -> Result<Pool, PoolError> {
        let limits = settings.limits()?;
        let shared = Shared::new(System, settings.name, settings.keep_alive, limits);
        Ok(Pool(Arc::new(Handle(shared))))
    }

    /// Submits a job: a thread starts it, or it is queued because all `max` threads are busy. Never blocks for longer
    /// than it takes to start a thread.
    ///
    /// `name` is what the thread that runs it is called meanwhile (Linux shows the first 15 bytes), and what
    /// [`Draining::still_running`] says. What the job panics with is in its result.
    ///
    /// # Errors
    ///
    /// [`Busy`], with the job: the queue is full, the pool is drained, or the system starts no thread while the pool
    /// has none.
    pub fn submit<T, F>(&self, name: &str, job: F) -> Result<Submitted<T>, Busy<F>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let shared = &self.0.0;
        match shared.submit(name, job) {
            Ok((taken, result)) => {
                let how = match taken {
                    Taken::Started => Start::Started,
                    Taken::Queued(position) => Start::Queued(position),
                };
                Ok(Submitted { how, result })
            }
            Err((why, job)) => Err(Busy {
                pool: shared.name(),
                why,
                job,
            }),
        }
    }

    /// What it has done and does.
    #[must_use]
    pub fn statistics(&self) -> PoolStatistics {
        self.0.0.look(|roster| roster.statistics())
    }

    /// From now on jobs are refused, on all handles. Those that are queued are still run. May be called again.
    pub fn drain(&self) -> Draining {
        self.0.0.close();
        Draining(Arc::clone(&self.0.0))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.0.0.name())
            .field("statistics", &self.statistics())
            .finish()
    }
}
