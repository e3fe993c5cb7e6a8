//! What there is of a process that is none: its signals, its outputs, its end.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::rc::{Rc, Weak};
use std::task::Waker;

use dataflow_core::lifecycle::Exit;
use dataflow_ids::{Epoch, NodeId, NodeIndex};
use dataflow_runtime::process::LocalFuture;
use rustix::process::Signal;
use tokio::sync::Notify;

use super::conversation::Conversation;
use super::family::FamilyRef;
use super::pipe::FakePipe;

/// A program that runs, as long as it does.
pub(super) type Running = RefCell<Option<LocalFuture<'static, Exit>>>;

/// What a process is born with.
#[derive(Debug, Clone)]
pub(super) struct Birth {
    pub(super) node: NodeId,
    pub(super) index: NodeIndex,
    pub(super) epoch: Epoch,
    /// The group of its parent; `None`: it leads its own.
    pub(super) group: Option<u32>,
    pub(super) conversation: Rc<Conversation>,
    pub(super) stdout: Rc<FakePipe>,
    pub(super) stderr: Rc<FakePipe>,
}

/// The state of a process, which both sides have.
#[derive(Debug)]
pub(super) struct State {
    pub(super) pid: u32,
    pub(super) group: Cell<u32>,
    pub(super) birth: Birth,
    pub(super) family: FamilyRef,
    /// Whether it has its end of the conversation open.
    has_conversation: Cell<bool>,
    pub(super) exit: Cell<Option<Exit>>,
    pub(super) is_reaped: Cell<bool>,
    is_stopped: Cell<bool>,
    /// Who has the program, as long as it runs.
    program: RefCell<Weak<Running>>,
    waker: RefCell<Option<Waker>>,

    caught: RefCell<BTreeSet<i32>>,
    /// Signals that came while it stood still.
    kept: RefCell<VecDeque<Signal>>,
    /// Signals that it catches and has not seen.
    pub(super) unseen: RefCell<VecDeque<Signal>>,
    pub(super) history: RefCell<Vec<Signal>>,
    pub(super) has_signal: Notify,
    has_ended: Notify,
}

impl State {
    pub(super) fn new(pid: u32, birth: Birth, family: FamilyRef) -> State {
        birth.conversation.hold();
        birth.stdout.hold();
        birth.stderr.hold();
        State {
            pid,
            group: Cell::new(birth.group.unwrap_or(pid)),
            birth,
            family,
            has_conversation: Cell::new(true),
            exit: Cell::new(None),
            is_reaped: Cell::new(false),
            is_stopped: Cell::new(false),
            program: RefCell::default(),
            waker: RefCell::new(None),
            caught: RefCell::default(),
            kept: RefCell::default(),
            unseen: RefCell::default(),
            history: RefCell::default(),
            has_signal: Notify::new(),
            has_ended: Notify::new(),
        }
    }

    /// The conversation, as long as this process has it open.
    pub(super) fn conversation(&self) -> Option<&Conversation> {
        self.has_conversation
            .get()
            .then_some(&*self.birth.conversation)
    }

    /// Whether both have the same conversation open.
    pub(super) fn shares_conversation_with(&self, other: &State) -> bool {
        let (ours, theirs) = (&self.birth.conversation, &other.birth.conversation);
        self.has_conversation.get() && Rc::ptr_eq(ours, theirs)
    }

    /// Whether it stands still.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.get() && self.exit.get().is_none()
    }

    /// Waits until the process has ended.
    pub(super) async fn ended(&self) {
        loop {
            let ended = self.has_ended.notified();
            if self.exit.get().is_some() {
                return;
            }
            ended.await;
        }
    }

    /// From now on the process sees this signal, and nothing else comes of it.
    pub(super) fn catch(&self, signal: Signal) {
        self.caught.borrow_mut().insert(signal.as_raw());
    }

    /// A signal comes.
    pub(super) fn signal(&self, signal: Signal) {
        if self.exit.get().is_some() {
            return;
        }
        self.history.borrow_mut().push(signal);
        match signal {
            Signal::KILL => self.end(Exit::Signal(signal.as_raw())),
            Signal::STOP => self.is_stopped.set(true),
            Signal::CONT => {
                self.is_stopped.set(false);
                let kept = std::mem::take(&mut *self.kept.borrow_mut());
                for signal in kept {
                    self.act_on(signal);
                }
                self.wake();
            }
            _ if self.is_stopped.get() => self.kept.borrow_mut().push_back(signal),
            _ => self.act_on(signal),
        }
    }

    fn act_on(&self, signal: Signal) {
        if self.caught.borrow().contains(&signal.as_raw()) {
            self.unseen.borrow_mut().push_back(signal);
            self.has_signal.notify_waiters();
        } else if !matches!(signal, Signal::CHILD | Signal::URG | Signal::WINCH) {
            self.end(Exit::Signal(signal.as_raw()));
        }
    }

    /// The process closes its end of the conversation: what it has said can still be heard.
    pub(super) fn hang_up(&self) {
        if self.has_conversation.replace(false) {
            self.birth.conversation.let_go();
            // Its own waits are over, whoever else has it.
            self.birth.conversation.told.notify_waiters();
        }
    }

    /// The process ends. Nothing of its program runs after this, unless it is the one that has called.
    pub(super) fn end(&self, exit: Exit) {
        if self.exit.get().is_some() {
            return;
        }
        self.exit.set(Some(exit));
        self.hang_up();
        self.birth.stdout.let_go();
        self.birth.stderr.let_go();
        // Nobody else takes note of the end of one whose parent is a program.
        self.is_reaped.set(self.birth.group.is_some());
        let program = self.program.borrow().upgrade();
        if let Some(program) = program {
            // Empty while it is being polled: then whoever polls drops it.
            let program = program.borrow_mut().take();
            drop(program);
        }
        self.has_ended.notify_waiters();
        self.wake();
    }

    /// The program begins.
    pub(super) fn begins(&self, program: &Rc<Running>) {
        *self.program.borrow_mut() = Rc::downgrade(program);
    }

    /// Who polls the program waits.
    pub(super) fn waits(&self, waker: &Waker) {
        *self.waker.borrow_mut() = Some(waker.clone());
    }

    fn wake(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
