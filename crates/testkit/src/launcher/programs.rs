//! What processes that are none do: programs that are ready-made, and how to make one's own.

use std::fmt;
use std::future::{Future, pending};
use std::time::Duration;

use dataflow_core::lifecycle::Exit;
use dataflow_runtime::process::{LaunchError, LaunchOrder, LocalFuture};
use dataflow_shm::child::SpawnError;
use dataflow_wire::frame::FrameError;
use dataflow_wire::node::{NODE_PROTOCOL, ToNode, ToRuntime};
use rustix::process::Signal;

use super::process::FakeProcess;
use crate::process::{Behaviour, Observation, SimulatedProcess};

/// How late, at the latest, a simulated node sees what was written into its edges. Frames and signals it sees at once.
const LOOKS_EVERY: Duration = Duration::from_millis(100);
/// How soon it looks again after it has done something.
const LOOKS_FIRST: Duration = Duration::from_micros(100);

/// What a process does, once.
pub struct Program {
    pub(super) run: Box<dyn FnOnce(FakeProcess) -> LocalFuture<'static, Exit>>,
    pub(super) starts_after: Duration,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Program")
    }
}

impl Program {
    /// An async function is a program. What it returns is how the process ends; a panic ends it with the code 101,
    /// SIGKILL drops it where it stands.
    pub fn new<F: Future<Output = Exit> + 'static>(
        run: impl FnOnce(FakeProcess) -> F + 'static,
    ) -> Program {
        Program {
            run: Box::new(|process| Box::pin(run(process))),
            starts_after: Duration::ZERO,
        }
    }

    /// Starting it takes so long.
    #[must_use]
    pub fn starts_after(mut self, wait: Duration) -> Program {
        self.starts_after = wait;
        self
    }
}

/// Why an order cannot be carried out: its program is not there.
#[must_use]
pub fn missing(order: &LaunchOrder) -> LaunchError {
    let program = order.program.program.clone();
    SpawnError::ProgramMissing { program }.into()
}

/// Ends at once.
#[must_use]
pub fn exits(exit: Exit) -> Program {
    exits_after(Duration::ZERO, exit)
}

/// Ends after a time.
#[must_use]
pub fn exits_after(wait: Duration, exit: Exit) -> Program {
    Program::new(move |_| async move {
        tokio::time::sleep(wait).await;
        exit
    })
}

/// Hangs before its hello, until a signal ends it.
#[must_use]
pub fn hangs() -> Program {
    Program::new(|_| pending())
}

/// Hangs before its hello, and does nothing at SIGTERM: only SIGKILL ends it.
#[must_use]
pub fn ignores_signals() -> Program {
    Program::new(|process| async move {
        process.catch(Signal::TERM);
        process.catch(Signal::INT);
        pending().await
    })
}

/// A node without edges to it that connects after a time, is ready at once, and returns when it is told to stop.
#[must_use]
pub fn connects_after(wait: Duration) -> Program {
    Program::new(move |process| async move {
        tokio::time::sleep(wait).await;
        converse(&process, AtStop::Returns).await
    })
}

/// As [`connects_after`], at once; but it ignores the stop and SIGTERM. It still answers for its tokens, as a library
/// does whose user ignores the stop.
#[must_use]
pub fn ignores_stops() -> Program {
    Program::new(|process| async move {
        process.catch(Signal::TERM);
        process.catch(Signal::INT);
        converse(&process, AtStop::GoesOn).await
    })
}

/// Connects, and closes its end of the conversation without ending.
#[must_use]
pub fn hangs_up() -> Program {
    Program::new(|process| async move {
        greet(&process);
        while let Some((frame, _)) = process.next().await {
            if frame == ToNode::Begin {
                break;
            }
        }
        process.hang_up();
        pending().await
    })
}

/// Connects, and says something that is no frame. It does not end by itself.
#[must_use]
pub fn talks_nonsense() -> Program {
    Program::new(|process| async move {
        greet(&process);
        process.send_nonsense(FrameError::HeaderGarbled);
        pending().await
    })
}

/// A node with edges that behaves like this: it sends, receives and holds real messages in real edges. What it does
/// follows from the seed, its number and virtual time. What no correct peer would do to it, it says on its standard
/// error.
#[must_use]
pub fn simulated(behaviour: Behaviour, seed: u64) -> Program {
    Program::new(move |process| simulate(process, behaviour, seed))
}

/// A simulated node dies with its program: what it holds is not released, but abandoned.
struct Mortal(SimulatedProcess);

impl Drop for Mortal {
    fn drop(&mut self) {
        self.0.die(Exit::Signal(Signal::KILL.as_raw()));
    }
}

async fn simulate(process: FakeProcess, behaviour: Behaviour, seed: u64) -> Exit {
    process.catch(Signal::TERM);
    let began = tokio::time::Instant::now();
    let pid = process.pid();
    let seed = seed.wrapping_add(u64::from(pid));
    let mut node = Mortal(SimulatedProcess::new(
        0,
        pid,
        behaviour,
        seed,
        Duration::ZERO,
    ));
    let node = &mut node.0;
    let mut wait = LOOKS_FIRST;
    loop {
        while let Some((frame, descriptors)) = process.next_there() {
            node.hear(frame, descriptors);
        }
        if process.is_hung_up_on() {
            node.hang_up();
        }
        while process.signal_there().is_some() {
            node.terminate();
        }
        let now = began.elapsed();
        let did = node.step(now);
        while let Some((frame, descriptors)) = node.say() {
            process.send(frame, descriptors);
        }
        for observed in node.take_observed() {
            if let Observation::Wrong { what } = observed {
                process.complain(&format!("{what}\n"));
            }
        }
        if let Some(exit) = node.ended() {
            return exit;
        }
        if did {
            wait = LOOKS_FIRST;
            // Others may do something, too.
            tokio::task::yield_now().await;
            continue;
        }
        wait = (wait * 2).min(LOOKS_EVERY);
        let next = node.next_at(now).map_or(wait, |at| wait.min(at - now));
        // Time alone passes without an end: whoever is told something goes on at once.
        let _ = tokio::time::timeout(next, process.told()).await;
    }
}

/// Says hello as the library of this version does.
pub fn greet(process: &FakeProcess) {
    let hello = ToRuntime::Hello {
        protocol: NODE_PROTOCOL,
        library: "dataflow-testkit".to_owned(),
        pid: process.pid(),
    };
    process.send(hello, Vec::new());
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AtStop {
    Returns,
    GoesOn,
}

/// The least that a library does. It has no edge mapped, so it owes nothing.
async fn converse(process: &FakeProcess, at_stop: AtStop) -> Exit {
    greet(process);
    while let Some((frame, _)) = process.next().await {
        match frame {
            ToNode::Begin => {
                process.send(ToRuntime::Ready, Vec::new());
                process.send(ToRuntime::Running, Vec::new());
            }
            ToNode::Stop { .. } if at_stop == AtStop::Returns => {
                process.send(ToRuntime::StopDelivered, Vec::new());
                return Exit::Code(0);
            }
            ToNode::SegmentRetire { segment } => {
                process.send(ToRuntime::SegmentUnmapped { segment }, Vec::new());
            }
            ToNode::ReleaseRequest {
                edge, epoch, upto, ..
            } => {
                let ack = ToRuntime::ReleaseAck {
                    edge,
                    epoch,
                    released_upto: upto,
                    queued: 0,
                    held: Vec::new(),
                    busy_for: Duration::ZERO,
                };
                process.send(ack, Vec::new());
            }
            _ => {}
        }
    }
    // The control thread of a library ends its process with the conversation.
    Exit::Signal(Signal::KILL.as_raw())
}
