//! What takes longer: messages held for a minute, nodes that print without end, that have workers, or that close what
//! is not theirs.

use std::time::{Duration, Instant};

use dataflow_tests::{Fact, Project, Random};
use dataflow_wire::status::Outcome;
use rustix::process::{Pid, Signal, kill_process};

use crate::node_kills::{ended, pause, up_and_running};
use crate::tally::Tally;

/// For how long messages of dead incarnations are held.
const HELD: Duration = Duration::from_secs(60);

pub(crate) fn cycle(random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    tally.done = 1;
    match random.below(4) {
        0 => held_for_a_minute(random, &mut tally),
        1 => loud(random, &mut tally),
        2 => workers(random, &mut tally),
        _ => closing(random, &mut tally),
    }
    tally
}

fn kill(pid: Option<u32>) {
    let pid = pid.and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // It may have ended at this very moment.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// A sender that is killed again and again, while its receiver keeps messages of its first incarnations.
fn held_for_a_minute(random: &mut Random, tally: &mut Tally) {
    let project = Project::new("held-for-a-minute");
    project.flow(
        "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=50000, pause_us=1000]
    output_memory_mb: 12
    restart: { policy: on-failure, max: 100000, window: 1h, backoff: 1ms..5ms }
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink, keep=40, each=10]
    inputs: { i0: { source: sender/o0, queue_policy: block } }
",
    );
    let (up, mut talk) = up_and_running(&project);
    let began = Instant::now();
    while began.elapsed() < HELD {
        std::thread::sleep(Duration::from_millis(200 + random.below(1000)));
        let status = talk.status().expect("it is up");
        kill(status.nodes[0].pid);
        tally.count("senders killed while their messages were held", 1);
    }
    drop(talk);
    up.interrupt();
    // A sender that is killed in the very moment of the stop has crashed.
    assert_ne!(ended(up, &project), Outcome::Forced);
    let (_, accounts) = project.accounts();
    let kept = Fact::Verified { count: 40 };
    assert!(project.ledger("receiver").contains(&kept), "they are whole");
    assert_eq!((accounts.lost, accounts.dropped), (0, 0));
    tally.count("messages held for a minute, and whole", 40);
    tally.accounts = accounts;
    project.assert_back_to_baseline();
}

/// A node that prints without end, stopped or killed in the middle of it.
fn loud(random: &mut Random, tally: &mut Tally) {
    let project = Project::new("loud");
    project.flow(
        "
on_failure: continue
nodes:
  - id: loud
    path: /bin/sh
    args: [-c, 'exec yes \"a line of sixty-four characters, as a program in trouble prints it\"']
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=3000, pause_us=1000]
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink]
    inputs: { i0: { source: sender/o0, queue_policy: block } }
",
    );
    project.up_detached();
    let status = project.ps().remove(0);
    pause(random, 1_000_000);
    if random.one_in(2) {
        kill(status.nodes[0].pid);
    }
    let down = project.down();
    let (report, accounts) = project.accounts();
    let code = i32::from(report.outcome == Outcome::Failed);
    down.expect_code(code);
    assert_eq!((accounts.lost, accounts.dropped), (0, 0));
    tally.count("nodes that printed without end", 1);
    tally.accounts = accounts;
    project.assert_back_to_baseline();
}

/// A node in Python with workers, killed now and then.
fn workers(random: &mut Random, tally: &mut Tally) {
    let project = Project::new("workers");
    let method = random.choose(&["fork", "spawn"]);
    project.flow(&format!(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, bytes=20000, every_ms=1]
    outputs: [out]
  - id: boss
    path: NODES/workers.py
    args: [method={method}]
    restart: {{ policy: on-failure, max: 100, backoff: 1ms..5ms }}
    inputs: {{ in: {{ source: sender/out, queue_policy: block }} }}
"
    ));
    let (up, mut talk) = up_and_running(&project);
    for _ in 0..random.between(1, 3) {
        pause(random, 2_000_000);
        let status = talk.status().expect("it is up");
        kill(status.nodes[1].pid);
        tally.count("nodes killed with their workers", 1);
    }
    drop(talk);
    up.interrupt();
    assert_ne!(ended(up, &project), Outcome::Forced);
    let arrived = project.record("boss").arrived("in");
    assert!(
        arrived.is_sorted_by(|before, after| before < after),
        "none twice, in order"
    );
    project.assert_back_to_baseline();
}

/// A node in Python that closes descriptors which are not its own.
fn closing(random: &mut Random, tally: &mut Tally) {
    let project = Project::new("closing");
    let which = random.choose(&["all", "memory"]);
    let at = random.between(1, 50);
    project.flow(&format!(
        "
on_failure: continue
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, bytes=20000, count=300, every_ms=1]
    outputs: [out]
  - id: closing
    path: NODES/close_descriptors.py
    args: [which={which}, at={at}]
    inputs: {{ in: {{ source: sender/out, queue_policy: block }} }}
  - id: other
    path: RUST_NODE
    args: [receive]
    inputs: {{ in: {{ source: sender/out, queue_policy: block }} }}
"
    ));
    let up = project.up();
    let outcome = ended(up, &project);
    assert_eq!(outcome == Outcome::Failed, *which == "all");
    let all: Vec<u64> = (1..=300).collect();
    assert_eq!(project.record("other").arrived("in"), all);
    tally.count("nodes that closed our descriptors", 1);
    project.assert_back_to_baseline();
}
