//! Ctrl-C, SIGTERM and SIGHUP: the first asks for a stop; a second Ctrl-C or SIGTERM forces it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dataflow_ids::{Forcer, StopMode};
use dataflow_runtime::Controls;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::CliError;

/// What a signal acts on at this moment.
#[derive(Debug)]
enum Target {
    /// Nothing has been started.
    Nothing,
    /// A build, with its whole process group.
    Build(Pid),
    /// The runtime of `up -d`, which understands signals as this process does.
    Runtime(Pid),
    /// The dataflow.
    Dataflow(Controls),
}

/// What kind of signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// Somebody asks for the end.
    OnPurpose,
    /// The terminal has gone. That asks for a stop, and nobody meant to force anything by it.
    HangUp,
}

#[derive(Debug)]
struct State {
    target: Target,
    /// Signals so far.
    count: u32,
}

/// The signals of this process, from the moment they are watched.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    state: Arc<Mutex<State>>,
}

impl Signals {
    /// Watches the signals on a thread of its own, and calls `said` with the number of each that acts on the
    /// dataflow.
    ///
    /// # Errors
    ///
    /// [`CliError::System`] when the system refuses.
    pub(crate) fn watch(said: impl Fn(u32) + Send + 'static) -> Result<Signals, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(CliError::system("watch for signals"))?;
        let (mut interrupt, mut terminate, mut hang_up) = {
            let _context = runtime.enter();
            let watch = |kind| signal(kind).map_err(CliError::system("watch for signals"));
            (
                watch(SignalKind::interrupt())?,
                watch(SignalKind::terminate())?,
                watch(SignalKind::hangup())?,
            )
        };
        let signals = Signals {
            state: Arc::new(Mutex::new(State {
                target: Target::Nothing,
                count: 0,
            })),
        };
        let watched = signals.clone();
        std::thread::Builder::new()
            .name("dataflow-signals".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    loop {
                        let came = tokio::select! {
                            _ = interrupt.recv() => Came::OnPurpose,
                            _ = terminate.recv() => Came::OnPurpose,
                            _ = hang_up.recv() => Came::HangUp,
                        };
                        watched.came(came, &said);
                    }
                });
            })
            .map_err(CliError::system(
                "start the thread that watches for signals",
            ))?;
        Ok(signals)
    }

    /// Whether a signal has come.
    pub(crate) fn interrupted(&self) -> bool {
        self.lock().count > 0
    }

    /// From now on signals end a build, the leader of its process group; one that came before does at once.
    pub(crate) fn go_to_build(&self, pid: u32) {
        self.go_to(pid, Target::Build);
    }

    /// From now on signals go to the runtime of `up -d`; one that came before goes to it at once.
    pub(crate) fn go_to_runtime(&self, pid: u32) {
        self.go_to(pid, Target::Runtime);
    }

    fn go_to(&self, pid: u32, target: fn(Pid) -> Target) {
        let mut state = self.lock();
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            state.target = target(pid);
            if state.count > 0 {
                state.target.terminate();
            }
        }
    }

    /// From now on signals are only counted.
    pub(crate) fn go_nowhere(&self) {
        self.lock().target = Target::Nothing;
    }

    /// From now on signals stop, then force, the dataflow. One that came before stops it at once.
    pub(crate) fn go_to_dataflow(&self, controls: Controls) {
        let mut state = self.lock();
        if state.count > 0 {
            controls.stop(StopMode::Graceful, None);
        }
        state.target = Target::Dataflow(controls);
    }

    fn came(&self, came: Came, said: &impl Fn(u32)) {
        let mut state = self.lock();
        if came == Came::HangUp && state.count > 0 {
            return;
        }
        state.count += 1;
        match &state.target {
            Target::Nothing => {}
            Target::Build(_) => state.target.terminate(),
            Target::Runtime(_) => {
                state.target.terminate();
                said(state.count);
            }
            Target::Dataflow(controls) => {
                if state.count == 1 {
                    controls.stop(StopMode::Graceful, None);
                } else {
                    controls.force(Forcer::SecondInterrupt);
                }
                said(state.count);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    /// Sends SIGTERM to the process, if it is one. One that has ended needs no signal.
    fn terminate(&self) {
        let _ = match self {
            Target::Nothing | Target::Dataflow(_) => Ok(()),
            Target::Build(pid) => kill_process_group(*pid, Signal::TERM),
            Target::Runtime(pid) => kill_process(*pid, Signal::TERM),
        };
    }
}
