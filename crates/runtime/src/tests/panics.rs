//! I-9: any handler of any actor may panic at any step, and the dataflow comes to the same end.

use dataflow_ids::{End, NodeIndex};
use dataflow_wire::status::{Outcome, Report};

use super::support::Project;
use crate::actors::ActorName;
use crate::supervision::faults;

const TWO: &str = "name: two
nodes:
  - id: once
    path: ./once.sh
  - id: again
    path: ./again.sh
    restart: { policy: on-failure, max: 3, window: 60s, backoff: 1ms..2ms }
";

/// One run on this thread, with a fault at one step of one actor.
fn run(victim: ActorName, at: u64) -> (Report, u64) {
    let project = Project::new();
    project.script("once.sh", "exit 0");
    project.script("again.sh", "test -e second && exit 0; touch second; exit 1");
    let run = project.prepare(TWO).unwrap();
    faults::arm(victim, at);
    let (to_test, _events) = std::sync::mpsc::channel();
    let report = run.block_on(to_test).unwrap();
    (report, faults::steps())
}

fn every_step_may_panic(victim: ActorName) {
    let (_, steps) = run(victim, 0);
    assert!(steps > 2, "{victim} has done something");
    for at in 1..=steps {
        let (report, _) = run(victim, at);
        assert_eq!(
            report.outcome,
            Outcome::Drained,
            "{victim} at {at}: {report:?}"
        );
        let ends: Vec<&End> = report.nodes.iter().map(|node| &node.end).collect();
        assert_eq!(ends, [&End::Drained; 2], "{victim} at {at}");
        assert_eq!(report.nodes[1].restarts, 1, "{victim} at {at}");
    }
}

#[test]
fn the_dataflow_actor_may_panic_at_every_step() {
    every_step_may_panic(ActorName::Dataflow);
}

#[test]
fn a_node_actor_may_panic_at_every_step() {
    every_step_may_panic(ActorName::Node(NodeIndex(1)));
}

#[test]
fn the_scheduler_may_panic_at_every_step() {
    every_step_may_panic(ActorName::Scheduler);
}

#[test]
fn the_keeper_of_statistics_may_panic_at_every_step() {
    every_step_may_panic(ActorName::Stats);
}
