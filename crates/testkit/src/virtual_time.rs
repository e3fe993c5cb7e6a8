//! One thread whose clock stands still: it moves when somebody waits and nothing else can run.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::System;
use tokio::runtime::Builder;
use tokio::sync::Notify;

/// How often in a row nothing can run before everything is said to have run: what the kernel wakes is only looked for
/// when nothing else can run.
const IDLE_ROUNDS: u32 = 3;

thread_local! {
    static IDLE: RefCell<Option<Arc<Notify>>> = const { RefCell::new(None) };
}

/// Runs a future in an actix system of its own on this thread, with tokio's clock paused.
///
/// # Panics
/// When the system has no descriptors left for an event loop.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let idle = Arc::new(Notify::new());
    let on_idle = Arc::clone(&idle);
    let system = System::with_tokio_rt(move || {
        Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .on_thread_park(move || on_idle.notify_waiters())
            .build()
            .expect("an event loop needs two descriptors: raise the limit with `ulimit -n`")
    });
    let before = IDLE.replace(Some(idle));
    let result = system.block_on(future);
    IDLE.set(before);
    result
}

/// Moves the clock, and lets everything happen that is due until then, in its order.
pub async fn advance(time: Duration) {
    tokio::time::sleep(time).await;
    settle().await;
}

/// Waits until nothing can run any more before the clock moves. The clock does not move.
///
/// # Panics
/// Outside of [`run`].
pub async fn settle() {
    let idle = IDLE.with_borrow(|idle| idle.clone().expect("a thread of `virtual_time::run`"));
    for _ in 0..IDLE_ROUNDS {
        idle.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn settling_lets_a_long_chain_of_tasks_run_and_moves_no_clock() {
        run(async {
            let began = Instant::now();
            let steps = Rc::new(Cell::new(0));
            let chain = Rc::clone(&steps);
            actix_rt::spawn(async move {
                for _ in 0..10_000 {
                    tokio::task::yield_now().await;
                    chain.set(chain.get() + 1);
                }
                let inner = Rc::clone(&chain);
                actix_rt::spawn(async move { inner.set(inner.get() + 1) });
                tokio::time::sleep(Duration::from_millis(1)).await;
                chain.set(0);
            });
            settle().await;
            assert_eq!(steps.get(), 10_001);
            assert_eq!(began.elapsed(), Duration::ZERO);
            advance(Duration::from_millis(2)).await;
            assert_eq!(steps.get(), 0);
        });
    }

    #[test]
    fn what_is_due_at_the_same_moment_has_happened_after_an_advance() {
        run(async {
            let is_done = Rc::new(Cell::new(false));
            let done = Rc::clone(&is_done);
            actix_rt::spawn(async move {
                tokio::time::sleep(Duration::from_secs(3)).await;
                done.set(true);
            });
            advance(Duration::from_secs(3)).await;
            assert!(is_done.get());
        });
    }
}
