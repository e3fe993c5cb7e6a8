//! The runtime's side of a process that is none.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use dataflow_core::lifecycle::Exit;
use dataflow_runtime::process::{
    CONTROL_QUEUE_BYTES_MAX, Control, ControlError, Frame, LocalFuture, Process, WatchError,
};
use dataflow_wire::frame::{EnqueueError, FRAME_DESCRIPTORS_MAX, encode_frame};
use dataflow_wire::node::ToNode;
use rustix::process::Signal;

use super::conversation::{Conversation, Told};
use super::process::FakeProcess;
use super::state::State;

/// What the buffer of a socket takes before anything is queued, in bytes: Linux's default.
const SOCKET_BYTES: usize = 208 * 1024;

/// The conversation, as the runtime has it.
pub(super) struct FakeControl(pub(super) Rc<Conversation>);

impl Control for FakeControl {
    fn next(&self) -> LocalFuture<'_, Result<Option<Frame>, ControlError>> {
        Box::pin(async {
            loop {
                let said = self.0.said.notified();
                if let Some(next) = self.0.next_said() {
                    return Ok(Some(next?));
                }
                if self.0.is_at_end() {
                    return Ok(None);
                }
                said.await;
            }
        })
    }

    fn next_there(&self) -> Result<Option<Frame>, ControlError> {
        Ok(self.0.next_said().transpose()?)
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
        self.0.tell(Told {
            frame: frame.clone(),
            descriptors,
            bytes,
        });
        Ok(())
    }

    fn write_queued(&self) -> LocalFuture<'_, ()> {
        // What is queued is there for the process; nothing has to be carried to it.
        Box::pin(std::future::pending())
    }

    fn queued_bytes(&self) -> usize {
        self.0.untold_bytes().saturating_sub(SOCKET_BYTES)
    }

    fn finish(&self) {
        self.0.finish();
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
                if self.0.discard() {
                    return;
                }
                said.await;
            }
        })
    }
}

/// The process, as the runtime has it.
pub(super) struct Handle {
    state: Rc<State>,
    /// The process that speaks, when it is another one than the one that was started.
    speaker: RefCell<Option<FakeProcess>>,
}

impl Handle {
    pub(super) fn new(state: Rc<State>) -> Handle {
        Handle {
            state,
            speaker: RefCell::new(None),
        }
    }
}

impl Process for Handle {
    fn ended(&self) -> LocalFuture<'_, ()> {
        Box::pin(self.state.ended())
    }

    fn speaks(&self, pid: u32) -> Result<(), WatchError> {
        let family = self.state.family.upgrade();
        let found = family.and_then(|family| family.speaker(pid, &self.state));
        *self.speaker.borrow_mut() = found.filter(|found| found.pid() != self.state.pid);
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        if self.state.is_reaped.get() {
            return;
        }
        let group = self.state.pid;
        match self.state.family.upgrade() {
            Some(family) => family.signal_group(group, signal),
            None => self.state.signal(signal),
        }
        let speaker = self.speaker.borrow().clone();
        if let Some(speaker) = speaker.filter(|it| it.state.group.get() != group) {
            speaker.signal(signal);
        }
    }

    fn rest_ended(&self) -> LocalFuture<'_, ()> {
        let speaker = self.speaker.borrow().clone();
        Box::pin(async move {
            if let Some(speaker) = speaker {
                speaker.ended().await;
            }
        })
    }

    fn reap(&self) -> Exit {
        let exit = self.state.exit.get();
        let exit = exit
            .expect("reaped before its end: a real process would be waited for without a limit");
        self.state.is_reaped.set(true);
        exit
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // As the real launcher does: a process that nobody watches must not live on.
        self.signal(Signal::KILL);
        self.state.is_reaped.set(true);
    }
}
