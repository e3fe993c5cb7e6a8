//! For how long senders have waited: known while they wait, and not forgotten when one is killed in it.

use std::time::Duration;

use dataflow_ids::stats::Statistics;
use dataflow_tests::{Project, node};
use rustix::process::{Pid, Signal, kill_process};

use crate::subscriber::Subscriber;

/// For how long the sender waits, at least.
const WAIT: Duration = Duration::from_secs(2);

fn blocked(statistics: &Statistics) -> Duration {
    Duration::from_nanos(statistics.edges[0].counters.blocked_ns.get())
}

fn moment(statistics: &Statistics) -> Duration {
    Duration::from_nanos(statistics.at_ns)
}

#[test]
fn the_time_that_a_sender_is_blocked_counts_while_it_is_and_stays_when_it_is_killed() {
    let project = Project::new("statistics-blocked");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: planner
    path: RUST_NODE
    args: [send, count=30]
    restart: { policy: on-failure, max: 1, backoff: 1ms..5ms }
    outputs: [out]
  - id: disk
    path: RUST_NODE
    args: [receive, gate=GATES/gate, gate_at=2]
    inputs: { in: { source: planner/out, queue_policy: block, queue_size: 3 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    let subscriber = Subscriber::of(&project, Duration::from_millis(100));
    let first = subscriber.wait_until("the sender is blocked", |now| {
        now.edges[0].gauges.blocked.get() == 1
    });
    let second = subscriber.wait_until("it goes on to be", |now| {
        moment(now) > moment(&first) + WAIT
    });
    let grown = blocked(&second) - blocked(&first);
    let apart = moment(&second) - moment(&first);
    // The same share of the time as it takes: all of it, but for when each of the two was read.
    assert!(
        grown * 2 >= apart && grown <= apart * 2,
        "{grown:?} of {apart:?}"
    );

    let pid = node(&project.ps()[0], "planner").pid;
    let pid = pid.and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.and_then(Pid::from_raw).expect("it lives");
    kill_process(pid, Signal::KILL).expect("it lives");
    let again = subscriber.wait_until("its next incarnation is blocked", |now| {
        let restarts = now.nodes[0].numbers.restarts.get();
        restarts == 1 && now.edges[0].gauges.blocked.get() == 1
    });
    assert!(blocked(&again) >= blocked(&second));
    gate.open();
    up.wait().expect_code(0);
    let (last, _) = subscriber.end();
    assert!(blocked(&last) >= blocked(&again));
    let report = project.report();
    assert_eq!(
        u128::from(report.edges[0].counts.blocked_ns),
        blocked(&last).as_nanos()
    );
}
