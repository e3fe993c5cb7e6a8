//! Everything at once: kills, standstills, nodes parked and restarted by hand, and stops of every kind at any moment,
//! also before every node was ready.

use std::time::Instant;

use dataflow_ids::{Forcer, NodeId, StopMode};
use dataflow_tests::{Project, Random, Running, Talk};
use dataflow_wire::client::ClientRequest;
use dataflow_wire::status::{DataflowStatus, Outcome, Phase};
use rustix::process::{Pid, Signal, kill_process};

use crate::node_kills::{ended, pause};
use crate::shape::{self, Wish};
use crate::tally::Tally;

const KILLED_BY_HAND: &str = "nodes killed and restarted by hand";

pub(crate) fn cycle(random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    let project = Project::new("chaos");
    let wish = Wish {
        restarts: random.one_in(2),
        die: random.one_in(3).then(|| random.between(2, 6)),
    };
    project.flow(&shape::any(random, wish));
    let mut up = project.up();
    let Some(mut talk) = project.talk(&mut up) else {
        panic!("it has ended before anybody asked it to");
    };
    if random.one_in(4) {
        tally.count("stopped before every node was ready", 1);
        pause(random, 10_000);
    } else {
        // A node that kills itself without a restart can end the dataflow at once.
        talk.wait_until("every node was ready", |status| {
            status.phase != Phase::Starting
        });
        for _ in 0..random.between(1, 12) {
            pause(random, 4000);
            let Some(status) = talk.status() else { break };
            interfere(random, &project, &mut up, &status, &mut tally);
        }
    }
    drop(talk);
    let began = Instant::now();
    let forced = stop(random, &project, &mut up, &mut tally);
    let outcome = ended(up, &project);
    tally.time("from the stop to the end", began.elapsed());
    // Who kills a node by hand forces, too.
    let forced = forced || tally.counts.contains_key(KILLED_BY_HAND);
    assert!(forced || outcome != Outcome::Forced, "nobody forced");
    let (_, accounts) = project.accounts();
    tally.done = 1;
    tally.accounts = accounts;
    project.assert_back_to_baseline();
    tally
}

/// Does something to one of the nodes.
fn interfere(
    random: &mut Random,
    project: &Project,
    up: &mut Running,
    status: &DataflowStatus,
    tally: &mut Tally,
) {
    let node = random.choose(&status.nodes);
    let pid = node.pid.and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.and_then(Pid::from_raw);
    match (random.below(6), pid) {
        (0 | 1, Some(pid)) => {
            // It may have ended at this very moment.
            let _ = kill_process(pid, Signal::KILL);
            tally.count("nodes killed", 1);
        }
        (2, Some(pid)) => {
            if kill_process(pid, Signal::STOP).is_ok() {
                pause(random, 20_000);
                let _ = kill_process(pid, Signal::CONT);
                tally.count("nodes paused for up to 20 ms", 1);
            }
        }
        (3, _) => {
            ask(
                project,
                up,
                |node| ClientRequest::StopNode { node, kill: None },
                &node.node,
            );
            tally.count("nodes parked by hand", 1);
        }
        (4, _) => {
            ask(
                project,
                up,
                |node| ClientRequest::RestartNode { node, kill: None },
                &node.node,
            );
            tally.count("nodes restarted by hand", 1);
        }
        _ => {
            let kill = Some(Forcer::DownForce);
            ask(
                project,
                up,
                |node| ClientRequest::RestartNode { node, kill },
                &node.node,
            );
            tally.count(KILLED_BY_HAND, 1);
        }
    }
}

/// Asks something about a node, and reads the first answer only.
fn ask(
    project: &Project,
    up: &mut Running,
    request: impl Fn(NodeId) -> ClientRequest,
    node: &NodeId,
) {
    if let Some(mut talk) = project.talk(up) {
        let _ = talk.ask(&request(node.clone()));
    }
}

fn say(project: &Project, up: &mut Running, request: &ClientRequest) {
    if let Some(talk) = project.talk(up).as_mut() {
        let _: Option<()> = Talk::say(talk, request);
    }
}

/// Stops it in some way, perhaps more than one; gives whether somebody forced.
fn stop(random: &mut Random, project: &Project, up: &mut Running, tally: &mut Tally) -> bool {
    let graceful = ClientRequest::Stop {
        mode: StopMode::Graceful,
        force_after: None,
    };
    let now = ClientRequest::Stop {
        mode: StopMode::Now,
        force_after: None,
    };
    let force = ClientRequest::Force {
        by: Forcer::DownForce,
    };
    match random.below(6) {
        0 | 1 => {
            tally.count("stopped", 1);
            say(project, up, &graceful);
        }
        2 => {
            tally.count("stopped now", 1);
            say(project, up, &now);
        }
        3 => {
            tally.count("stopped, and then now", 1);
            say(project, up, &graceful);
            pause(random, 5000);
            say(project, up, &now);
        }
        4 => {
            tally.count("stopped, and then forced", 1);
            say(project, up, &graceful);
            pause(random, 5000);
            say(project, up, &force);
            return true;
        }
        _ => {
            tally.count("forced", 1);
            say(project, up, &force);
            return true;
        }
    }
    false
}
