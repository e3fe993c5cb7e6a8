//! The pool on a system that does not start a thread whenever it is asked for one.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use dataflow_core::pool::{PoolLimits, Refusal, Roster};

use crate::pool::machinery::{Machinery, System};
use crate::pool::shared::{Shared, Taken};

/// The system's, with as many threads as there are permits.
#[derive(Clone)]
struct Scarce(Arc<AtomicUsize>);

impl Machinery for Scarce {
    type Lock<T: Send + 'static> = Mutex<T>;
    type Guard<'a, T: Send + 'static> = MutexGuard<'a, T>;
    type Bell = Condvar;

    fn lock_of<T: Send + 'static>(&self, value: T) -> Mutex<T> {
        System.lock_of(value)
    }

    fn lock<'a, T: Send + 'static>(&self, lock: &'a Mutex<T>) -> MutexGuard<'a, T> {
        System.lock(lock)
    }

    fn bell(&self) -> Condvar {
        System.bell()
    }

    fn ring(&self, bell: &Condvar) {
        System.ring(bell);
    }

    fn wait<'a, T: Send + 'static>(
        &self,
        bell: &Condvar,
        lock: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        at_most: Option<Duration>,
    ) -> (MutexGuard<'a, T>, bool) {
        System.wait(bell, lock, guard, at_most)
    }

    fn start(&self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let fewer = |permits: usize| permits.checked_sub(1);
        match self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer)
        {
            Ok(_) => System.start(name, body),
            Err(_) => Err(io::Error::from_raw_os_error(
                rustix::io::Errno::AGAIN.raw_os_error(),
            )),
        }
    }

    fn call_this_thread(&self, name: &str) {
        System.call_this_thread(name);
    }
}

/// A pool for which the system starts `permits` threads.
fn pool(permits: usize, max: usize, queue_max: usize) -> (Arc<AtomicUsize>, Arc<Shared<Scarce>>) {
    let permits = Arc::new(AtomicUsize::new(permits));
    let limits = PoolLimits {
        core: max,
        max,
        queue_max,
    };
    let scarce = Scarce(Arc::clone(&permits));
    (
        permits,
        Shared::new(scarce, "scarce", Duration::from_secs(1), limits),
    )
}

#[test]
fn without_any_thread_a_job_is_given_back() {
    let (permits, pool) = pool(0, 2, 2);
    let (why, job) = pool.submit("nobody's", || 7).err().unwrap();
    assert_eq!((why, job()), (Refusal::NoThread, 7));
    assert_eq!(pool.look(Roster::statistics).threads_not_started, 1);
    permits.store(1, Ordering::SeqCst);
    let (taken, result) = pool.submit("somebody's", || 8).ok().unwrap();
    assert_eq!(taken, Taken::Started);
    assert_eq!(result.wait().unwrap(), 8);
    pool.close();
}

#[test]
fn without_a_further_thread_a_job_is_queued_for_those_that_there_are() {
    let (_, pool) = pool(1, 2, 1);
    let (gate, hold) = channel::<()>();
    let (_, first) = pool
        .submit("first", move || hold.recv().is_err())
        .ok()
        .unwrap();
    let (taken, second) = pool.submit("second", || 2).ok().unwrap();
    assert_eq!(taken, Taken::Queued(1));
    let (why, _) = pool.submit("third", || ()).err().unwrap();
    assert_eq!(why, Refusal::Full);
    drop(gate);
    assert!(first.wait().unwrap());
    assert_eq!(second.wait().unwrap(), 2);
    pool.close();
}

#[test]
fn who_was_queued_for_want_of_a_thread_gets_one_as_soon_as_it_is_seen_that_there_may_be_more() {
    let (permits, pool) = pool(1, 3, 1);
    let (gate, hold) = channel::<()>();
    let (_, first) = pool
        .submit("first", move || hold.recv().is_err())
        .ok()
        .unwrap();
    // Opens the gate of the first, so it must not wait for its thread.
    let (taken, second) = pool.submit("second", move || drop(gate)).ok().unwrap();
    assert_eq!(taken, Taken::Queued(1));
    permits.store(2, Ordering::SeqCst);
    let (taken, third) = pool.submit("third", || 3).ok().unwrap();
    assert_eq!(taken, Taken::Started);
    second.wait().unwrap();
    assert!(first.wait().unwrap());
    assert_eq!(third.wait().unwrap(), 3);
    assert_eq!(pool.look(Roster::statistics).threads_started, 3);
    pool.close();
}
