//! The pool on the system's threads.

use std::future::Future;
use std::panic::panic_any;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Waker};
use std::time::Duration;

use crate::pool::{JobResult, Pool, PoolError, PoolSettings, Refusal, Start};

/// Nothing that a test waits for takes longer.
const AT_MOST: Duration = Duration::from_secs(30);

fn settings(core: usize, max: usize, queue_max: usize) -> PoolSettings {
    PoolSettings {
        name: "testing",
        core,
        max,
        keep_alive: AT_MOST,
        queue_max,
    }
}

fn pool(core: usize, max: usize, queue_max: usize) -> Pool {
    Pool::new(settings(core, max, queue_max)).unwrap()
}

fn done<T>(result: JobResult<T>) -> T {
    result.wait_for(AT_MOST).expect("the job ended").unwrap()
}

/// A job that runs until the sender is used or dropped.
fn blocked() -> (Sender<()>, impl FnOnce() + Send + 'static) {
    let (sender, receiver): (_, Receiver<()>) = channel();
    (sender, move || {
        let _ = receiver.recv();
    })
}

/// The rule's reason: a pool that prefers its queue to new threads leaves job 2 there for ever.
#[test]
fn of_1000_jobs_behind_one_that_waits_for_them_none_is_stranded() {
    for _ in 0..1_000 {
        let pool = pool(1, 2, 10);
        let (release, first) = blocked();
        let first = pool.submit("waits for the second", first).unwrap();
        assert_eq!(first.how, Start::Started);
        let second = pool.submit("second", move || drop(release)).unwrap();
        assert_eq!(second.how, Start::Started);
        done(second.result);
        done(first.result);
    }
}

/// And a pool whose threads say only by themselves that they are busy gives the idle one to both.
#[test]
fn nor_is_one_when_both_come_at_once_for_the_only_idle_thread() {
    let pool = pool(1, 2, 10);
    done(pool.submit("leaves an idle thread", || ()).unwrap().result);
    for _ in 0..1_000 {
        let (release, first) = blocked();
        let first = pool.submit("waits for the second", first).unwrap();
        let second = pool.submit("second", move || drop(release)).unwrap();
        assert_eq!((first.how, second.how), (Start::Started, Start::Started));
        done(second.result);
        done(first.result);
    }
}

#[test]
fn a_job_is_started_queued_or_given_back() {
    let pool = pool(0, 2, 2);
    let mut gates = Vec::new();
    let mut results = Vec::new();
    for expected in [
        Start::Started,
        Start::Started,
        Start::Queued(1),
        Start::Queued(2),
    ] {
        let (gate, job) = blocked();
        let submitted = pool.submit("blocked", job).unwrap();
        assert_eq!(submitted.how, expected);
        gates.push(gate);
        results.push(submitted.result);
    }
    let refused = pool.submit("one too many", || 7).unwrap_err();
    assert_eq!(refused.why, Refusal::Full);
    assert_eq!((refused.job)(), 7);
    drop(gates);
    for result in results {
        done(result);
    }
    let statistics = pool.statistics();
    assert_eq!(
        (
            statistics.running,
            statistics.idle,
            statistics.queued,
            statistics.threads_started,
            statistics.completed,
            statistics.refused
        ),
        (0, 2, 0, 2, 4, 1)
    );
}

#[test]
fn who_has_a_result_finds_the_thread_free() {
    let pool = pool(1, 1, 0);
    for round in 0..1_000 {
        let submitted = pool.submit("again", move || round).unwrap();
        assert_eq!(done(submitted.result), round);
    }
    assert_eq!(pool.statistics().threads_started, 1);
}

#[test]
fn a_panic_comes_back_with_its_payload_and_costs_no_thread() {
    let pool = pool(1, 1, 1);
    #[derive(Debug, PartialEq)]
    struct Payload(u32);
    for round in 0..10 {
        let job = move || panic_any(Payload(round));
        let submitted = pool.submit("falls over", job).unwrap();
        let panicked = submitted.result.wait().unwrap_err();
        assert_eq!(panicked.job.as_ref(), "falls over");
        assert_eq!(
            panicked.payload.downcast_ref::<Payload>(),
            Some(&Payload(round))
        );
    }
    let text = pool
        .submit("says why", || panic!("no wind"))
        .unwrap()
        .result
        .wait()
        .unwrap_err();
    assert_eq!(text.to_string(), "the job `says why` has panicked: no wind");
    let statistics = pool.statistics();
    assert_eq!((statistics.panicked, statistics.threads_started), (11, 1));
}

/// A value or a payload that blocks or panics when it is dropped.
struct Nasty(Receiver<()>);

impl Drop for Nasty {
    fn drop(&mut self) {
        let _ = self.0.recv();
        panic!("even when dropped");
    }
}

#[test]
fn a_result_that_nobody_wants_holds_up_only_its_own_job() {
    let pool = pool(0, 2, 0);
    let (began_sender, began) = channel();
    let (gate, hold) = channel::<()>();
    let (drop_gate, drop_hold) = channel();
    let submitted = pool
        .submit("unwanted", move || {
            began_sender.send(()).unwrap();
            let _ = hold.recv();
            Nasty(drop_hold)
        })
        .unwrap();
    began.recv().unwrap();
    drop(submitted);
    drop(gate);
    // While it is dropped it counts as running: nobody is placed behind it.
    let other = pool.submit("other", || 1).unwrap();
    assert_eq!(other.how, Start::Started);
    assert_eq!(done(other.result), 1);
    drop(drop_gate);
    let draining = pool.drain();
    draining.wait(AT_MOST).unwrap();
    let statistics = pool.statistics();
    assert_eq!((statistics.completed, statistics.threads()), (2, 0));
}

#[test]
fn threads_carry_the_names_of_their_jobs() {
    let pool = pool(1, 1, 1);
    let name = || std::fs::read_to_string("/proc/thread-self/comm").unwrap();
    for (called, shown) in [
        ("hash weights", "hash weights\n"),
        ("a name of more than 15 bytes", "a name of more \n"),
        ("fourteen bytes\u{e4}", "fourteen bytes\n"),
        ("zero\0byte", "zero byte\n"),
    ] {
        assert_eq!(done(pool.submit(called, name).unwrap().result), shown);
    }
    let id = done(pool.submit("who", rustix::thread::gettid).unwrap().result);
    let comm = format!("/proc/self/task/{}/comm", id.as_raw_nonzero());
    // Its own name is back before the result is there.
    assert_eq!(std::fs::read_to_string(comm).unwrap(), "testing\n");
}

#[test]
fn a_thread_above_core_ends_after_keep_alive_and_core_stays() {
    let pool = Pool::new(PoolSettings {
        keep_alive: Duration::from_millis(1),
        ..settings(1, 3, 0)
    })
    .unwrap();
    let mut gates = Vec::new();
    let mut results = Vec::new();
    for _ in 0..3 {
        let (gate, job) = blocked();
        results.push(pool.submit("blocked", job).unwrap().result);
        gates.push(gate);
    }
    assert_eq!(pool.statistics().threads(), 3);
    drop(gates);
    results.into_iter().for_each(done);
    // Each call ends a keep_alive later at most, so this ends as soon as it is true.
    while pool.statistics().threads() > 1 {
        std::thread::yield_now();
    }
    done(pool.submit("on the one that stayed", || ()).unwrap().result);
    assert_eq!(pool.statistics().threads_started, 3);
}

#[test]
fn draining_says_who_still_runs_and_ends_with_the_last_thread() {
    let pool = pool(1, 1, 2);
    let (gate, job) = blocked();
    let first = pool.submit("hash a", job).unwrap();
    let second = pool.submit("hash b", || 2).unwrap();
    assert_eq!(second.how, Start::Queued(1));
    let mut draining = pool.drain();
    assert_eq!(draining.still_running(), ["hash a", "hash b"]);
    assert_eq!(
        pool.drain().wait(Duration::ZERO),
        Err(vec!["hash a".to_owned(), "hash b".to_owned()])
    );
    assert_eq!(
        pool.submit("too late", || ()).unwrap_err().why,
        Refusal::Closed
    );
    let mut context = Context::from_waker(Waker::noop());
    assert!(
        std::pin::Pin::new(&mut draining)
            .poll(&mut context)
            .is_pending()
    );
    drop(gate);
    draining.wait(AT_MOST).unwrap();
    // What was taken was run, and its result was there before the last thread left.
    let mut results = (first.result, second.result);
    let poll = std::pin::Pin::new(&mut results.1).poll(&mut context);
    assert!(matches!(poll, std::task::Poll::Ready(Ok(2))));
    assert_eq!(pool.statistics().threads(), 0);
    done(results.0);
}

#[test]
fn a_pool_without_handles_runs_what_it_has_taken() {
    let pool = pool(1, 1, 2);
    let (gate, job) = blocked();
    let first = pool.submit("first", job).unwrap();
    let second = pool.submit("second", || 2).unwrap();
    drop(pool);
    drop(gate);
    done(first.result);
    assert_eq!(done(second.result), 2);
}

#[tokio::test]
async fn a_result_is_a_future_for_any_runtime() {
    let pool = pool(1, 1, 2);
    let (gate, job) = blocked();
    let first = pool.submit("first", job).unwrap().result;
    let second = pool.submit("second", || 2).unwrap().result;
    let opening = async { drop(gate) };
    let (first, second, ()) = tokio::join!(first, second, opening);
    first.unwrap();
    assert_eq!(second.unwrap(), 2);
    pool.drain().await;
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    assert_eq!(
        Pool::new(settings(0, 0, 1)).unwrap_err(),
        PoolError::NoThreads { name: "testing" }
    );
    let error = Pool::new(settings(3, 2, 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the pool `testing` would keep 3 threads and may have 2: `core` must not exceed `max`"
    );
    let error = Pool::new(PoolSettings {
        name: "a\0b",
        ..settings(1, 1, 1)
    });
    assert_eq!(error.unwrap_err(), PoolError::NameWithZero { name: "a\0b" });
}
