//! I-9: any handler of any actor may panic at any step, and the dataflow comes to the same end.

use dataflow_ids::{End, NodeIndex};
use dataflow_wire::status::{Outcome, Report};

use super::support::Project;
use crate::RunError;
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

/// One run on this thread, with faults at some steps of one actor.
fn run(victim: ActorName, at: &[u64]) -> (Result<Report, RunError>, u64) {
    let project = Project::new();
    project.script("once.sh", "exit 0");
    project.script("again.sh", "test -e second && exit 0; touch second; exit 1");
    let run = project.prepare(TWO).unwrap();
    faults::arm(victim, at);
    let (to_test, _events) = std::sync::mpsc::channel();
    (run.block_on(to_test), faults::steps())
}

fn every_step_may_panic(victim: ActorName) {
    let (_, steps) = run(victim, &[]);
    assert!(steps > 2, "{victim} has done something");
    for at in 1..=steps {
        let report = run(victim, &[at]).0.unwrap();
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

#[test]
fn a_fault_that_comes_again_ends_the_node_or_the_run_and_never_hangs_it() {
    let victim = ActorName::Node(NodeIndex(1));
    let (_, steps) = run(victim, &[]);
    for at in 1..=steps {
        // The next incarnation begins in two steps, and panics in the third, over the same thing.
        match run(victim, &[at, at + 3]).0 {
            Ok(report) => {
                assert_eq!(report.nodes[0].end, End::Drained, "{at}: {report:?}");
                if report.outcome == Outcome::Failed {
                    assert!(report.because.contains("`again`"), "{at}: {report:?}");
                }
            }
            Err(error) => assert!(matches!(error, RunError::Actor { .. }), "{at}: {error}"),
        }
    }
}

#[test]
fn a_fault_of_the_leader_or_of_the_scheduler_that_comes_again_ends_the_run_and_never_hangs_it() {
    for victim in [ActorName::Dataflow, ActorName::Scheduler] {
        let (_, steps) = run(victim, &[]);
        let mut broken_off = 0;
        for at in 1..=steps {
            match run(victim, &[at, at + 3]).0 {
                Ok(report) => assert_eq!(report.outcome, Outcome::Drained, "{at}: {report:?}"),
                Err(RunError::Actor { actor, what }) => {
                    assert_eq!(actor, victim.to_string(), "{at}");
                    assert!(what.contains("the injected fault"), "{at}: {what}");
                    broken_off += 1;
                }
                Err(error) => panic!("{at}: {error}"),
            }
        }
        assert!(broken_off > 0, "{victim} has failed twice over one thing");
    }
}

/// One run on this thread, with a node that talks, one that is started twice, and a command that is connected.
fn run_with_faulty_tasks(kind: &'static str, times: u32) -> Result<Report, RunError> {
    let project = Project::new();
    project.script("once.sh", "echo hello; echo again");
    project.script("again.sh", "test -e second && exit 0; touch second; exit 1");
    let run = project.prepare(TWO).unwrap();
    let _command = project.found()[0].connect().unwrap();
    faults::arm_task(kind, times);
    let (to_test, _events) = std::sync::mpsc::channel();
    let result = run.block_on(to_test);
    faults::arm_task(kind, 0);
    result
}

#[test]
fn a_task_that_panics_is_taken_up_again_and_one_that_panics_twice_ends_the_run() {
    for kind in ["pump", "server", "timer"] {
        let report = run_with_faulty_tasks(kind, 1).unwrap();
        assert_eq!(report.outcome, Outcome::Drained, "{kind}: {report:?}");
        match run_with_faulty_tasks(kind, u32::MAX) {
            Err(RunError::Task { what, .. }) => assert!(what.contains("injected"), "{what}"),
            // The end of the node may come first, and its pipe is read to its end then.
            Ok(report) => assert_eq!((kind, report.outcome), ("pump", Outcome::Drained)),
            Err(error) => panic!("{kind}: {error}"),
        }
    }
}
