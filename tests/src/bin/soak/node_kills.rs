//! SIGKILL of nodes: half of them by themselves at named points, half by somebody else at any moment, also while
//! the dataflow stops.

use std::time::{Duration, Instant};

use dataflow_ids::LifeCycle;
use dataflow_tests::{Project, Random, Running, Talk};
use dataflow_wire::status::{DataflowStatus, Outcome, Phase, Report};
use rustix::process::{Pid, Signal, kill_process};

use crate::shape::{self, Wish};
use crate::tally::Tally;

/// How many deaths a cycle is about.
pub(crate) const DEATHS: u64 = 100;

pub(crate) fn cycle(random: &mut Random, left: u64) -> Tally {
    let mut tally = Tally::default();
    let project = Project::new("node-kills");
    let wish = Wish {
        restarts: true,
        die: Some(random.between(2, 8)),
    };
    project.flow(&shape::any(random, wish));
    let (up, mut talk) = up_and_running(&project);
    let mut restarts = 0;
    let mut by_us = 0;
    while restarts < left.min(DEATHS) {
        let micros_max = *random.choose(&[500, 2000, 10_000]);
        pause(random, micros_max);
        let status = talk.status().expect("it is up");
        restarts = restarts_of(&status);
        by_us += kill_one(random, &status);
    }
    let began = Instant::now();
    up.interrupt();
    if random.one_in(2) {
        // Who is killed while it stops is not there to end well, and what it held is listed.
        for _ in 0..random.between(1, 6) {
            pause(random, 3000);
            match talk.status() {
                Some(status) => by_us += kill_one(random, &status),
                None => break,
            }
        }
    }
    // The runtime waits a second for those who talk to it to leave.
    drop(talk);
    let ended = ended(up, &project);
    tally.time("from the stop to the end", began.elapsed());
    let (report, accounts) = project.accounts();
    tally.count("dataflows", 1);
    tally.count("SIGKILLs at any moment", by_us);
    tally.count(
        match ended {
            Outcome::Drained => "dataflows that ended drained",
            Outcome::Failed => "dataflows with a node killed in its stop",
            Outcome::Forced => "dataflows that were forced",
        },
        1,
    );
    assert!(report.forced.is_none(), "nobody forced: {report:#?}");
    tally.done = accounts.deaths;
    tally.accounts = accounts;
    project.assert_back_to_baseline();
    tally
}

fn restarts_of(status: &DataflowStatus) -> u64 {
    let restarts = status.nodes.iter().map(|node| u64::from(node.restarts));
    restarts.sum()
}

/// Waits for a moment that nobody has chosen.
pub(crate) fn pause(random: &mut Random, micros_max: u64) {
    std::thread::sleep(Duration::from_micros(random.below(micros_max)));
}

/// Kills one of the nodes that have a process; gives how many it has killed.
fn kill_one(random: &mut Random, status: &DataflowStatus) -> u64 {
    let living: Vec<u32> = status
        .nodes
        .iter()
        .filter(|node| node.state != LifeCycle::Backoff)
        .filter_map(|node| node.pid)
        .collect();
    if living.is_empty() {
        return 0;
    }
    let pid = i32::try_from(*random.choose(&living)).ok();
    let pid = pid.and_then(Pid::from_raw).expect("a process has a number");
    // It may have killed itself at this very moment.
    u64::from(kill_process(pid, Signal::KILL).is_ok())
}

/// Waits for the end of `up`, and checks that its exit code says what its report says.
pub(crate) fn ended(up: Running, project: &Project) -> Outcome {
    let finished = up.wait();
    let report: Report = project.report();
    let code = match report.outcome {
        Outcome::Drained => 0,
        Outcome::Failed => 1,
        Outcome::Forced => 3,
    };
    finished.expect_code(code);
    report.outcome
}

/// Starts the dataflow, and waits until every node was ready.
pub(crate) fn up_and_running(project: &Project) -> (Running, Talk) {
    let mut up = project.up();
    let mut talk = project.talk(&mut up).expect("it is up");
    talk.wait_until("every node was ready", |status| {
        status.phase == Phase::Running
    })
    .expect("it is up");
    (up, talk)
}
