//! A simulated node as a program of the fake launcher.

use std::time::Duration;

use dataflow_core::lifecycle::Exit;
use dataflow_testkit::launcher::{FakeProcess, Program};
use dataflow_testkit::process::{Behaviour, Observation, SimulatedProcess};
use rustix::process::Signal;
use tokio::time::Instant;

/// How often it looks whether it was woken.
const LOOK: Duration = Duration::from_millis(40);

/// A program that does what `behaviour` says. `run` tells dataflows apart.
pub(crate) fn simulated(run: u32, behaviour: Behaviour) -> Program {
    Program::new(move |process| live(run, process, behaviour))
}

/// It dies as by SIGKILL when its program is dropped where it stands.
struct Mortal(SimulatedProcess);

impl Drop for Mortal {
    fn drop(&mut self) {
        self.0.kill();
    }
}

async fn live(run: u32, process: FakeProcess, behaviour: Behaviour) -> Exit {
    process.catch(Signal::TERM);
    let began = Instant::now();
    let seed = u64::from(process.index().0) << 32 | u64::from(process.epoch().0);
    let simulated = SimulatedProcess::new(run, process.pid(), behaviour, seed, Duration::ZERO);
    let mut node = Mortal(simulated);
    loop {
        while let Some((frame, descriptors)) = process.next_there() {
            node.0.hear(frame, descriptors);
        }
        while process.signal_there().is_some() {
            node.0.terminate();
        }
        if process.is_hung_up_on() {
            node.0.hang_up();
        }
        let did = node.0.step(began.elapsed());
        while let Some((frame, descriptors)) = node.0.say() {
            process.send(frame, descriptors);
        }
        for observed in node.0.take_observed() {
            assert!(
                !matches!(observed, Observation::Wrong { .. }),
                "{observed:?}"
            );
        }
        if let Some(exit) = node.0.ended() {
            return exit;
        }
        if did {
            tokio::task::yield_now().await;
        } else {
            tokio::select! {
                biased;
                () = process.told() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}
