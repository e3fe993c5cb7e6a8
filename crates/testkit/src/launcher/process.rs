//! The process that is none, for whoever plays it.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use dataflow_core::lifecycle::Exit;
use dataflow_ids::{Epoch, NodeId, NodeIndex};
use dataflow_wire::frame::FrameError;
use dataflow_wire::node::{ToNode, ToRuntime};
use rustix::process::Signal;

use super::conversation::Said;
use super::programs::Program;
use super::state::{Birth, State};

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
        &self.state.birth.node
    }

    /// The node's place in the description.
    #[must_use]
    pub fn index(&self) -> NodeIndex {
        self.state.birth.index
    }

    /// Which incarnation it is.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.state.birth.epoch
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
            let has_signal = self.state.has_signal.notified();
            if let Some(signal) = self.signal_there() {
                return signal;
            }
            has_signal.await;
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
            let told = self.state.birth.conversation.told.notified();
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
        let told = self.state.conversation()?.next_told()?;
        Some((told.frame, told.descriptors))
    }

    /// Whether the conversation has ended and everything was heard, from whichever side.
    #[must_use]
    pub fn is_hung_up_on(&self) -> bool {
        let conversation = self.state.conversation();
        conversation.is_none_or(|conversation| conversation.is_told())
    }

    /// Waits until there is something new from the runtime: a frame, a signal, its last word. For programs that look
    /// with [`FakeProcess::next_there`] and the like. What came before this was awaited the first time is not told.
    pub async fn told(&self) {
        tokio::select! {
            biased;
            () = self.state.birth.conversation.told.notified() => {}
            () = self.state.has_signal.notified() => {}
        }
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
        if let Some(conversation) = self.state.conversation() {
            conversation.say(said);
        }
    }

    /// Starts another process, with the same outputs, the same group and the same conversation, as a fork does. Its
    /// end is nobody's business. A program that starts after a time does so at once here.
    ///
    /// # Panics
    ///
    /// When the launcher is gone.
    pub fn fork(&self, program: Program) -> FakeProcess {
        let family = self.state.family.upgrade();
        let family = family.expect("whoever forks was started by a launcher that is still there");
        let birth = Birth {
            group: Some(self.state.group.get()),
            ..self.state.birth.clone()
        };
        family.start(birth, program.run)
    }

    /// Leaves its group for one of its own, as `setsid` does. Signals to the group it has left do not reach it.
    pub fn leave_group(&self) {
        self.state.group.set(self.state.pid);
    }

    /// Closes its end of the conversation without ending. What it has said is still heard, and the conversation ends
    /// when nobody has it any more.
    pub fn hang_up(&self) {
        self.state.hang_up();
    }

    /// Prints text as far as its standard output has room, and gives how many bytes that was. Whoever reads it makes
    /// room.
    pub fn print(&self, text: &str) -> usize {
        self.state.birth.stdout.write(text.as_bytes())
    }

    /// Prints text, as soon as there is room for it.
    pub async fn print_all(&self, text: &str) {
        self.state.birth.stdout.write_all(text.as_bytes()).await;
    }

    /// As [`FakeProcess::print`], to its standard error.
    pub fn complain(&self, text: &str) -> usize {
        self.state.birth.stderr.write(text.as_bytes())
    }

    /// As [`FakeProcess::print_all`], to its standard error.
    pub async fn complain_all(&self, text: &str) {
        self.state.birth.stderr.write_all(text.as_bytes()).await;
    }
}
