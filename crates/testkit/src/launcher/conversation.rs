//! A conversation in memory: what a socketpair is between the runtime and every process that has its other end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use dataflow_runtime::process::Frame;
use dataflow_wire::frame::FrameError;
use dataflow_wire::node::ToNode;
use tokio::sync::Notify;

/// What a process has said.
#[derive(Debug)]
pub(super) enum Said {
    Frame(Frame),
    /// Bytes that are no frame.
    Nonsense(FrameError),
}

/// A frame on its way to a process.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) frame: ToNode,
    pub(super) descriptors: Vec<OwnedFd>,
    pub(super) bytes: usize,
}

/// The conversation between the runtime and a node.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    to_node: RefCell<VecDeque<Told>>,
    to_node_bytes: Cell<usize>,
    to_runtime: RefCell<VecDeque<Said>>,
    /// The runtime says nothing more.
    is_finished: Cell<bool>,
    /// How many processes have its other end.
    holders: Cell<usize>,
    /// For the node's side: a frame, or the runtime's last word.
    pub(super) told: Notify,
    /// For the runtime's side: a frame, or the end.
    pub(super) said: Notify,
}

impl Conversation {
    /// One more process has the node's end.
    pub(super) fn hold(&self) {
        self.holders.set(self.holders.get() + 1);
    }

    /// One process less has it. With the last one, it ends.
    pub(super) fn let_go(&self) {
        self.holders.set(self.holders.get().saturating_sub(1));
        if self.is_hung_up() {
            self.to_node.borrow_mut().clear();
            self.to_node_bytes.set(0);
            self.said.notify_waiters();
            self.told.notify_waiters();
        }
    }

    /// Whether no process has the node's end any more.
    pub(super) fn is_hung_up(&self) -> bool {
        self.holders.get() == 0
    }

    /// Whether nothing more comes from the node, and all of it was heard.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_hung_up() && self.to_runtime.borrow().is_empty()
    }

    /// The node says something.
    pub(super) fn say(&self, said: Said) {
        self.to_runtime.borrow_mut().push_back(said);
        self.said.notify_waiters();
    }

    /// What the node has said next.
    pub(super) fn next_said(&self) -> Option<Result<Frame, FrameError>> {
        let mut said = self.to_runtime.borrow_mut();
        let next = match said.pop_front()? {
            Said::Frame(frame) => Ok(frame),
            // The stream cannot be read on.
            Said::Nonsense(error) => {
                said.clear();
                Err(error)
            }
        };
        if said.is_empty() {
            // Whoever waits for the end looks again.
            self.said.notify_waiters();
        }
        Some(next)
    }

    /// Forgets what the node has said so far. Gives whether nothing more will come.
    pub(super) fn discard(&self) -> bool {
        self.to_runtime.borrow_mut().clear();
        if self.is_hung_up() {
            self.said.notify_waiters();
        }
        self.is_hung_up()
    }

    /// The runtime says something. Nobody may be there to hear it.
    pub(super) fn tell(&self, told: Told) {
        if !self.is_finished.get() && !self.is_hung_up() {
            self.to_node_bytes.set(self.untold_bytes() + told.bytes);
            self.to_node.borrow_mut().push_back(told);
            self.told.notify_waiters();
        }
    }

    /// What the runtime has said next.
    pub(super) fn next_told(&self) -> Option<Told> {
        let told = self.to_node.borrow_mut().pop_front()?;
        self.to_node_bytes.set(self.untold_bytes() - told.bytes);
        Some(told)
    }

    /// How much the node has not heard, in bytes.
    pub(super) fn untold_bytes(&self) -> usize {
        self.to_node_bytes.get()
    }

    /// The runtime says nothing more.
    pub(super) fn finish(&self) {
        self.is_finished.set(true);
        self.told.notify_waiters();
    }

    /// Whether the runtime says nothing more, and all of it was heard.
    pub(super) fn is_told(&self) -> bool {
        self.is_finished.get() && self.to_node.borrow().is_empty()
    }
}
