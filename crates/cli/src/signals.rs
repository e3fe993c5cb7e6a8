//! Ctrl-C, SIGTERM and SIGHUP: the first asks for a stop; a Ctrl-C after a Ctrl-C forces it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dataflow_ids::{Forcer, StopMode};
use dataflow_runtime::agent::AgentControls;
use dataflow_runtime::client::HostedControls;
use dataflow_runtime::{Controls, Interruption};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::signal::unix::{self, SignalKind, signal};

use crate::error::CliError;

/// What a signal acts on at this moment.
#[derive(Debug)]
enum Target {
    /// Nothing has been started.
    Nothing,
    /// A build, with its whole process group.
    Build(Pid),
    /// A command that leaves everything right wherever it ends.
    Command,
    /// The check of what a run needs.
    Preparation(Interruption),
    /// The runtime of `up -d`, which understands signals as this process does.
    Runtime(Pid),
    /// The dataflow.
    Dataflow(Controls),
    /// The dataflow, on an agent.
    Hosted(HostedControls),
    /// The agent that this process is.
    Agent(AgentControls),
    /// A dataflow that has ended: only its report is still to be read.
    Report,
}

/// The signals that are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// Ctrl-C, the only one that a person means as more when it is repeated.
    Interrupt,
    /// Somebody, perhaps a supervisor that repeats itself, asks for the end.
    Terminate,
    /// The terminal has gone.
    HangUp,
}

impl Came {
    fn kind(self) -> SignalKind {
        match self {
            Came::Interrupt => SignalKind::interrupt(),
            Came::Terminate => SignalKind::terminate(),
            Came::HangUp => SignalKind::hangup(),
        }
    }

    fn signal(self) -> Signal {
        match self {
            Came::Interrupt => Signal::INT,
            Came::Terminate => Signal::TERM,
            Came::HangUp => Signal::HUP,
        }
    }
}

/// What a signal has brought about, for whoever says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The dataflow stops.
    Stop,
    /// Every process of the dataflow is killed.
    Force,
    /// Nobody wants to wait any more: for a command, for the reader of what has ended, or for an agent.
    Leave,
}

#[derive(Debug)]
struct State {
    target: Target,
    /// The first of the signals so far.
    first: Option<Came>,
    /// How many of them were Ctrl-C.
    interrupts: u32,
    /// Whether the agent was left.
    has_left: bool,
}

/// The signals of this process, from the moment they are watched.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    state: Arc<Mutex<State>>,
}

impl Signals {
    /// Watches the signals on a thread of its own, and calls `heard` on that thread when one acts on the dataflow.
    /// A signal that our starter ignores, as `nohup` does with SIGHUP, stays ignored.
    ///
    /// # Errors
    ///
    /// [`CliError::System`] when the system refuses.
    pub(crate) fn watch(heard: impl Fn(Heard) + Send + 'static) -> Result<Signals, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(CliError::system("watch for signals"))?;
        let ignored = Ignored::by_our_starter()?;
        let (mut interrupt, mut terminate, mut hang_up) = {
            let _context = runtime.enter();
            let watch = |came: Came| match ignored.contains(came.signal()) {
                true => Ok(None),
                false => {
                    (signal(came.kind()).map(Some)).map_err(CliError::system("watch for signals"))
                }
            };
            (
                watch(Came::Interrupt)?,
                watch(Came::Terminate)?,
                watch(Came::HangUp)?,
            )
        };
        let signals = Signals {
            state: Arc::new(Mutex::new(State {
                target: Target::Nothing,
                first: None,
                interrupts: 0,
                has_left: false,
            })),
        };
        let watched = signals.clone();
        std::thread::Builder::new()
            .name("dataflow-signals".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    loop {
                        let came = tokio::select! {
                            () = next(&mut interrupt) => Came::Interrupt,
                            () = next(&mut terminate) => Came::Terminate,
                            () = next(&mut hang_up) => Came::HangUp,
                        };
                        // Said with nothing locked, so that it delays no other signal's work.
                        if let Some(done) = watched.came(came) {
                            heard(done);
                        }
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
        self.lock().first.is_some()
    }

    /// Whether an agent that did not even force the end was left.
    pub(crate) fn has_left(&self) -> bool {
        self.lock().has_left
    }

    /// From now on signals end a build, the leader of its process group; one that came before does at once.
    pub(crate) fn go_to_build(&self, pid: u32) {
        self.go_to(process(pid).map(Target::Build));
    }

    /// From now on signals go to the runtime of `up -d`; one that came before goes to it at once.
    pub(crate) fn go_to_runtime(&self, pid: u32) {
        self.go_to(process(pid).map(Target::Runtime));
    }

    /// From now on a signal only says that nobody waits for this command.
    pub(crate) fn go_to_command(&self) {
        self.lock().target = Target::Command;
    }

    /// From now on signals break off the preparation of a run; one that came before does at once.
    pub(crate) fn go_to_preparation(&self, interruption: Interruption) {
        self.go_to(Some(Target::Preparation(interruption)));
    }

    /// From now on signals stop, then force, the dataflow. One that came before stops it at once.
    pub(crate) fn go_to_dataflow(&self, controls: Controls) {
        self.go_to(Some(Target::Dataflow(controls)));
    }

    /// From now on signals stop, then force, the dataflow that an agent runs for this command, and then leave the agent.
    /// One that came before stops it at once.
    pub(crate) fn go_to_hosted(&self, controls: HostedControls) {
        self.go_to(Some(Target::Hosted(controls)));
    }

    /// From now on signals stop, then force, this agent with all its dataflows. One that came before stops it at once.
    pub(crate) fn go_to_agent(&self, controls: AgentControls) {
        self.go_to(Some(Target::Agent(controls)));
    }

    /// From now on a signal only says that nobody waits for the reader of the report.
    pub(crate) fn go_to_report(&self) {
        self.lock().target = Target::Report;
    }

    /// From now on signals are only counted.
    pub(crate) fn go_nowhere(&self) {
        self.lock().target = Target::Nothing;
    }

    fn go_to(&self, target: Option<Target>) {
        let Some(target) = target else { return };
        let mut state = self.lock();
        if let Some(first) = state.first {
            target.end(first);
        }
        state.target = target;
    }

    fn came(&self, came: Came) -> Option<Heard> {
        let mut state = self.lock();
        let is_first = state.first.is_none();
        state.first.get_or_insert(came);
        if came == Came::Interrupt {
            state.interrupts += 1;
        }
        let forces = came == Came::Interrupt && state.interrupts > 1;
        let leaves = came == Came::Interrupt && state.interrupts > 2;
        if let (Target::Hosted(controls), true) = (&state.target, leaves) {
            controls.leave();
            state.has_left = true;
            return Some(Heard::Leave);
        }
        match &state.target {
            Target::Nothing => return None,
            Target::Command | Target::Report => return Some(Heard::Leave),
            Target::Build(group) if forces => {
                let _ = kill_process_group(*group, Signal::KILL);
            }
            Target::Dataflow(controls) if forces => controls.force(Forcer::SecondInterrupt),
            Target::Hosted(controls) if forces => controls.force(Forcer::SecondInterrupt),
            Target::Agent(controls) if forces => controls.force(Forcer::SecondInterrupt),
            target => target.end(came),
        }
        let runs = matches!(
            &state.target,
            Target::Runtime(_) | Target::Dataflow(_) | Target::Hosted(_) | Target::Agent(_)
        );
        match runs {
            true if forces => Some(Heard::Force),
            // A first Ctrl-C is told what a second one does, even if the stop is not new.
            true if is_first || came == Came::Interrupt => Some(Heard::Stop),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    /// Asks for the end, without force.
    fn end(&self, came: Came) {
        // A process that has ended needs no signal.
        match self {
            Target::Nothing | Target::Command | Target::Report => {}
            Target::Build(group) => {
                let _ = kill_process_group(*group, Signal::TERM);
            }
            Target::Preparation(interruption) => interruption.interrupt(),
            // It tells a second Ctrl-C from a signal that is repeated, as we do.
            Target::Runtime(pid) => {
                let _ = kill_process(*pid, came.signal());
            }
            Target::Dataflow(controls) => controls.stop(StopMode::Graceful, None),
            Target::Hosted(controls) => controls.stop(StopMode::Graceful, None),
            Target::Agent(controls) => controls.stop(),
        }
    }
}

fn process(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Waits for the next of these signals; for ever, when they are not watched.
async fn next(signals: &mut Option<unix::Signal>) {
    let came = match signals {
        Some(signals) => signals.recv().await,
        None => None,
    };
    if came.is_none() {
        std::future::pending::<()>().await;
    }
}

/// The signals that this process ignores.
#[derive(Debug, Clone, Copy)]
struct Ignored(u64);

impl Ignored {
    /// What our starter has left us, as long as nothing has been changed here.
    fn by_our_starter() -> Result<Ignored, CliError> {
        let status = std::fs::read_to_string("/proc/self/status")
            .map_err(CliError::system("read /proc/self/status"))?;
        Ok(Ignored::in_status(&status))
    }

    /// Bit `n - 1` of a hexadecimal number stands for signal `n` (proc_pid_status(5)).
    fn in_status(status: &str) -> Ignored {
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        Ignored(mask.unwrap_or(0))
    }

    fn contains(self, signal: Signal) -> bool {
        self.0 >> (signal.as_raw() - 1) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals() -> Signals {
        Signals {
            state: Arc::new(Mutex::new(State {
                target: Target::Nothing,
                first: None,
                interrupts: 0,
                has_left: false,
            })),
        }
    }

    /// A process that takes note of the signals it gets, as a runtime of `up -d` that has not ended yet.
    fn started() -> (Signals, std::process::Child) {
        let child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let signals = signals();
        signals.lock().target = Target::Runtime(process(child.id()).unwrap());
        (signals, child)
    }

    fn end(mut child: std::process::Child) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt;
        child.kill().unwrap();
        child.wait().unwrap().signal()
    }

    #[test]
    fn only_an_interrupt_after_an_interrupt_forces() {
        for (order, expected) in [
            (
                vec![Came::Interrupt, Came::Interrupt],
                vec![Some(Heard::Stop), Some(Heard::Force)],
            ),
            (
                vec![Came::Terminate, Came::Terminate, Came::HangUp],
                vec![Some(Heard::Stop), None, None],
            ),
            (
                vec![Came::Terminate, Came::Interrupt, Came::Interrupt],
                vec![Some(Heard::Stop), Some(Heard::Stop), Some(Heard::Force)],
            ),
            (
                vec![
                    Came::Interrupt,
                    Came::Terminate,
                    Came::HangUp,
                    Came::Interrupt,
                ],
                vec![Some(Heard::Stop), None, None, Some(Heard::Force)],
            ),
        ] {
            let (signals, child) = started();
            let heard: Vec<_> = order.iter().map(|came| signals.came(*came)).collect();
            assert_eq!(heard, expected, "{order:?}");
            end(child);
        }
    }

    #[test]
    fn a_signal_is_passed_on_as_what_it_is() {
        use std::os::unix::process::ExitStatusExt;
        for came in [Came::Interrupt, Came::Terminate, Came::HangUp] {
            let (signals, mut child) = started();
            signals.came(came);
            let status = child.wait().unwrap();
            assert_eq!(status.signal(), Some(came.signal().as_raw()), "{came:?}");
        }
    }

    #[test]
    fn a_signal_that_came_early_ends_what_begins_later() {
        let signals = signals();
        assert_eq!(signals.came(Came::Interrupt), None);
        assert!(signals.interrupted());
        let (_, mut child) = started();
        signals.go_to_runtime(child.id());
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::INT.as_raw()));
    }

    #[test]
    fn ignored_signals_are_read_from_what_the_kernel_says() {
        let ignored = Ignored::in_status("Name:\tx\nSigBlk:\tffff\nSigIgn:\t0000000000001003\n");
        assert!(ignored.contains(Signal::HUP));
        assert!(ignored.contains(Signal::INT));
        assert!(ignored.contains(Signal::PIPE));
        assert!(!ignored.contains(Signal::TERM));
        assert!(!Ignored::in_status("").contains(Signal::INT));
    }
}
