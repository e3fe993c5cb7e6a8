//! What the statistics say is what has happened: they equal the report, which equals the nodes' own ledgers, through kills
//! and restarts, for somebody who has looked all the time.

use std::time::Duration;

use dataflow_ids::LifeCycle;
use dataflow_ids::stats::{EdgeRow, Statistics};
use dataflow_tests::{Project, Random, node};
use dataflow_wire::status::{EdgeCounts, EdgeStatus, Outcome};
use rustix::process::{Pid, Signal, kill_process};

use crate::subscriber::{Subscriber, counters};

/// How many nodes are killed.
const KILLS: u32 = 8;
/// How many messages an incarnation of a receiver may have taken and not yet counted in the histograms.
const UNWRITTEN_MAX: u64 = 32;
/// How many all incarnations of a receiver may: one more than there are kills, and the one that was restarted by hand.
const MISSING_MAX: u64 = UNWRITTEN_MAX * (KILLS as u64 + 2);

fn kill(pid: Option<u32>) {
    let pid = pid.and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.and_then(Pid::from_raw).expect("the process lives");
    kill_process(pid, Signal::KILL).expect("the process lives");
}

/// The counts of an edge in the order of [`counters`].
fn counted(of: &EdgeCounts) -> [u64; 9] {
    [
        of.sent,
        of.delivered,
        of.released,
        of.lost,
        of.dropped_full,
        of.dropped_receiver_closed,
        of.dropped_memory,
        of.bytes,
        of.blocked_ns,
    ]
}

fn edges_agree(rows: &[EdgeRow], edges: &[EdgeStatus]) -> bool {
    rows.len() == edges.len()
        && rows.iter().zip(edges).all(|(row, edge)| {
            counters(&row.counters) == counted(&edge.counts)
                && row.gauges.queued.get() == edge.counts.queued
                && row.gauges.held.get() == edge.counts.held
        })
}

fn restarts(statistics: &Statistics) -> u64 {
    statistics.dataflows[0].level.restarts.get()
}

#[test]
fn statistics_equal_the_report_and_the_ledgers_through_kills_and_restarts() {
    let project = Project::new("statistics-exact");
    project.flow(
        "
nodes:
  - id: camera
    path: LEDGER_NODE
    args: [source, bytes=24..9000, pause_us=300..2000]
    restart: { policy: on-failure, max: 1000, backoff: 1ms..5ms }
    outputs: [o0]
  - id: relay
    path: LEDGER_NODE
    args: [relay, bytes=24..3000]
    restart: { policy: on-failure, max: 1000, backoff: 1ms..5ms }
    inputs: { i0: { source: camera/o0, queue_policy: block, queue_size: 3 } }
    outputs: [o0]
  - id: logger
    path: LEDGER_NODE
    args: [sink, hold=0..5]
    restart: { policy: on-failure, max: 1000, backoff: 1ms..5ms }
    inputs:
      i0: { source: camera/o0, queue_size: 2 }
      i1: { source: relay/o0, queue_policy: block, queue_size: 4 }
",
    );
    let seed = u64::from(std::process::id());
    let mut random = Random::new(seed);
    println!("statistics-exact: seed {seed}");
    let up = project.up();
    let all_run = |killed: u32| {
        project.wait_until("each that was killed runs again", |status| {
            let restarts: u32 = status.nodes.iter().map(|node| node.restarts).sum();
            let mut nodes = status.nodes.iter();
            restarts == killed && nodes.all(|node| node.state == LifeCycle::Running)
        })
    };
    all_run(0);
    let subscriber = Subscriber::of(&project, Duration::from_millis(100));
    for killed in 0..KILLS {
        let status = all_run(killed);
        subscriber.wait_until("it is told of the restart", |now| {
            restarts(now) == u64::from(killed)
        });
        std::thread::sleep(Duration::from_micros(random.below(5000)));
        kill(status.nodes[random.below(3) as usize].pid);
    }
    all_run(KILLS);
    let again = project.dataflow(["restart", "relay"]).run();
    again.expect_code(0);
    project.wait_until(
        "few are missing beside those that were delivered",
        |status| {
            let mut edges = status.edges.iter();
            edges.all(|edge| edge.counts.delivered > 10 * MISSING_MAX)
        },
    );

    // At rest: nobody sends any more, and everything has been read. Then nothing changes between two looks.
    let parked = project.dataflow(["stop", "camera"]).run();
    parked.expect_code(0);
    let at_rest = project.wait_until("nothing is queued", |status| {
        let mut edges = status.edges.iter();
        edges.all(|edge| edge.counts.queued == 0)
    });
    let seen = subscriber.wait_until("it is told how it stands at rest", |now| {
        // What a sink keeps it may give back at any time, so it is asked again.
        edges_agree(&now.edges, &project.ps()[0].edges)
    });
    assert_eq!(restarts(&seen), u64::from(KILLS) + 1);
    for row in &seen.nodes {
        let shown = node(&at_rest, row.name.as_str());
        assert_eq!(row.numbers.state, shown.state);
        assert_eq!(row.numbers.restarts.get(), u64::from(shown.restarts));
        assert_eq!(row.numbers.epoch, shown.epoch);
    }
    project.down().expect_code(0);
    up.wait().expect_code(0);
    let (last, updates) = subscriber.end();
    println!("statistics-exact: told {updates} times");

    // Every message of the report is in a ledger, or named as dropped or lost.
    let (report, accounts) = project.accounts();
    assert_eq!(report.outcome, Outcome::Drained);
    assert!(accounts.consumed > 100 && accounts.deaths > 0);
    assert!(
        edges_agree(&last.edges, &report.edges),
        "the last that was said: {:#?}\nthe report: {:#?}",
        last.edges,
        report.edges
    );
    // What the receivers' programs have timed: no message twice, and all but what an incarnation had not written down yet.
    for row in &last.edges {
        let delivered = row.counters.delivered.get();
        let timed: u64 = row.histograms.latency.buckets.iter().sum();
        assert!(
            timed <= delivered && timed + MISSING_MAX >= delivered,
            "{timed} of {delivered} messages: {row:?}"
        );
    }
    let all = &last.total.into;
    let dropped =
        all.dropped_full.get() + all.dropped_receiver_closed.get() + all.dropped_memory.get();
    assert_eq!(all.sent.get(), accounts.sent);
    assert_eq!(all.released.get(), accounts.released);
    assert_eq!(all.lost.get(), accounts.lost);
    assert_eq!(dropped, accounts.dropped);
}
