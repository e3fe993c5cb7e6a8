//! The pool under a model checker: every interleaving of those who submit, the pool's threads, their expiry and the
//! drain. The same code as in production runs over loom's lock, bells and threads.
//!
//! A thread that is left behind, or a job that nobody comes for, is a deadlock, which the checker reports.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use dataflow_core::pool::{PoolLimits, Refusal};
use loom::sync::{Condvar, Mutex, MutexGuard, Notify};
use loom::thread;

use crate::pool::job::JobResult;
use crate::pool::machinery::Machinery;
use crate::pool::shared::{Shared, Taken};

/// Loom's lock, bells and threads.
#[derive(Debug, Clone, Copy)]
struct Modelled {
    /// Whether every wait that may end by itself does so at once. Else none does.
    expires: bool,
    /// Whether bells ring. A model in which they do not must fail.
    rings: bool,
}

const SOUND: Modelled = Modelled {
    expires: false,
    rings: true,
};

const EXPIRING: Modelled = Modelled {
    expires: true,
    ..SOUND
};

impl Machinery for Modelled {
    type Lock<T: Send + 'static> = Mutex<T>;
    type Guard<'a, T: Send + 'static> = MutexGuard<'a, T>;
    type Bell = Condvar;

    fn lock_of<T: Send + 'static>(&self, value: T) -> Mutex<T> {
        Mutex::new(value)
    }

    fn lock<'a, T: Send + 'static>(&self, lock: &'a Mutex<T>) -> MutexGuard<'a, T> {
        lock.lock().unwrap()
    }

    fn bell(&self) -> Condvar {
        Condvar::new()
    }

    fn ring(&self, bell: &Condvar) {
        if self.rings {
            bell.notify_one();
        }
    }

    fn wait<'a, T: Send + 'static>(
        &self,
        bell: &Condvar,
        lock: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        at_most: Option<Duration>,
    ) -> (MutexGuard<'a, T>, bool) {
        if at_most.is_some() && self.expires {
            // Between the end of the wait and the lock, anybody may do anything.
            drop(guard);
            (lock.lock().unwrap(), true)
        } else {
            (bell.wait(guard).unwrap(), false)
        }
    }

    fn start(&self, _name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        thread::spawn(body);
        Ok(())
    }

    fn call_this_thread(&self, _name: &str) {}
}

type Model = Arc<Shared<Modelled>>;

fn pool(machinery: Modelled, core: usize, max: usize, queue_max: usize) -> Model {
    let limits = PoolLimits {
        core,
        max,
        queue_max,
    };
    Shared::new(machinery, "model", Duration::from_secs(1), limits)
}

/// Opens once, for all.
#[derive(Clone)]
struct Gate(Arc<(AtomicBool, Notify)>);

impl Gate {
    fn new() -> Self {
        Gate(Arc::new((AtomicBool::new(false), Notify::new())))
    }

    fn open(&self) {
        self.0.0.store(true, Ordering::SeqCst);
        self.0.1.notify();
    }

    fn pass(&self) {
        while !self.0.0.load(Ordering::SeqCst) {
            self.0.1.wait();
        }
    }
}

struct Wakes(Gate);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.open();
    }
}

/// Waits for a future, in a thread of the model.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        let gate = Gate::new();
        let waker = Waker::from(Arc::new(Wakes(gate.clone())));
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => gate.pass(),
        }
    }
}

/// Closes the pool and waits until its threads have left.
fn drain(pool: &Model) {
    pool.close();
    block_on(std::future::poll_fn(|context| {
        pool.poll_drained(context.waker())
    }));
    let statistics = pool.look(dataflow_core::pool::Roster::statistics);
    assert_eq!((statistics.threads(), statistics.queued), (0, 0));
}

fn submit<T: Send + 'static>(
    pool: &Model,
    job: impl FnOnce() -> T + Send + 'static,
) -> (Taken, JobResult<T>) {
    pool.submit("job", job)
        .unwrap_or_else(|(why, _)| panic!("refused: {why:?}"))
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    loom::model::Builder::new().check(model);
}

/// Every interleaving with at most `preemptions_max` switches away from a thread that could go on.
fn check_bounded(preemptions_max: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions_max);
    builder.check(model);
}

/// Two threads submit, at the same time, a job and the one that it waits for, to a pool whose only thread is about to
/// become idle.
fn neither_of_two_jobs_is_stranded(machinery: Modelled) {
    check_bounded(2, move || {
        let pool = pool(machinery, 1, 2, 0);
        let (_, first) = submit(&pool, || ());
        block_on(first).unwrap();
        let gate = Gate::new();
        let other = {
            let (pool, gate) = (Arc::clone(&pool), gate.clone());
            thread::spawn(move || assert_eq!(submit(&pool, move || gate.open()).0, Taken::Started))
        };
        let (taken, _) = submit(&pool, move || gate.pass());
        assert_eq!(taken, Taken::Started);
        other.join().unwrap();
        drain(&pool);
    });
}

/// A job comes while the thread that could take it gives up waiting.
fn a_job_against_expiry(machinery: Modelled) {
    check(move || {
        let pool = pool(machinery, 0, 1, 0);
        let (_, first) = submit(&pool, || 1);
        assert_eq!(block_on(first).unwrap(), 1);
        // Who has the result finds the thread free, or gone, and is never refused.
        let (taken, second) = submit(&pool, || 2);
        assert_eq!(taken, Taken::Started);
        assert_eq!(block_on(second).unwrap(), 2);
        drain(&pool);
    });
}

/// Two jobs end and their threads give up waiting, while a third comes: those that stay are as many as they should be.
fn core_stays_against_expiry(machinery: Modelled) {
    check_bounded(2, move || {
        let pool = pool(machinery, 1, 2, 0);
        let (_, first) = submit(&pool, || ());
        let (_, second) = submit(&pool, || ());
        block_on(first).unwrap();
        let (taken, third) = submit(&pool, || ());
        assert_eq!(taken, Taken::Started);
        block_on(second).unwrap();
        block_on(third).unwrap();
        let threads = pool.look(dataflow_core::pool::Roster::threads);
        assert!((1..=2).contains(&threads), "{threads} threads");
        drain(&pool);
    });
}

/// A job comes while the pool is drained: it is given back, or it is run before the last thread leaves.
fn a_job_against_drain(machinery: Modelled) {
    check_bounded(3, move || {
        let pool = pool(machinery, 1, 1, 1);
        let ran = Arc::new(AtomicUsize::new(0));
        let count = |ran: &Arc<AtomicUsize>| {
            let ran = Arc::clone(ran);
            move || ran.fetch_add(1, Ordering::SeqCst)
        };
        drop(submit(&pool, count(&ran)));
        let other = {
            let (pool, job) = (Arc::clone(&pool), count(&ran));
            thread::spawn(move || match pool.submit("late", job) {
                Ok(_) => 2,
                Err((why, _)) => {
                    assert_eq!(why, Refusal::Closed);
                    1
                }
            })
        };
        drain(&pool);
        let ran_then = ran.load(Ordering::SeqCst);
        let taken = other.join().unwrap();
        assert_eq!(ran_then, taken);
    });
}

/// A job panics while another waits for its thread.
fn a_panic_against_a_queued_job(machinery: Modelled) {
    check(move || {
        let pool = pool(machinery, 1, 1, 1);
        // Without the hook, which would print for each interleaving.
        let (_, first) = submit(&pool, || -> () { resume_unwind(Box::new(7)) });
        let (_, second) = submit(&pool, || 2);
        let panicked = block_on(first).unwrap_err();
        assert_eq!(panicked.payload.downcast_ref(), Some(&7));
        assert_eq!(block_on(second).unwrap(), 2);
        let statistics = pool.look(dataflow_core::pool::Roster::statistics);
        assert_eq!((statistics.panicked, statistics.threads_started), (1, 1));
        drain(&pool);
    });
}

/// Two threads drain the pool while a job runs, and both get to know.
fn a_drain_against_a_drain(machinery: Modelled) {
    check_bounded(3, move || {
        let pool = pool(machinery, 1, 1, 0);
        let (_, result) = submit(&pool, || 1);
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || drain(&pool))
        };
        drain(&pool);
        other.join().unwrap();
        // The result was shown before the thread left.
        assert_eq!(block_on(result).unwrap(), 1);
    });
}

#[test]
fn no_job_is_stranded() {
    neither_of_two_jobs_is_stranded(SOUND);
    neither_of_two_jobs_is_stranded(EXPIRING);
}

#[test]
fn a_job_that_comes_as_its_thread_expires_is_run() {
    a_job_against_expiry(SOUND);
    a_job_against_expiry(EXPIRING);
}

#[test]
fn as_many_threads_stay_as_should() {
    core_stays_against_expiry(EXPIRING);
}

#[test]
fn a_job_that_comes_during_a_drain_is_run_or_given_back() {
    a_job_against_drain(SOUND);
}

#[test]
fn a_job_behind_one_that_panics_is_run() {
    a_panic_against_a_queued_job(SOUND);
}

#[test]
fn all_who_drain_get_to_know() {
    a_drain_against_a_drain(SOUND);
    a_drain_against_a_drain(EXPIRING);
}

/// A model that holds whatever the code does would be worth nothing.
#[test]
fn without_the_bells_models_fail() {
    let deaf = Modelled {
        rings: false,
        ..SOUND
    };
    let models: [fn(Modelled); 2] = [a_job_against_expiry, a_drain_against_a_drain];
    for (number, model) in models.into_iter().enumerate() {
        let outcome = catch_unwind(AssertUnwindSafe(|| model(deaf)));
        assert!(outcome.is_err(), "model {number} holds without bells");
    }
}
