//! The process that is none, for whoever plays it.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use dataflow_core::lifecycle::Exit;
use dataflow_ids::{Epoch, NodeId, NodeIndex};
use dataflow_wire::frame::FrameError;
use dataflow_wire::node::{ToNode, ToRuntime};
use rustix::process::Signal;

use super::state::{Said, State};

/// A process without a process. Clones are the same process: a program plays it, and a test looks at it and sends it
/// signals.
///
/// As long as it stands still ([`Signal::STOP`]) its program does not run, whatever it waits for. When it has ended,
/// nothing that it does has any effect.
#[derive(Debug, Clone)]
pub struct FakeProcess {
    pub(super) state: Rc<State>,
}

impl FakeProcess {
    /// Its number, counted from [`FIRST_PID`](super::FIRST_PID).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.state.pid
    }

    /// Whose process it is.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        &self.state.node
    }

    /// The node's place in the description.
    #[must_use]
    pub fn index(&self) -> NodeIndex {
        self.state.index
    }

    /// Which incarnation it is.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.state.epoch
    }

    /// How it ended; `None` while it lives.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        self.state.exit.get()
    }

    /// Whether the runtime has taken note of its end.
    #[must_use]
    pub fn is_reaped(&self) -> bool {
        self.state.is_reaped.get()
    }

    /// Whether it was stopped by a signal and not continued.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state.is_stopped()
    }

    /// Waits for its end.
    pub async fn ended(&self) {
        self.state.ended().await;
    }

    /// Ends it. What its program would still do is not done, except up to its next `await` if it has called this
    /// itself.
    pub fn end(&self, exit: Exit) {
        self.state.end(exit);
    }

    /// Sends it a signal, as anybody on the machine might. The runtime's come the same way. One that the program does
    /// not [`catch`](FakeProcess::catch) does what it does to a process: most end it.
    pub fn signal(&self, signal: Signal) {
        self.state.signal(signal);
    }

    /// From now on this signal does nothing but wait for [`FakeProcess::next_signal`]. KILL, STOP and CONT cannot be
    /// caught.
    pub fn catch(&self, signal: Signal) {
        self.state.catch(signal);
    }

    /// The next signal of those that it catches.
    pub async fn next_signal(&self) -> Signal {
        loop {
            let told = self.state.told.notified();
            if let Some(signal) = self.signal_there() {
                return signal;
            }
            told.await;
        }
    }

    /// As [`FakeProcess::next_signal`], without waiting.
    #[must_use]
    pub fn signal_there(&self) -> Option<Signal> {
        self.state.unseen.borrow_mut().pop_front()
    }

    /// Every signal that it was sent, in order, whatever became of it.
    #[must_use]
    pub fn signals(&self) -> Vec<Signal> {
        self.state.history.borrow().clone()
    }

    /// The next frame from the runtime, with its descriptors; `None` when the runtime has ended the conversation
    /// and everything was heard.
    pub async fn next(&self) -> Option<(ToNode, Vec<OwnedFd>)> {
        loop {
            let told = self.state.told.notified();
            if let Some(frame) = self.next_there() {
                return Some(frame);
            }
            if self.is_hung_up_on() {
                return None;
            }
            told.await;
        }
    }

    /// As [`FakeProcess::next`], without waiting: `None` also when nothing is there.
    #[must_use]
    pub fn next_there(&self) -> Option<(ToNode, Vec<OwnedFd>)> {
        let state = &self.state;
        let told = state.to_node.borrow_mut().pop_front()?;
        state
            .to_node_bytes
            .set(state.to_node_bytes.get() - told.bytes);
        Some((told.frame, told.descriptors))
    }

    /// Whether the conversation has ended and everything was heard, from whichever side.
    #[must_use]
    pub fn is_hung_up_on(&self) -> bool {
        let is_over = self.state.is_finished.get() || self.state.is_hung_up.get();
        is_over && self.state.to_node.borrow().is_empty()
    }

    /// Waits until there is something new from the runtime: a frame, a signal, its last word. For programs that look
    /// with [`FakeProcess::next_there`] and the like. What came before this was awaited the first time is not told.
    pub async fn told(&self) {
        self.state.told.notified().await;
    }

    /// Says something to the runtime. Never waits.
    pub fn send(&self, frame: ToRuntime, descriptors: Vec<OwnedFd>) {
        self.say(Said::Frame((frame, descriptors)));
    }

    /// Says something to the runtime that is refused like this.
    pub fn send_nonsense(&self, refused: FrameError) {
        self.say(Said::Nonsense(refused));
    }

    fn say(&self, said: Said) {
        if !self.state.is_hung_up.get() {
            self.state.to_runtime.borrow_mut().push_back(said);
            self.state.said.notify_waiters();
        }
    }

    /// Closes its end of the conversation without ending. What it has said is still heard.
    pub fn hang_up(&self) {
        self.state.hang_up();
    }

    /// Prints text as far as its standard output has room, and gives how many bytes that was. Whoever reads it makes
    /// room.
    pub fn print(&self, text: &str) -> usize {
        self.state.stdout.write(text.as_bytes())
    }

    /// Prints text, as soon as there is room for it.
    pub async fn print_all(&self, text: &str) {
        self.state.stdout.write_all(text.as_bytes()).await;
    }

    /// As [`FakeProcess::print`], to its standard error.
    pub fn complain(&self, text: &str) -> usize {
        self.state.stderr.write(text.as_bytes())
    }

    /// As [`FakeProcess::print_all`], to its standard error.
    pub async fn complain_all(&self, text: &str) {
        self.state.stderr.write_all(text.as_bytes()).await;
    }
}
