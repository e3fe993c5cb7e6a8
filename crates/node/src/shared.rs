//! What a node's control thread and its user's threads have in common.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use dataflow_ids::{DataflowName, Epoch, NodeId};
use dataflow_shm::{EventFd, ForkGuard, ReceivedSegments};
use dataflow_wire::frame;
use dataflow_wire::node::ToRuntime;

use crate::activity::Activity;
use crate::error::RecvError;
use crate::stop::Stop;
use crate::time::Time;

/// Shared by all threads of one node.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The dataflow's name.
    pub(crate) dataflow: DataflowName,
    /// This node's name.
    pub(crate) node: NodeId,
    /// This incarnation.
    pub(crate) epoch: Epoch,
    /// Tells this process from one forked from it, which has none of its mappings.
    pub(crate) fork_guard: ForkGuard,
    /// Read by the control thread alone; written under `writing`.
    pub(crate) socket: OwnedFd,
    /// Frames go out whole: held for one frame, never while anything else is waited for.
    writing: Mutex<()>,
    /// The segments of this node's senders.
    pub(crate) segments: ReceivedSegments,
    /// The time of timers and timeouts.
    pub(crate) time: Time,
    /// What `Stop` has asked for.
    pub(crate) stop: Stop,
    /// When the user's code last called.
    pub(crate) activity: Activity,
    /// Wakes whoever receives.
    pub(crate) receive_wake: EventFd,
    /// Wakes whoever sends.
    pub(crate) send_wake: EventFd,
    /// Wakes the control thread.
    pub(crate) control_wake: EventFd,
    /// A future that waits for an event; the control thread watches on its behalf.
    async_wait: Mutex<Option<AsyncWait>>,
    ready_said: AtomicBool,
    running_said: AtomicBool,
    runtime_gone: AtomicBool,
    receiver_closed: AtomicBool,
}

/// A future that waits for an event.
#[derive(Debug)]
pub(crate) struct AsyncWait {
    pub(crate) waker: Waker,
    /// When a timer is due, if the node has one that ticks by itself.
    pub(crate) until: Option<Instant>,
}

/// The parts that a [`Shared`] is made of.
pub(crate) struct SharedParts {
    pub(crate) dataflow: DataflowName,
    pub(crate) node: NodeId,
    pub(crate) epoch: Epoch,
    pub(crate) fork_guard: ForkGuard,
    pub(crate) socket: OwnedFd,
    pub(crate) segments: ReceivedSegments,
    pub(crate) time: Time,
    pub(crate) receive_wake: EventFd,
    pub(crate) send_wake: EventFd,
    pub(crate) control_wake: EventFd,
}

impl Shared {
    pub(crate) fn new(parts: SharedParts) -> Shared {
        Shared {
            dataflow: parts.dataflow,
            node: parts.node,
            epoch: parts.epoch,
            fork_guard: parts.fork_guard,
            socket: parts.socket,
            writing: Mutex::new(()),
            segments: parts.segments,
            time: parts.time,
            stop: Stop::default(),
            activity: Activity::new(),
            receive_wake: parts.receive_wake,
            send_wake: parts.send_wake,
            control_wake: parts.control_wake,
            async_wait: Mutex::new(None),
            ready_said: AtomicBool::new(false),
            running_said: AtomicBool::new(false),
            runtime_gone: AtomicBool::new(false),
            receiver_closed: AtomicBool::new(false),
        }
    }

    /// Tells the runtime something. A process forked from the node's has no part in the conversation, and the
    /// lock may be held there for ever.
    pub(crate) fn tell(
        &self,
        message: &ToRuntime,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), frame::SendError> {
        if !self.fork_guard.holds() {
            return Err(frame::SendError::Closed);
        }
        let _whole = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        frame::send(self.socket.as_fd(), message, descriptors)
    }

    /// Tells the runtime something that needs no answer. A socket that cannot be written to has ended, which
    /// the control thread sees and acts upon.
    pub(crate) fn note(&self, message: &ToRuntime) {
        let _ = self.tell(message, &[]);
    }

    /// Says `Ready`, once.
    pub(crate) fn say_ready(&self) {
        if !self.ready_said.load(Ordering::Relaxed)
            && !self.ready_said.swap(true, Ordering::Relaxed)
        {
            self.note(&ToRuntime::Ready);
        }
    }

    /// Says `Running`, once: a message was delivered or sent.
    pub(crate) fn say_running(&self) {
        if !self.running_said.load(Ordering::Relaxed)
            && !self.running_said.swap(true, Ordering::Relaxed)
        {
            self.note(&ToRuntime::Running);
        }
    }

    /// Says `StopDelivered`, once.
    pub(crate) fn say_stop_delivered(&self) {
        if self.stop.deliver() {
            self.note(&ToRuntime::StopDelivered);
        }
    }

    /// Whether the socket to the runtime has ended.
    pub(crate) fn is_runtime_gone(&self) -> bool {
        self.runtime_gone.load(Ordering::Acquire)
    }

    /// Notes that the socket has ended.
    pub(crate) fn set_runtime_gone(&self) {
        self.runtime_gone.store(true, Ordering::Release);
    }

    /// Ends the receiving half, whoever has it.
    pub(crate) fn set_receiver_closed(&self) {
        self.receiver_closed.store(true, Ordering::Release);
    }

    /// Whether a receive may wait: not beyond the end of the runtime, nor after the half was closed.
    pub(crate) fn may_receive(&self) -> Result<(), RecvError> {
        if self.receiver_closed.load(Ordering::Acquire) {
            return Err(RecvError::Closed);
        }
        if self.is_runtime_gone() {
            return Err(RecvError::RuntimeGone);
        }
        Ok(())
    }

    /// Wakes every user's thread and future that waits, to look again.
    pub(crate) fn wake_users(&self) {
        self.wake_receiver();
        self.send_wake.notify();
    }

    /// Wakes whoever waits for an event.
    pub(crate) fn wake_receiver(&self) {
        self.receive_wake.notify();
        self.wake_future();
    }

    /// Says which future waits for an event.
    pub(crate) fn set_async_wait(&self, waiting: Option<AsyncWait>) {
        *self.lock_async_wait() = waiting;
    }

    /// If a future waits: when a timer of it is due, if any.
    pub(crate) fn async_wait_until(&self) -> Option<Option<Instant>> {
        Some(self.lock_async_wait().as_ref()?.until)
    }

    fn lock_async_wait(&self) -> MutexGuard<'_, Option<AsyncWait>> {
        self.async_wait
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the future that waits for an event, if one does.
    pub(crate) fn wake_future(&self) {
        let waiting = self.lock_async_wait().take();
        if let Some(waiting) = waiting {
            waiting.waker.wake();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    /// The parts of a node, and the runtime's end of its socket.
    pub(crate) fn parts(fork_guard: ForkGuard) -> (SharedParts, OwnedFd) {
        let (theirs, ours) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let control_wake = EventFd::new().unwrap();
        let parts = SharedParts {
            dataflow: DataflowName::new("test").unwrap(),
            node: NodeId::new("node").unwrap(),
            epoch: Epoch(1),
            fork_guard,
            socket: ours,
            segments: ReceivedSegments::new(control_wake.try_clone().unwrap()),
            time: Time::Machine,
            receive_wake: EventFd::new().unwrap(),
            send_wake: EventFd::new().unwrap(),
            control_wake,
        };
        (parts, theirs)
    }

    #[test]
    fn a_forked_child_says_nothing_and_waits_for_no_lock() {
        let (parts, theirs) = parts(ForkGuard::elsewhere().unwrap());
        let shared = Shared::new(parts);
        // A thread of the parent had it at the fork.
        let _writing = shared.writing.lock().unwrap();
        shared.say_ready();
        shared.say_running();
        shared.say_stop_delivered();
        rustix::net::shutdown(&shared.socket, rustix::net::Shutdown::Both).unwrap();
        assert_eq!(rustix::io::read(&theirs, &mut [0; 8]), Ok(0));
    }
}
