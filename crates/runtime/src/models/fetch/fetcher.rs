//! The fetcher: a runtime of its own, on which fetches go on until they are done or dropped.

use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::Instant;

use super::ending::{Ending, ending};
use super::job;
use super::limits::FetchLimits;
use super::progress::Board;
use super::shared::Shared;
use crate::models::environment::HubSettings;
use crate::models::error::ModelError;
use crate::models::seam::{FetchEvent, FetchSink, Fetcher, Fetching, ModelOrder};
use crate::pool::Pool;

/// Threads that move bytes. They never hash and never touch the disk.
const THREADS: usize = 2;

/// Fetches models from the Hub into its cache. Network work goes on on threads of its own, hashing and writing in the
/// pool; whoever calls is never blocked. When it is dropped, so are all its fetches.
#[derive(Debug)]
pub struct HubFetcher {
    shared: Arc<Shared>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    /// Until somebody asks for it.
    ending: Option<Ending>,
}

impl HubFetcher {
    /// A fetcher for the Hub of `settings`. Nothing is read, and nobody is asked, before something is fetched.
    ///
    /// # Errors
    ///
    /// The system gives no threads, or no random numbers.
    pub fn new(
        settings: HubSettings,
        limits: FetchLimits,
        pool: Pool,
    ) -> Result<HubFetcher, ModelError> {
        let mut seed = [0; 8];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| ModelError::Internal {
                why: "the system gives no random numbers".to_owned(),
            })?;
        HubFetcher::seeded(settings, limits, pool, u64::from_ne_bytes(seed))
    }

    /// The same, with the seed of all its jitter.
    ///
    /// # Errors
    ///
    /// The system gives no threads.
    pub fn seeded(
        settings: HubSettings,
        limits: FetchLimits,
        pool: Pool,
        seed: u64,
    ) -> Result<HubFetcher, ModelError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("transfer")
            .enable_all()
            .build()
            .map_err(|error| ModelError::Internal {
                why: format!("no threads for transfers: {error}"),
            })?;
        let (goes_on, ending) = ending();
        let shared = Shared::new(settings, limits, pool, seed, Instant::now(), goes_on);
        Ok(HubFetcher {
            shared: Arc::new(shared),
            runtime: Some(runtime),
            ending: Some(ending),
        })
    }

    /// What waits, after this is dropped, until no fetch holds a file any more. `None` when somebody has it already.
    pub fn take_ending(&mut self) -> Option<Ending> {
        self.ending.take()
    }
}

impl Fetcher for HubFetcher {
    fn fetch(&self, order: ModelOrder, sink: FetchSink) -> Box<dyn Fetching> {
        let shared = Arc::clone(&self.shared);
        let handle = self.runtime.as_ref().map(Runtime::handle);
        let task = handle.map(|handle| handle.spawn(fetch(shared, order, sink)).abort_handle());
        Box::new(Going { task })
    }
}

impl Drop for HubFetcher {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Dropping it would wait, which whoever drops this may not be allowed to.
            runtime.shutdown_background();
        }
    }
}

/// A fetch that goes on.
#[derive(Debug)]
struct Going {
    task: Option<AbortHandle>,
}

impl Fetching for Going {}

impl Drop for Going {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Fetches, tells how far it is, and says how it ended.
async fn fetch(shared: Arc<Shared>, order: ModelOrder, sink: FetchSink) {
    let board = Board::default();
    // In a task of its own, so that a panic in it is heard here; with the set, it ends when this does.
    let mut job = JoinSet::new();
    {
        let (sink, board) = (sink.clone(), board.clone());
        job.spawn(async move { job::run(&shared, &order, &sink, &board).await });
    }
    let end = tokio::select! {
        end = job.join_next() => end,
        () = board.keep_telling(&sink.progress) => None,
    };
    let event = match end {
        Some(Ok(Ok(snapshot))) => FetchEvent::Finished { snapshot },
        Some(Ok(Err(error))) => FetchEvent::Failed(error),
        Some(Err(error)) => FetchEvent::Failed(panicked(error)),
        None => FetchEvent::Failed(ModelError::Cancelled),
    };
    board.tell(&sink.progress);
    // Nobody listens any more: then nobody misses it.
    let _ = sink.events.send((sink.epoch, event));
}

/// What it means that a task did not come to its end.
pub(super) fn panicked(error: JoinError) -> ModelError {
    match error.try_into_panic() {
        Ok(payload) => ModelError::Internal {
            why: text(payload.as_ref()),
        },
        Err(_) => ModelError::Cancelled,
    }
}

fn text(payload: &(dyn std::any::Any + Send)) -> String {
    match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "it says nothing".to_owned(),
    }
}
