//! Runs inside an event loop that the caller has.

use std::process::Command;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dataflow_core::placement::Capabilities;
use dataflow_ids::{NodeId, StopMode};
use dataflow_wire::client::{CLIENT_PROTOCOL, ClientReply, ClientRequest};
use dataflow_wire::status::{Outcome, Phase};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::support::{Project, is_alive};
use crate::RunEvent;
use crate::actor::{Fault, When};
use crate::embed::{Embedded, Surroundings, embed};
use crate::process::{FramedSocket, ProcessLauncher};
use crate::root::converse;

/// How often the loop goes round before something that needs only that is given up.
const TURNS_MAX: u32 = 10_000;

fn beginning() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000)
}

fn embedded(project: &Project, name: &str) -> (Embedded, mpsc::Receiver<RunEvent>) {
    let surroundings = Surroundings {
        launcher: Rc::new(ProcessLauncher::new(None).unwrap()),
        models: Rc::new(crate::models::NoModels),
        seed: 7,
        run: name.to_owned(),
        pid: 4711,
        capabilities: Capabilities::default(),
        output_memory_bytes: 1024 * 1024,
        options: crate::RunOptions::default(),
        begins_at: beginning(),
    };
    let yaml = format!("name: {name}\nnodes:\n  - id: {name}\n    path: ./{name}.sh\n");
    let (to_test, events) = mpsc::channel();
    let run = embed(project.dataflow(&yaml), surroundings, to_test).unwrap();
    (run, events)
}

#[test]
fn two_runs_share_an_event_loop_and_each_comes_to_its_own_end() {
    let project = Project::new();
    // The short one does not end before the long one is up.
    let made = Command::new("mkfifo").arg(project.path("is-up")).status();
    assert!(made.unwrap().success());
    project.script("short.sh", "read it < is-up; echo done");
    let long = "trap 'exit 0' TERM; echo up; echo it > is-up; sleep 1000 & wait";
    project.script("long.sh", long);
    actix_rt::System::new().block_on(async {
        let (short, short_events) = embedded(&project, "short");
        let (long, long_events) = embedded(&project, "long");
        let (looks, controls) = (long.inspector(), long.controls());
        let ends_after_the_other = async {
            let report = short.run().await.unwrap();
            // The other's process has begun a moment before its runtime knows of it.
            while looks.status().phase == Phase::Starting {
                tokio::task::yield_now().await;
            }
            assert_eq!(looks.status().phase, Phase::Running, "the other goes on");
            controls.stop(StopMode::Graceful, None);
            report
        };
        let (short, long) = tokio::join!(ends_after_the_other, long.run());
        assert_eq!(short.outcome, Outcome::Drained);
        assert_eq!(long.unwrap().outcome, Outcome::Drained);
        assert_eq!(looks.status().phase, Phase::Ended);
        assert_eq!(looks.status().pid, 4711);
        assert!(looks.mailboxes().iter().all(|(_, it)| it.balances()));
        looks.audit().unwrap();
        for (events, word) in [(short_events, "done"), (long_events, "up")] {
            let events: Vec<RunEvent> = events.try_iter().collect();
            assert!(matches!(events.last(), Some(RunEvent::Ended(_))));
            let said = events.iter().find_map(|event| match event {
                RunEvent::Log { line, at, .. } if line == word => Some(*at),
                _ => None,
            });
            assert!(said.unwrap() >= beginning(), "the clock that it was given");
        }
    });
}

#[test]
fn a_run_that_is_given_up_halfway_leaves_no_process_and_no_memory() {
    let project = Project::new();
    project.script("long.sh", "sleep 1000");
    actix_rt::System::new().block_on(async {
        let (run, _events) = embedded(&project, "long");
        let looks = run.inspector();
        let pid = {
            let mut run = std::pin::pin!(run.run());
            loop {
                tokio::select! {
                    biased;
                    ended = &mut run => panic!("{ended:?}"),
                    () = tokio::task::yield_now() => {}
                }
                if let Some(pid) = looks.status().nodes[0].pid {
                    break pid;
                }
            }
        };
        assert!(!is_alive(pid));
        let root = looks.root_weak();
        drop(looks);
        for _ in 0..TURNS_MAX {
            if root.upgrade().is_none() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("the root is still held");
    });
}

#[test]
fn a_run_that_never_began_holds_nothing() {
    let project = Project::new();
    project.script("long.sh", "sleep 1000");
    actix_rt::System::new().block_on(async {
        let (run, events) = embedded(&project, "long");
        let root = run.inspector().root_weak();
        drop(run);
        assert!(root.upgrade().is_none());
        assert!(events.try_iter().next().is_none());
    });
}

/// Both ends of a conversation with a run.
fn conversation() -> [Rc<FramedSocket>; 2] {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let ends = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    [ends.0, ends.1].map(|end| Rc::new(FramedSocket::new(end, 1024 * 1024).unwrap()))
}

#[test]
fn a_command_whose_wish_is_lost_with_the_actor_is_told_so() {
    let project = Project::new();
    project.script("long.sh", "sleep 1000");
    actix_rt::System::new().block_on(async {
        let (run, _events) = embedded(&project, "long");
        let looks = run.inspector();
        // The second panic over it loses it.
        for actor in looks.actors() {
            if actor.kinds().contains(&"Restart") {
                actor.inject(When::kind("Restart").times(2), Fault::PanicBefore);
            }
        }
        let [ours, theirs] = conversation();
        let command = async {
            while looks.status().phase != Phase::Running {
                tokio::task::yield_now().await;
            }
            let (protocol, node) = (CLIENT_PROTOCOL, NodeId::new("long").unwrap());
            let wish = ClientRequest::RestartNode { node, kill: None };
            for request in [ClientRequest::Hello { protocol }, wish] {
                theirs.send(&request, Vec::new()).unwrap();
            }
            loop {
                let (reply, _) = theirs.next::<ClientReply>().await.unwrap().unwrap();
                if let ClientReply::Refused { reason } = reply {
                    return reason;
                }
            }
        };
        let root = looks.root_weak().upgrade().unwrap();
        let served = async {
            converse(&root, ours).await;
            std::future::pending::<()>().await
        };
        tokio::select! {
            biased;
            reason = command => assert!(reason.starts_with("what was wished of `long` was lost"), "{reason}"),
            () = served => unreachable!("it goes on for ever"),
            report = run.run() => panic!("the run has ended, and the command still waits: {report:?}"),
        }
    });
}
