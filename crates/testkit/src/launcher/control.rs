//! The runtime's side of a process that is none.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use dataflow_core::lifecycle::Exit;
use dataflow_runtime::process::{
    CONTROL_QUEUE_BYTES_MAX, Control, ControlError, Frame, LocalFuture, Process, WatchError,
};
use dataflow_wire::frame::{EnqueueError, FRAME_DESCRIPTORS_MAX, encode_frame};
use dataflow_wire::node::ToNode;
use rustix::process::Signal;

use super::state::{Said, State, Told};

/// What the buffer of a socket takes before anything is queued, in bytes: Linux's default.
const SOCKET_BYTES: usize = 208 * 1024;

/// The conversation, as the runtime has it.
pub(super) struct FakeControl(pub(super) Rc<State>);

impl FakeControl {
    fn next_said(&self) -> Option<Result<Frame, ControlError>> {
        let mut said = self.0.to_runtime.borrow_mut();
        let next = match said.pop_front()? {
            Said::Frame(frame) => Ok(frame),
            // The stream cannot be read on.
            Said::Nonsense(error) => {
                said.clear();
                Err(error.into())
            }
        };
        if said.is_empty() {
            // Whoever waits for the end looks again.
            self.0.said.notify_waiters();
        }
        Some(next)
    }
}

impl Control for FakeControl {
    fn next(&self) -> LocalFuture<'_, Result<Option<Frame>, ControlError>> {
        Box::pin(async {
            loop {
                let said = self.0.said.notified();
                if let Some(next) = self.next_said() {
                    return next.map(Some);
                }
                if self.0.is_at_end() {
                    return Ok(None);
                }
                said.await;
            }
        })
    }

    fn next_there(&self) -> Result<Option<Frame>, ControlError> {
        self.next_said().transpose()
    }

    fn send(&self, frame: &ToNode, descriptors: Vec<OwnedFd>) -> Result<(), EnqueueError> {
        let given = descriptors.len();
        if given > FRAME_DESCRIPTORS_MAX {
            return Err(EnqueueError::TooManyDescriptors { given });
        }
        let bytes = encode_frame(frame)?.len();
        let queued_bytes = self.queued_bytes();
        if queued_bytes.saturating_add(bytes) > CONTROL_QUEUE_BYTES_MAX {
            return Err(EnqueueError::Full {
                queued_bytes,
                bytes_max: CONTROL_QUEUE_BYTES_MAX,
            });
        }
        let state = &self.0;
        if state.is_finished.get() || state.is_hung_up.get() {
            return Ok(());
        }
        state.to_node_bytes.set(state.to_node_bytes.get() + bytes);
        state.to_node.borrow_mut().push_back(Told {
            frame: frame.clone(),
            descriptors,
            bytes,
        });
        state.told.notify_waiters();
        Ok(())
    }

    fn write_queued(&self) -> LocalFuture<'_, ()> {
        // What is queued is there for the process; nothing has to be carried to it.
        Box::pin(self.0.ended())
    }

    fn queued_bytes(&self) -> usize {
        self.0.to_node_bytes.get().saturating_sub(SOCKET_BYTES)
    }

    fn finish(&self) {
        self.0.is_finished.set(true);
        self.0.told.notify_waiters();
    }

    fn ended(&self) -> LocalFuture<'_, ()> {
        Box::pin(async {
            loop {
                let said = self.0.said.notified();
                if self.0.is_at_end() {
                    return;
                }
                said.await;
            }
        })
    }

    fn discard_rest(&self) -> LocalFuture<'_, ()> {
        Box::pin(async {
            loop {
                let said = self.0.said.notified();
                self.0.to_runtime.borrow_mut().clear();
                if self.0.is_hung_up.get() {
                    self.0.said.notify_waiters();
                    return;
                }
                said.await;
            }
        })
    }
}

/// The process, as the runtime has it.
pub(super) struct Handle(pub(super) Rc<State>);

impl Process for Handle {
    fn ended(&self) -> LocalFuture<'_, ()> {
        Box::pin(self.0.ended())
    }

    /// Nobody but the process itself can have its conversation open.
    fn speaks(&self, _pid: u32) -> Result<(), WatchError> {
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        self.0.signal(signal);
    }

    fn rest_ended(&self) -> LocalFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn reap(&self) -> Exit {
        let exit = self.0.exit.get();
        let exit = exit
            .expect("reaped before its end: a real process would be waited for without a limit");
        self.0.is_reaped.set(true);
        exit
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // As the real launcher does: a process that nobody watches must not live on.
        if !self.0.is_reaped.get() {
            self.0.signal(Signal::KILL);
            self.0.is_reaped.set(true);
        }
    }
}
