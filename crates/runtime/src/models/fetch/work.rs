//! Work that blocks is done in the pool, and whoever asked for it waits without blocking.

use std::time::Duration;

use crate::models::error::ModelError;
use crate::pool::{JobPanicked, JobResult, Pool, Refusal};

/// How long to wait before a full pool is asked again: at first, and at most.
const PAUSE: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Hands a job to the pool; while its queue is full, waits.
///
/// # Errors
///
/// [`ModelError::Cancelled`] when the pool is drained.
pub(super) async fn submitted<T: Send + 'static>(
    pool: &Pool,
    name: &str,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<JobResult<T>, ModelError> {
    let (mut job, mut pause) = (job, PAUSE);
    loop {
        match pool.submit(name, job) {
            Ok(submitted) => return Ok(submitted.result),
            Err(busy) if busy.why == Refusal::Closed => return Err(ModelError::Cancelled),
            Err(busy) => job = busy.job,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Does a job in the pool and gives what it gives. Dropping this does not end the job.
///
/// # Errors
///
/// Those of the job, and those of the pool.
pub(super) async fn done<T: Send + 'static>(
    pool: &Pool,
    name: &str,
    job: impl FnOnce() -> Result<T, ModelError> + Send + 'static,
) -> Result<T, ModelError> {
    submitted(pool, name, job).await?.await.map_err(panicked)?
}

pub(super) fn panicked(job: JobPanicked) -> ModelError {
    ModelError::Internal {
        why: job.to_string(),
    }
}
