//! The next event, as a future: under any executor, and without holding a thread.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Polled, Receiver};
use crate::activity::WaitsFor;
use crate::error::RecvError;
use crate::event::Event;
use crate::shared::AsyncWait;

/// The next event, as a future.
pub(super) struct NextEvent<'a> {
    receiver: &'a mut Receiver,
    /// Whether the edges think that this node sleeps, and the control thread watches on its behalf.
    waits: bool,
}

impl<'a> NextEvent<'a> {
    pub(super) fn new(receiver: &'a mut Receiver) -> NextEvent<'a> {
        NextEvent {
            receiver,
            waits: false,
        }
    }

    fn stop_waiting(&mut self) {
        // A forked child has this value too, and neither the edges nor anybody who would unlock.
        if std::mem::take(&mut self.waits) && self.receiver.shared.fork_guard.holds() {
            self.receiver.shared.set_async_wait(None);
            self.receiver.finish_sleep();
            self.receiver.shared.activity.end_waiting(WaitsFor::Event);
        }
    }
}

impl Future for NextEvent<'_> {
    type Output = Result<Option<Event>, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.stop_waiting();
        let receiver = &mut *self.receiver;
        receiver.begin()?;
        loop {
            // Forgotten before the look, so that a wake-up after it is not.
            receiver.shared.receive_wake.drain();
            match receiver.look() {
                Polled::Event(event) => return Poll::Ready(Ok(Some(event))),
                Polled::Ended => return Poll::Ready(Ok(None)),
                Polled::Nothing => {}
            }
            if receiver.prepare_sleep() {
                break;
            }
        }
        receiver.shared.set_async_wait(Some(AsyncWait {
            waker: context.waker().clone(),
            until: receiver.shared.time.alarm(receiver.next_tick()),
        }));
        // From now on the control thread watches the wake-up.
        receiver.shared.control_wake.notify();
        self.waits = true;
        self.receiver.shared.activity.begin_waiting(WaitsFor::Event);
        if let Err(error) = self.receiver.shared.may_receive() {
            self.stop_waiting();
            return Poll::Ready(Err(error));
        }
        Poll::Pending
    }
}

impl Drop for NextEvent<'_> {
    /// Who gave up waiting works on something else: nobody should think that this node sleeps.
    fn drop(&mut self) {
        self.stop_waiting();
    }
}
