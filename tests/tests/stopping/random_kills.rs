//! Whatever is killed, and whenever: every message is accounted for, and nothing is left.

use std::time::Duration;

use dataflow_ids::LifeCycle;
use dataflow_tests::{Project, Random};
use dataflow_wire::status::Outcome;

#[test]
fn the_counts_hold_whoever_is_killed_at_whatever_moment() {
    let project = Project::new("random-kills");
    project.flow(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, bytes=3000, every_ms=0]
    restart: { policy: always, max: 1000, backoff: 1ms..5ms }
    outputs: [out]
  - id: relay
    path: RUST_NODE
    args: [relay, quiet]
    restart: { policy: always, max: 1000, backoff: 1ms..5ms }
    inputs: { in: { source: sender/out, queue_policy: block, queue_size: 3 } }
    outputs: [out]
  - id: holder
    path: RUST_NODE
    args: [receive, quiet, hold=5]
    restart: { policy: always, max: 1000, backoff: 1ms..5ms }
    inputs:
      direct: { source: sender/out, queue_size: 4 }
      relayed: { source: relay/out, queue_policy: block, queue_size: 2 }
  - id: latest
    path: RUST_NODE
    args: [receive, quiet]
    restart: { policy: always, max: 1000, backoff: 1ms..5ms }
    inputs: { in: { source: relay/out, queue_policy: latest } }
",
    );
    let seed = u64::from(std::process::id());
    let mut random = Random::new(seed);
    println!("random-kills: seed {seed}");
    let up = project.up();
    let mut killed = 0;
    let all_run = |killed: u32| {
        project.wait_until("each that was killed runs again", |status| {
            let restarts: u32 = status.nodes.iter().map(|node| node.restarts).sum();
            let mut nodes = status.nodes.iter();
            restarts == killed && nodes.all(|node| node.state == LifeCycle::Running)
        })
    };
    for _ in 0..40 {
        // All are there, messages flow; then one of them dies at a moment that nobody chose.
        let status = all_run(killed);
        std::thread::sleep(Duration::from_micros(random.below(5000)));
        let victim = random.below(status.nodes.len() as u64) as usize;
        crate::kill(status.nodes[victim].pid);
        killed += 1;
        if random.one_in(4) {
            let other = (victim + 1) % status.nodes.len();
            crate::kill(status.nodes[other].pid);
            killed += 1;
        }
    }
    all_run(killed);
    project.down().expect_code(0);
    up.wait().expect_code(0);
    // `report` checks the sums of every edge.
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    for edge in &report.edges {
        let counts = &edge.counts;
        println!(
            "random-kills: {}/{} → {}: {counts:?}",
            edge.source, edge.output, edge.target
        );
        assert!(counts.delivered > 0);
        assert_eq!(counts.queued, 0);
    }
}
