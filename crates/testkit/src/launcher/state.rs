//! What there is of a process that is none: its conversation, its signals, its end.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::task::Waker;

use dataflow_core::lifecycle::Exit;
use dataflow_ids::{Epoch, NodeId, NodeIndex};
use dataflow_runtime::process::{Frame, LocalFuture};
use dataflow_wire::frame::FrameError;
use dataflow_wire::node::ToNode;
use rustix::process::Signal;
use tokio::sync::Notify;

use super::pipe::FakePipe;

/// A program that runs, as long as it does.
pub(super) type Running = RefCell<Option<LocalFuture<'static, Exit>>>;

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

/// The state of a process, which both sides have.
#[derive(Debug)]
pub(super) struct State {
    pub(super) pid: u32,
    pub(super) node: NodeId,
    pub(super) index: NodeIndex,
    pub(super) epoch: Epoch,
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

    pub(super) to_node: RefCell<VecDeque<Told>>,
    pub(super) to_node_bytes: Cell<usize>,
    /// The runtime says nothing more.
    pub(super) is_finished: Cell<bool>,
    pub(super) to_runtime: RefCell<VecDeque<Said>>,
    /// The process says nothing more, and hears nothing.
    pub(super) is_hung_up: Cell<bool>,
    pub(super) stdout: Rc<FakePipe>,
    pub(super) stderr: Rc<FakePipe>,

    /// For who waits for something from the runtime: a frame, a signal, its last word.
    pub(super) told: Notify,
    /// For who waits for something from the process.
    pub(super) said: Notify,
    pub(super) has_ended: Notify,
}

impl State {
    pub(super) fn new(pid: u32, node: NodeId, index: NodeIndex, epoch: Epoch) -> State {
        State {
            pid,
            node,
            index,
            epoch,
            exit: Cell::new(None),
            is_reaped: Cell::new(false),
            is_stopped: Cell::new(false),
            program: RefCell::default(),
            waker: RefCell::new(None),
            caught: RefCell::default(),
            kept: RefCell::default(),
            unseen: RefCell::default(),
            history: RefCell::default(),
            to_node: RefCell::default(),
            to_node_bytes: Cell::new(0),
            is_finished: Cell::new(false),
            to_runtime: RefCell::default(),
            is_hung_up: Cell::new(false),
            stdout: Rc::default(),
            stderr: Rc::default(),
            told: Notify::new(),
            said: Notify::new(),
            has_ended: Notify::new(),
        }
    }

    /// Whether nothing more comes from the process, and all of it was heard.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_hung_up.get() && self.to_runtime.borrow().is_empty()
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
            self.told.notify_waiters();
        } else if !matches!(signal, Signal::CHILD | Signal::URG | Signal::WINCH) {
            self.end(Exit::Signal(signal.as_raw()));
        }
    }

    /// The process closes its end of the conversation: what it has said can still be heard.
    pub(super) fn hang_up(&self) {
        self.is_hung_up.set(true);
        self.to_node.borrow_mut().clear();
        self.to_node_bytes.set(0);
        self.said.notify_waiters();
        self.told.notify_waiters();
    }

    /// The process ends. Nothing of its program runs after this, unless it is the one that has called.
    pub(super) fn end(&self, exit: Exit) {
        if self.exit.get().is_some() {
            return;
        }
        self.exit.set(Some(exit));
        self.hang_up();
        self.stdout.close();
        self.stderr.close();
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
