//! Models on a thread of their own: whatever happens there delays nobody else.

use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use dataflow_ids::stats::{ActorRow, Downloads};

#[cfg(any(test, feature = "faults"))]
use super::door::ActorFault;
use super::door::{Door, Request};
use super::ledger::Ledger;
use super::serve::Service;
use crate::models::{
    Ending, FetchLimits, Fetcher, HubFetcher, HubSettings, ModelError, ModelOrder, Models, Wanted,
};
use crate::pool::{Pool, PoolSettings, PoolStatistics};

/// What the thread is called.
const THREAD: &str = "dataflow-models";
/// How long the end waits for files that are being written. Most are let go in a millisecond.
const END_AT_MOST: Duration = Duration::from_millis(500);
/// Where files are hashed and written.
const POOL: PoolSettings = PoolSettings {
    name: "models-pool",
    core: 0,
    // As many as there may be transfers, and some that link, look and verify.
    max: 8,
    keep_alive: Duration::from_secs(10),
    queue_max: 1024,
};

/// A service of models on a thread of its own, with an event loop of its own. Dropping it cancels every fetch, and
/// waits for nobody.
#[derive(Debug)]
pub struct ModelService {
    door: Door,
    /// Where files are hashed and written, if it is known.
    pool: Option<Pool>,
    ending: Mutex<Option<Ending>>,
}

impl ModelService {
    /// Starts everything that it takes to fetch from the Hub of these settings. Nobody is asked for anything yet.
    ///
    /// # Errors
    ///
    /// [`ModelError`] when the system gives no threads.
    pub fn for_hub(settings: HubSettings, limits: FetchLimits) -> Result<ModelService, ModelError> {
        let refused = |why: String| ModelError::Internal { why };
        let pool = Pool::new(POOL).map_err(|error| refused(error.to_string()))?;
        let mut fetcher = HubFetcher::new(settings, limits, pool.clone())?;
        let ending = fetcher.take_ending();
        let mut service = ModelService::start(move || fetcher)
            .map_err(|error| refused(format!("no thread for models: {error}")))?;
        service.ending = Mutex::new(ending);
        service.pool = Some(pool);
        Ok(service)
    }

    /// Starts the thread. What fetches is made on it, by `make`.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start<F: Fetcher + 'static>(
        make: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<ModelService> {
        let (door, requests) = Door::new();
        let ledger = door.ledger().clone();
        let serve = move || {
            actix_rt::System::new().block_on(async {
                Service::new(Rc::new(make()), requests, ledger).run().await;
            });
        };
        // Nobody waits for its end: it may be in the middle of anything, and the cache is right at every moment.
        thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(serve)?;
        Ok(ModelService {
            door,
            pool: None,
            ending: Mutex::default(),
        })
    }

    /// What it counts, also for whoever outlives it.
    pub(crate) fn ledger(&self) -> &Ledger {
        self.door.ledger()
    }

    /// The pool on which files are hashed and written, if there is one.
    pub(crate) fn writes_on(&self) -> Option<&Pool> {
        self.pool.as_ref()
    }

    /// Cancels every fetch, and waits a moment until none of them holds a file: for whoever ends the process, so that
    /// a file that is half there takes no more room than it has bytes. Gives whether all was let go. Blocks.
    pub fn end(&self) -> bool {
        self.door.send(Request::End);
        let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        ending.take().is_none_or(|ending| ending.wait(END_AT_MOST))
    }

    /// Lets something go wrong in the actor's next handler, which comes at once.
    #[cfg(any(test, feature = "faults"))]
    pub fn strike(&self, fault: ActorFault) {
        self.door.send(Request::Strike(fault));
    }
}

impl Models for ModelService {
    fn want(&self, order: ModelOrder) -> Wanted {
        self.door.want(order)
    }

    fn pool(&self) -> Option<PoolStatistics> {
        self.pool.as_ref().map(Pool::statistics)
    }

    fn downloads(&self) -> Downloads {
        self.ledger().downloads()
    }

    fn actor_row(&self) -> Option<ActorRow> {
        Some(self.ledger().actor())
    }
}

impl Drop for ModelService {
    fn drop(&mut self) {
        self.door.send(Request::End);
    }
}
