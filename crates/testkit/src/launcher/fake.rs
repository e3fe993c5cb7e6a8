//! The launcher that starts nothing.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;

use dataflow_core::lifecycle::Exit;
use dataflow_ids::NodeId;
use dataflow_runtime::process::{LaunchError, LaunchOrder, Launched, Launcher, LocalFuture};
use rustix::process::Signal;

use super::control::{FakeControl, Handle};
use super::family::Family;
use super::pipe::ReadEnd;
use super::process::FakeProcess;
use super::programs::Program;
use super::state::{Birth, Running, State};

/// The number of the first process of a launcher.
pub const FIRST_PID: u32 = 1000;

/// What a process returns whose program has panicked: as a Rust program would.
const PANICKED: i32 = 101;

type Choose = dyn Fn(&LaunchOrder) -> Result<Program, LaunchError>;

/// Starts programs that are async functions, on the calling thread: one of an actix system.
///
/// Clones are the same launcher.
#[derive(Clone)]
pub struct FakeLauncher {
    inner: Rc<Inner>,
}

struct Inner {
    choose: Box<Choose>,
    is_closed: Cell<bool>,
    family: Rc<Family>,
}

impl fmt::Debug for FakeLauncher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeLauncher")
            .field("family", &self.inner.family)
            .finish_non_exhaustive()
    }
}

impl FakeLauncher {
    /// A launcher that lets `choose` say what is run for whom, or that it cannot be started.
    ///
    /// ```
    /// use dataflow_core::lifecycle::Exit;
    /// use dataflow_testkit::launcher::{FakeLauncher, Program, programs};
    ///
    /// let launcher = FakeLauncher::new(|order| match order.node.as_str() {
    ///     "absent" => Err(programs::missing(order)),
    ///     "worker" if order.epoch.0 == 1 => Ok(programs::exits(Exit::Code(1))),
    ///     _ => Ok(Program::new(|process| async move {
    ///         process.print("hello\n");
    ///         Exit::Code(0)
    ///     })),
    /// });
    /// assert!(launcher.processes().is_empty());
    /// ```
    pub fn new(
        choose: impl Fn(&LaunchOrder) -> Result<Program, LaunchError> + 'static,
    ) -> FakeLauncher {
        FakeLauncher {
            inner: Rc::new(Inner {
                choose: Box::new(choose),
                is_closed: Cell::new(false),
                family: Family::new(),
            }),
        }
    }

    /// The processes that were not reaped, in the order of their starts.
    #[must_use]
    pub fn processes(&self) -> Vec<FakeProcess> {
        self.inner.family.processes()
    }

    /// The process that was started last for a node, if it was not reaped. One that a program has forked is not meant.
    #[must_use]
    pub fn process_of(&self, node: &NodeId) -> Option<FakeProcess> {
        let mut processes = self.processes().into_iter();
        processes.rfind(|it| it.node() == node && it.state.birth.group.is_none())
    }

    /// How many processes it was asked for and has started. Those that programs have forked do not count.
    #[must_use]
    pub fn launches(&self) -> u32 {
        self.inner.family.launches()
    }

    /// Whether the run has closed it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed.get()
    }
}

impl Launcher for FakeLauncher {
    fn launch(&self, order: LaunchOrder) -> LocalFuture<'static, Result<Launched, LaunchError>> {
        let inner = Rc::clone(&self.inner);
        Box::pin(async move {
            if inner.is_closed.get() {
                return Err(LaunchError::Ending);
            }
            let program = (inner.choose)(&order)?;
            if !program.starts_after.is_zero() {
                tokio::time::sleep(program.starts_after).await;
            }
            if inner.is_closed.get() {
                return Err(LaunchError::Ending);
            }
            Ok(inner.start(order, program))
        })
    }

    fn close(&self) {
        self.inner.is_closed.set(true);
        // As the end of the real one's thread does to what it has started.
        for process in self.processes() {
            process.signal(Signal::KILL);
        }
    }
}

impl Inner {
    fn start(&self, order: LaunchOrder, program: Program) -> Launched {
        let birth = Birth {
            node: order.node,
            index: order.index,
            epoch: order.epoch,
            group: None,
            conversation: Rc::default(),
            stdout: Rc::default(),
            stderr: Rc::default(),
        };
        let process = self.family.start(birth, program.run);
        let FakeProcess { state } = process;
        Launched {
            pid: state.pid,
            stdout: Box::new(ReadEnd(Rc::clone(&state.birth.stdout))),
            stderr: Box::new(ReadEnd(Rc::clone(&state.birth.stderr))),
            control: Rc::new(FakeControl(Rc::clone(&state.birth.conversation))),
            process: Rc::new(Handle::new(state)),
        }
    }
}

/// A program begins to run for a process. It ends with the process, or with the event loop.
pub(super) fn begin(state: &Rc<State>, program: LocalFuture<'static, Exit>) {
    let program: Rc<Running> = Rc::new(RefCell::new(Some(program)));
    state.begins(&program);
    drop(actix_rt::spawn(play(Rc::clone(state), program)));
}

/// Lets a program run until it or its process has ended, except while the process stands still.
async fn play(state: Rc<State>, running: Rc<Running>) {
    poll_fn(|context| {
        state.waits(context.waker());
        if state.is_stopped() {
            return Poll::Pending;
        }
        let Some(mut program) = running.borrow_mut().take() else {
            return Poll::Ready(());
        };
        match catch_unwind(AssertUnwindSafe(|| program.as_mut().poll(context))) {
            Ok(Poll::Pending) if state.exit.get().is_none() => {
                *running.borrow_mut() = Some(program);
                return Poll::Pending;
            }
            // It has ended meanwhile.
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(exit)) => state.end(exit),
            Err(_) => {
                state.birth.stderr.write(b"the program has panicked\n");
                state.end(Exit::Code(PANICKED));
            }
        }
        Poll::Ready(())
    })
    .await;
}
