//! The thread on which statistics are looked at: whatever is done there delays no control loop.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use std::{io, thread};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::env::spawn_guarded;

/// What the thread is called.
const THREAD: &str = "dataflow-stats";
/// After this, what has panicked begins anew.
const ANEW_AFTER: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 1 });

/// Makes, on the thread, what runs there.
type Order = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// The thread of a process on which statistics are looked at, with an event loop of its own. Dropping it ends all that
/// runs there, and waits for nobody.
#[derive(Debug)]
pub(crate) struct StatisticsThread {
    orders: UnboundedSender<Order>,
}

impl StatisticsThread {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system gives none.
    pub(crate) fn start() -> io::Result<StatisticsThread> {
        let (orders, received) = unbounded_channel();
        let serve = move || actix_rt::System::new().block_on(serve(received));
        thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(serve)?;
        Ok(StatisticsThread { orders })
    }

    /// Runs a future on the thread, until it is over or the thread ends. `make` makes it there, inside of a tokio
    /// runtime. A panic of either is logged with this name, and ends nothing else.
    pub(crate) fn run<F: Future<Output = ()> + 'static>(
        &self,
        name: &'static str,
        make: impl FnOnce() -> F + Send + 'static,
    ) {
        let order: Order = Box::new(move || {
            Box::pin(async move {
                let run = async move { make().await };
                spawn_guarded(run, move |what| {
                    tracing::error!(name, %what, "task of statistics panicked");
                })
                .detach();
            })
        });
        // The thread ends after this.
        let _ = self.orders.send(order);
    }

    /// As [`StatisticsThread::run`], for what goes on again after a panic: what it is to know then is kept outside of it.
    pub(crate) fn keep<F: Future<Output = ()> + 'static>(
        &self,
        name: &'static str,
        make: impl Fn() -> F + Send + 'static,
    ) {
        self.run(name, move || StatisticsThread::keep_here(name, make));
    }

    /// Runs on the current thread, which is that of statistics, what `make` makes until it is over. After a panic it is
    /// made again.
    pub(crate) async fn keep_here<F: Future<Output = ()> + 'static>(
        name: &'static str,
        make: impl Fn() -> F,
    ) {
        loop {
            let (ends, end) = oneshot::channel();
            let made = make();
            let run = async move {
                made.await;
                // Whoever waits is here.
                let _ = ends.send(());
            };
            let _task = spawn_guarded(run, move |what| {
                tracing::error!(name, %what, "task of statistics panicked, and begins anew");
            });
            // A panic drops what it would have said.
            if end.await.is_ok() {
                return;
            }
            tokio::time::sleep(ANEW_AFTER).await;
        }
    }
}

/// Begins what is ordered, until nobody orders any more.
async fn serve(mut orders: UnboundedReceiver<Order>) {
    while let Some(order) = orders.recv().await {
        order().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_panic_on_the_thread_ends_nothing_else_there_and_its_end_ends_all() {
        let thread = StatisticsThread::start().unwrap();
        let (said, heard) = mpsc::channel();
        let goes_on = said.clone();
        thread.run("goes on", move || async move {
            let _held = goes_on;
            std::future::pending().await
        });
        thread.run("panics", || async { panic!("on purpose") });
        thread.run("panics before", || {
            if true {
                panic!("on purpose");
            }
            async {}
        });
        thread.run("comes after", move || async move {
            let name = std::thread::current().name().map(str::to_owned);
            said.send(name).unwrap();
        });
        assert_eq!(heard.recv().unwrap().as_deref(), Some(THREAD));
        assert_eq!(heard.try_recv(), Err(mpsc::TryRecvError::Empty));
        drop(thread);
        assert_eq!(heard.recv(), Err(mpsc::RecvError));
    }

    #[test]
    fn what_is_kept_goes_on_after_a_panic() {
        let thread = StatisticsThread::start().unwrap();
        let (said, heard) = mpsc::channel();
        thread.keep("panics twice", {
            let times = std::cell::Cell::new(0);
            move || {
                let (said, time) = (said.clone(), times.replace(times.get() + 1));
                async move {
                    said.send(time).unwrap();
                    assert!(time >= 2, "on purpose");
                }
            }
        });
        assert_eq!(heard.iter().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
