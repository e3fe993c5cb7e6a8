//! How large a pool may get.

use std::time::Duration;

use dataflow_core::pool::PoolLimits;

use super::error::PoolError;

/// How large a pool may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// What its threads are called while they have no job. Linux shows the first 15 bytes.
    pub name: &'static str,
    /// Threads that stay when they have nothing to do. None is started before there is a job for it.
    pub core: usize,
    /// Threads at most, 1 or more: the number of jobs that may run, and wait for each other, at the same time.
    pub max: usize,
    /// How long a thread waits for a job before it ends, while there are more than `core`.
    pub keep_alive: Duration,
    /// Jobs that may wait for a thread while there are `max`. With 0, a job is started or given back.
    pub queue_max: usize,
}

impl PoolSettings {
    /// The limits, if they make sense.
    pub(super) fn limits(&self) -> Result<PoolLimits, PoolError> {
        if self.name.contains('\0') {
            return Err(PoolError::NameWithZero { name: self.name });
        }
        if self.max == 0 {
            return Err(PoolError::NoThreads { name: self.name });
        }
        if self.core > self.max {
            return Err(PoolError::CoreAboveMax {
                name: self.name,
                core: self.core,
                max: self.max,
            });
        }
        Ok(PoolLimits {
            core: self.core,
            max: self.max,
            queue_max: self.queue_max,
        })
    }
}
