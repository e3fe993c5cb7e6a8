//! Dataflows on an agent: `up` uses the one of its machine, and everything else is as without one.

use dataflow_ids::PeerState::Healthy;
use dataflow_tests::{Agent, Machine, PeersFile, edge};
use dataflow_wire::status::Outcome;
use rustix::process::Signal;

use crate::world::{file_of, healthy, machines, stop_all};

const FLOW: &str = "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=5]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive]
    inputs: { in: { source: sender/out, queue_policy: block } }
";

/// A machine that has no other peers, with its agent.
fn alone(test: &str) -> Option<(Machine, Agent)> {
    let [machine] = machines(test, ["a"])?;
    machine.write(file_of(PeersFile::STEADY, &[&machine]));
    machine.project().flow(FLOW);
    let agent = machine.start();
    Some((machine, agent))
}

fn has_ended_a_run(agent: &Agent) -> bool {
    agent
        .events()
        .iter()
        .any(|event| event["event"] == "run-ended")
}

#[test]
fn up_beside_an_agent_runs_there_and_peers_do_not_notice() {
    let ids = ["a", "b"];
    let Some((machines, agents)) = healthy("up-beside", PeersFile::STEADY, ids) else {
        return;
    };
    let project = machines[0].project();
    project.flow(FLOW);
    let up = project.up();
    project.record("receiver").wait_for("input");
    let shown = project.ps();
    assert_eq!(shown.len(), 1, "{shown:#?}");
    assert_eq!(shown[0].pid, agents[0].pid(), "the agent runs it");
    agents[0].wait_for_event("a dataflow runs", |event| event["event"] == "run-begun");
    project.down().expect_code(0);
    up.wait().expect_code(0).expect_line(&["drained"]);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    assert!(edge(&report.edges, "sender/out", "receiver/in").counts.sent > 0);
    dataflow_tests::wait_until("the agent has said so", || has_ended_a_run(&agents[0]));
    assert_eq!(project.ps(), []);

    // And once more, without it.
    project.forget_records();
    let up = project
        .dataflow(["up", "--no-agent"])
        .arg(project.file())
        .start();
    project.record("receiver").wait_for("input");
    assert_eq!(project.ps()[0].pid, up.pid(), "it runs by itself");
    up.interrupt();
    up.wait().expect_code(0);
    assert_eq!(agents[0].states_of("b"), [Healthy]);
    assert_eq!(agents[1].states_of("a"), [Healthy]);
    stop_all(agents);
}

#[test]
fn an_agent_that_is_stopped_drains_what_runs_on_it() {
    let Some((machine, agent)) = alone("agent-drains") else {
        return;
    };
    let project = machine.project();
    let up = project.up();
    project.record("receiver").wait_for("input");
    agent.stop();
    up.wait().expect_code(0).expect_line(&["drained"]);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn the_dataflow_of_an_up_that_is_killed_is_stopped_and_one_in_the_background_goes_on() {
    let Some((machine, agent)) = alone("up-killed") else {
        return;
    };
    let project = machine.project();
    let up = project.up();
    project.record("receiver").wait_for("input");
    up.signal(Signal::KILL);
    up.wait();
    dataflow_tests::wait_until("its dataflow has ended", || has_ended_a_run(&agent));
    assert_eq!(project.report().outcome, Outcome::Drained);
    project.forget_records();
    project.up_detached();
    project.record("receiver").wait_for("input");
    assert_eq!(project.ps()[0].pid, agent.pid());
    project.down().expect_code(0);
    agent.stop();
}

#[test]
fn when_an_agent_is_killed_its_nodes_end_and_up_says_who_was_lost() {
    let Some((machine, agent)) = alone("agent-killed") else {
        return;
    };
    let project = machine.project();
    let up = project.up();
    project.record("receiver").wait_for("input");
    let pid = agent.pid();
    agent.kill();
    up.wait()
        .expect_code(1)
        .expect_line(&[&format!("pid {pid}")]);
    project.wait_until_no_process();
    // Another one takes its place, and clears away what is left.
    let agent = machine.start();
    project.forget_records();
    let up = project.up();
    project.record("receiver").wait_for("input");
    agent.stop();
    up.wait().expect_code(0);
}
