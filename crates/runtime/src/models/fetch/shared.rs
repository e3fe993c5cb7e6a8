//! What all fetches of a fetcher share: its limits, its requests, its pool.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::models::Bucket;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use super::ending::GoesOn;
use super::hub::Hub;
use super::limits::FetchLimits;
use super::patience::Dice;
use super::work;
use crate::models::cache::Cache;
use crate::models::environment::HubSettings;
use crate::models::error::ModelError;
use crate::pool::Pool;

/// What all fetches share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: HubSettings,
    pub(super) limits: FetchLimits,
    pub(super) pool: Pool,
    pub(super) cache: Cache,
    pub(super) dice: Dice,
    /// A place for each file that is transferred.
    pub(super) places: Semaphore,
    /// Every fetch holds this, and everybody who holds one of its files.
    pub(super) goes_on: GoesOn,
    hub: OnceCell<Arc<Hub>>,
    bucket: Option<Mutex<Bucket>>,
    began: Instant,
}

impl Shared {
    pub(super) fn new(
        settings: HubSettings,
        limits: FetchLimits,
        pool: Pool,
        seed: u64,
        now: Instant,
        goes_on: GoesOn,
    ) -> Shared {
        Shared {
            cache: Cache::new(settings.cache.clone()),
            places: Semaphore::new(limits.files.max(1)),
            bucket: limits
                .bytes_per_second
                .map(|rate| Mutex::new(Bucket::new(rate))),
            hub: OnceCell::new(),
            dice: Dice::new(seed),
            began: now,
            goes_on,
            settings,
            limits,
            pool,
        }
    }

    /// The Hub. It is made when it is asked for the first time: what is in the cache needs none, and reading the
    /// system's certificates takes longer than all else.
    pub(super) async fn hub(&self) -> Result<Arc<Hub>, ModelError> {
        let make = || {
            let (settings, limits) = (self.settings.clone(), self.limits);
            work::done(&self.pool, "read certificates", move || {
                Hub::new(settings, limits).map(Arc::new)
            })
        };
        self.hub.get_or_try_init(make).await.cloned()
    }

    /// Waits until so many bytes that have come may be followed by others.
    pub(super) async fn paced(&self, bytes: u64) {
        let Some(bucket) = &self.bucket else { return };
        let now = Time(self.began.elapsed());
        let wait = {
            let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.take(now, bytes)
        };
        if wait > Duration::ZERO {
            tokio::time::sleep(wait).await;
        }
    }
}
