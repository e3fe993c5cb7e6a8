//! All processes of a launcher: their numbers, and who belongs to whose group.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use dataflow_core::lifecycle::Exit;
use dataflow_runtime::process::LocalFuture;
use rustix::process::Signal;

use super::fake::FIRST_PID;
use super::process::FakeProcess;
use super::state::{Birth, State};

/// The processes of a launcher that were not reaped.
#[derive(Debug)]
pub(super) struct Family {
    next_pid: Cell<u32>,
    /// How many of them the launcher has started itself.
    launches: Cell<u32>,
    processes: RefCell<Vec<FakeProcess>>,
}

impl Family {
    pub(super) fn new() -> Rc<Family> {
        Rc::new(Family {
            next_pid: Cell::new(FIRST_PID),
            launches: Cell::new(0),
            processes: RefCell::default(),
        })
    }

    /// Starts a process: one with a parent is in its group until it leaves that.
    pub(super) fn start(
        self: &Rc<Self>,
        birth: Birth,
        run: impl FnOnce(FakeProcess) -> LocalFuture<'static, Exit>,
    ) -> FakeProcess {
        let pid = self.next_pid.get();
        self.next_pid.set(pid + 1);
        if birth.group.is_none() {
            self.launches.set(self.launches.get() + 1);
        }
        let state = Rc::new(State::new(pid, birth, Rc::downgrade(self)));
        let process = FakeProcess {
            state: Rc::clone(&state),
        };
        self.forget_the_reaped();
        self.processes.borrow_mut().push(process.clone());
        super::fake::begin(&state, run(process.clone()));
        process
    }

    fn forget_the_reaped(&self) {
        let mut processes = self.processes.borrow_mut();
        processes.retain(|process| !process.is_reaped());
    }

    /// How many processes the launcher has started.
    pub(super) fn launches(&self) -> u32 {
        self.launches.get()
    }

    /// Those that were not reaped, in the order of their starts.
    pub(super) fn processes(&self) -> Vec<FakeProcess> {
        self.forget_the_reaped();
        self.processes.borrow().clone()
    }

    /// Sends a signal to every process of a group.
    pub(super) fn signal_group(&self, group: u32, signal: Signal) {
        for process in self.processes() {
            if process.state.group.get() == group {
                process.signal(signal);
            }
        }
    }

    /// The living process with a number, if it has the same conversation as `state`.
    pub(super) fn speaker(&self, pid: u32, state: &State) -> Option<FakeProcess> {
        let mut processes = self.processes().into_iter();
        let found = processes.find(|process| process.pid() == pid)?;
        (found.exit().is_none() && found.state.shares_conversation_with(state)).then_some(found)
    }
}

/// Where the processes of a launcher are, for one of them.
pub(super) type FamilyRef = Weak<Family>;
