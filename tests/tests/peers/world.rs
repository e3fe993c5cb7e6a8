//! What the scenarios begin with: machines that list each other, and their agents.

use std::thread;
use std::time::Duration;

use dataflow_core::peers::{HealthCheck, detection_bound, recovery_bound};
use dataflow_tests::{Agent, Machine, Network, PeersFile};

/// How much longer than its bound everything may take here: machines of tests are slow and busy.
const SLOWNESS: u32 = 10;

/// A network of machines with these ids; `None` where there cannot be hosts.
pub(crate) fn machines<const N: usize>(test: &str, ids: [&str; N]) -> Option<[Machine; N]> {
    let network = Network::new(test)?;
    Some(ids.map(|id| Machine::new(&network, test, id)))
}

/// The file that lists all of them as they are.
pub(crate) fn file_of(health_check: &'static str, machines: &[&Machine]) -> PeersFile {
    PeersFile {
        health_check,
        entries: machines.iter().map(|machine| machine.entry()).collect(),
    }
}

/// Machines that have the same file, their agents running, and everybody healthy.
pub(crate) fn healthy<const N: usize>(
    test: &str,
    health_check: &'static str,
    ids: [&str; N],
) -> Option<([Machine; N], [Agent; N])> {
    let machines = machines(test, ids)?;
    let file = file_of(health_check, &machines.each_ref());
    for machine in &machines {
        machine.write(&file);
    }
    let agents = machines.each_ref().map(Machine::start);
    all_healthy(&agents, &ids);
    Some((machines, agents))
}

/// Waits until each of them calls each other one healthy.
#[track_caller]
pub(crate) fn all_healthy(agents: &[Agent], ids: &[&str]) {
    for (agent, id) in agents.iter().zip(ids) {
        let others: Vec<_> = ids.iter().filter(|other| *other != id).copied().collect();
        agent.wait_until_healthy(&others);
    }
}

/// Stops all of them well.
pub(crate) fn stop_all(agents: impl IntoIterator<Item = Agent>) {
    for agent in agents {
        agent.stop();
    }
}

/// [`PeersFile::EAGER`], as `core` takes it.
pub(crate) const EAGER: HealthCheck = HealthCheck {
    interval: Duration::from_secs(2),
    timeout: Duration::from_secs(2),
    unreachable_after: 3,
};

/// How long a test waits until a peer that is gone is called unreachable, with [`EAGER`].
pub(crate) fn detected_within() -> Duration {
    detection_bound(EAGER) * SLOWNESS
}

/// How long a test waits until a peer that is back is called healthy, with [`EAGER`].
pub(crate) fn recovered_within() -> Duration {
    recovery_bound(EAGER) * SLOWNESS
}

/// Prints what a person wants to know of a run, also of one that succeeds with `--nocapture`.
pub(crate) fn say(scenario: &str, what: &str, took: Duration, bound: Duration) {
    println!(
        "{scenario}: {what} after {:.1} s (bound {:.1} s)",
        took.as_secs_f64(),
        bound.as_secs_f64()
    );
}

/// Lets time pass that belongs to the scenario: for so long a cable is out, or a process stands still.
pub(crate) fn for_as_long_as(time: Duration) {
    thread::sleep(time);
}

/// Runs scenarios at the same time, each on a thread of its own.
///
/// # Panics
///
/// When one has panicked, with the names of all that have.
pub(crate) fn side_by_side(scenarios: &[(&'static str, fn())]) {
    let running: Vec<_> = scenarios
        .iter()
        .map(|(name, scenario)| {
            let thread = thread::Builder::new().name((*name).to_owned());
            (name, thread.spawn(*scenario).expect("there are threads"))
        })
        .collect();
    let failed: Vec<_> = running
        .into_iter()
        .filter_map(|(name, thread)| thread.join().is_err().then_some(*name))
        .collect();
    assert!(failed.is_empty(), "failed, see above: {failed:?}");
}
