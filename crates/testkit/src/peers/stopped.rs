//! A task that can be stopped for a while, as SIGSTOP stops a thread: it goes on where it was.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Stops a [`Stoppable`], and lets it go on. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct StopSwitch {
    is_stopped: Rc<Cell<bool>>,
    waker: Rc<RefCell<Option<Waker>>>,
}

impl StopSwitch {
    /// It does nothing from now on.
    pub fn stop(&self) {
        self.is_stopped.set(true);
    }

    /// It goes on.
    pub fn go_on(&self) {
        self.is_stopped.set(false);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// A future that does nothing while it is stopped.
#[derive(Debug)]
pub struct Stoppable<F> {
    future: Pin<Box<F>>,
    switch: StopSwitch,
}

impl<F: Future> Stoppable<F> {
    /// A future that this switch stops.
    pub fn new(future: F, switch: StopSwitch) -> Stoppable<F> {
        let future = Box::pin(future);
        Stoppable { future, switch }
    }
}

impl<F: Future> Future for Stoppable<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.switch.is_stopped.get() {
            *self.switch.waker.borrow_mut() = Some(context.waker().clone());
            return Poll::Pending;
        }
        self.future.as_mut().poll(context)
    }
}
