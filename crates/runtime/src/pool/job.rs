//! A job, and its result, which needs no runtime to be waited for.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dataflow_core::pool::JobEnd;

use super::error::JobPanicked;
use super::waiting::{block_on, block_on_for};

/// What a thread of the pool runs. It does not panic.
pub(super) type Job = Box<dyn FnOnce() -> Ran + Send>;

/// A job has run. Its result is there, and is shown only after its thread is accounted for: so who has a result finds
/// the thread free again.
pub(super) struct Ran {
    pub(super) end: JobEnd,
    pub(super) result: Arc<dyn Show>,
}

/// A result that is there and can be shown.
pub(super) trait Show: Send + Sync {
    fn show(&self);
}

/// What becomes of a job: a future that needs no runtime, and for threads [`wait`](JobResult::wait). Dropping it does
/// not end the job.
#[must_use = "the job's result, and whether it panicked"]
pub struct JobResult<T>(Arc<Slot<T>>);

/// Where the job leaves its result.
struct Slot<T>(Mutex<State<T>>);

struct State<T> {
    result: Option<Result<T, JobPanicked>>,
    is_shown: bool,
    /// Nobody wants the result.
    is_dropped: bool,
    waker: Option<Waker>,
}

/// What the pool runs for `job`, and where its result will be.
pub(super) fn prepare<T: Send + 'static>(
    name: &Arc<str>,
    job: impl FnOnce() -> T + Send + 'static,
) -> (Job, JobResult<T>) {
    let slot = Arc::new(Slot(Mutex::new(State {
        result: None,
        is_shown: false,
        is_dropped: false,
        waker: None,
    })));
    let result = JobResult(Arc::clone(&slot));
    let name = Arc::clone(name);
    let job = move || {
        let result = catch_unwind(AssertUnwindSafe(job));
        let end = match &result {
            Ok(_) => JobEnd::Completed,
            Err(_) => JobEnd::Panicked,
        };
        slot.leave(result.map_err(|payload| JobPanicked { job: name, payload }));
        let result: Arc<dyn Show> = slot;
        Ran { end, result }
    };
    (Box::new(job), result)
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the result there. If nobody wants it, it goes here and now: its drop is a part of the job, which may block
    /// or panic.
    fn leave(&self, result: Result<T, JobPanicked>) {
        let mut state = self.lock();
        if state.is_dropped {
            drop(state);
            drop_quietly(result);
        } else {
            state.result = Some(result);
        }
    }
}

/// Drops a thing whose drop may panic, and what that panics with, and so on.
fn drop_quietly<T>(thing: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(thing)))
        && let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic)))
    {
        // Somebody plays games: it costs memory, and no thread.
        std::mem::forget(another);
    }
}

impl<T: Send> Show for Slot<T> {
    fn show(&self) {
        let mut state = self.lock();
        state.is_shown = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            // A waker comes from whoever waits.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                drop_quietly(panic);
            }
        }
    }
}

impl<T> JobResult<T> {
    /// Waits until the job has ended, and blocks the calling thread meanwhile.
    ///
    /// # Errors
    ///
    /// The job has panicked.
    pub fn wait(self) -> Result<T, JobPanicked> {
        block_on(self)
    }

    /// The same, for `at_most` so long.
    ///
    /// # Errors
    ///
    /// Itself, when the job has not ended by then.
    pub fn wait_for(mut self, at_most: Duration) -> Result<Result<T, JobPanicked>, Self> {
        block_on_for(&mut self, at_most).ok_or(self)
    }
}

impl<T> Future for JobResult<T> {
    type Output = Result<T, JobPanicked>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        if state.is_shown
            && let Some(result) = state.result.take()
        {
            return Poll::Ready(result);
        }
        let known = state
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(context.waker()));
        if !known {
            state.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl<T> Drop for JobResult<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_dropped = true;
        let left = (state.result.take(), state.waker.take());
        // Here, and not where the pool's thread would be held up by it.
        drop(state);
        drop(left);
    }
}

impl<T> fmt::Debug for JobResult<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_there = self.0.lock().is_shown;
        f.debug_struct("JobResult")
            .field("is_there", &is_there)
            .finish_non_exhaustive()
    }
}
