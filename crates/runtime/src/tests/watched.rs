//! Statistics of runs of real processes, watched through the socket that every command finds.

use std::time::Duration;

use dataflow_ids::stats::Statistics;
use dataflow_ids::{LifeCycle, StopMode};

use super::support::Project;
use crate::client::Watcher;

const OFTEN: Duration = Duration::from_millis(100);

const FLOW: &str = "name: flow
nodes:
  - id: long
    path: ./long.sh
  - id: again
    path: ./again.sh
    restart: { policy: on-failure, max: 3, window: 60s, backoff: 10ms..20ms }
";

fn project() -> Project {
    let project = Project::new();
    project.script("long.sh", "trap 'exit 0' TERM; echo up; sleep 1000 & wait");
    // Its first life fails, its second one is good.
    project.script(
        "again.sh",
        "test -e lived && { echo lives again; exit 0; }; touch lived; exit 3",
    );
    project
}

/// What stands in the statistics of nodes by their names.
fn node(known: &Statistics, name: &str) -> (LifeCycle, u64, Option<u32>) {
    let node = (known.nodes.iter()).find(|node| node.name.as_str() == name);
    let node = node.unwrap();
    (node.numbers.state, node.numbers.restarts.get(), node.pid)
}

#[test]
fn who_watches_a_run_sees_its_nodes_live_and_end_and_knows_in_the_end_what_the_report_says() {
    let project = project();
    let run = project.start(FLOW);
    run.wait_for_lines(&["up", "lives again"]);
    let found = &project.found()[0];
    let mut watcher = Watcher::of_run(found, OFTEN, Box::new(|_| {})).unwrap();
    let mut revision = 0;
    loop {
        let known = watcher.next().unwrap().expect("the run goes on");
        assert!(known.revision >= revision, "it goes back");
        revision = known.revision;
        let (state, _, pid) = node(known, "long");
        if node(known, "again").0 == LifeCycle::Finished && state == LifeCycle::Ready {
            assert!(pid.is_some());
            assert_eq!(known.dataflows[0].run, found.run);
            assert_eq!(known.groups.len(), 2);
            break;
        }
    }
    run.controls.stop(StopMode::Graceful, None);
    while watcher.next().unwrap().is_some() {}
    let last = watcher.last().unwrap().clone();
    let report = run.report();
    for told in &report.nodes {
        let (state, restarts, pid) = node(&last, told.node.as_str());
        assert_eq!((state, pid), (LifeCycle::Finished, None), "{}", told.node);
        assert_eq!(restarts, u64::from(told.restarts), "{}", told.node);
    }
    assert_eq!(last.total.states[LifeCycle::Finished].get(), 2);
    assert_eq!(last.total.restarts.get(), 1);
    assert_eq!(last.audit.refused_transitions.get(), 0);
    let stats = last.actors.iter().find(|row| row.actor == "stats").unwrap();
    assert!(stats.handled.get() >= last.total.transitions.get());
    let nodes = last.actors.iter().find(|row| row.actor == "node").unwrap();
    assert_eq!((nodes.actors.get(), nodes.rebuilt.get()), (2, 0));
}

#[test]
fn a_subscriber_that_stays_away_does_not_keep_a_run_from_its_end() {
    let project = project();
    let run = project.start(FLOW);
    run.wait_for_line("up");
    let found = &project.found()[0];
    // It reads nothing.
    let watcher = Watcher::of_run(found, OFTEN, Box::new(|_| {})).unwrap();
    run.controls.stop(StopMode::Graceful, None);
    run.report();
    drop(watcher);
}
