//! Clients that do not read: as many `top`s as may watch a dataflow, all of them stopped. Nobody else feels it.

use std::time::{Duration, Instant};

use dataflow_tests::{Project, Running};
use rustix::process::Signal;

use crate::top::Shown;

/// How many there are: so many have a place, and one more has none.
const TOPS: usize = 64;
/// So many start at a time.
const TOGETHER: usize = 8;

/// Starts so many, and stops each when it has shown something.
fn stopped_tops(project: &Project, count: usize) -> Vec<Running> {
    let command = ["top", "stopped-tops", "--json", "--interval", "100ms"];
    let start = |_| project.dataflow(command).start();
    let tops: Vec<Running> = (0..count).map(start).collect();
    for top in &tops {
        top.wait_for_line_in_which("it shows the dataflow", |line| Shown::of(line).is_some());
        top.signal(Signal::STOP);
    }
    tops
}

#[test]
fn beside_as_many_stopped_tops_as_there_are_places_commands_are_answered_and_messages_flow() {
    let project = Project::new("stopped-tops");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=1]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, quiet]
    inputs: { in: { source: sender/out, queue_policy: block } }
",
    );
    let up = project.up();
    let delivered = |more_than: u64| {
        let status = project.wait_until("messages flow", |status| {
            status.edges[0].counts.delivered > more_than
        });
        status.edges[0].counts.delivered
    };
    delivered(0);
    let mut tops = Vec::new();
    while tops.len() < TOPS {
        tops.extend(stopped_tops(&project, TOGETHER));
    }

    let mut longest = Duration::ZERO;
    let mut answered = |what: &str, begun: Instant| {
        let took = begun.elapsed();
        println!("{what} beside {TOPS} stopped tops: {took:?}");
        longest = longest.max(took);
    };
    for _ in 0..3 {
        let seen = delivered(0);
        let begun = Instant::now();
        project.ps();
        answered("ps", begun);
        delivered(seen + 100);
    }
    let begun = Instant::now();
    project
        .dataflow(["restart", "receiver"])
        .run()
        .expect_code(0);
    answered("restart", begun);
    // One more wants to look: who stands gives its place.
    let begun = Instant::now();
    let looks = project.dataflow(["top", "stopped-tops", "--once"]).run();
    answered("top --once", begun);
    looks.expect_code(0).expect_line(&["receiver", "running"]);
    for top in &mut tops {
        assert!(!top.has_ended(), "nobody lets go of who stands");
    }
    let begun = Instant::now();
    project.down().expect_code(0);
    up.wait().expect_code(0);
    answered("down", begun);
    println!("the longest: {longest:?}");

    // Who goes on hears of the end, also whose place was taken.
    for top in &tops {
        top.signal(Signal::CONT);
    }
    for top in tops {
        top.wait().expect_code(0);
    }
}
