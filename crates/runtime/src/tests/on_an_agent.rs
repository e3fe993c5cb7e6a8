//! Statistics of what runs on an agent, watched through the agent's socket.

use std::time::Duration;

use dataflow_descriptor::check_peers_file;
use dataflow_ids::stats::Statistics;
use dataflow_ids::{LifeCycle, PeerId, StopMode};
use dataflow_wire::client::{ClientReply, ClientRequest, OnLeave, UpRequest};

use super::support::Project;
use crate::agent::{AgentEvent, AgentOptions, prepare_in};
use crate::client::{Client, Watcher};

const OFTEN: Duration = Duration::from_millis(100);

const PEERS: &str = "peers:
  - id: here
    address: \"127.0.0.1:50051\"
  - id: elsewhere
    address: \"127.0.0.1:50052\"
";

/// Runs a dataflow of one node on the agent until that lives, stops it, and waits for its end.
fn run_one(project: &Project, watcher: &mut Watcher, client: &mut Client) -> Statistics {
    let folder = project.folder.clone();
    let request = UpRequest {
        file: folder.join("flow.yml"),
        folder: folder.into_os_string(),
        environment: std::env::vars_os().collect(),
        force_after: None,
        log_bytes_max: None,
        fetch_bytes_per_second_max: None,
        terminal: None,
        wants_lines: false,
        on_leave: OnLeave::Stop,
    };
    let begun = client.request(&ClientRequest::Up(Box::new(request)));
    assert!(matches!(begun, Ok(ClientReply::Begun { .. })), "{begun:?}");
    loop {
        let known = watcher.next().unwrap().expect("the agent goes on");
        if known.total.states[LifeCycle::Ready].get() == 1 {
            assert_eq!(known.dataflows[0].peer.as_str(), "here");
            break;
        }
    }
    client
        .hosted_controls()
        .unwrap()
        .stop(StopMode::Graceful, None);
    for reply in client.replies() {
        reply.unwrap();
    }
    loop {
        let known = watcher.next().unwrap().expect("the agent goes on");
        if known.dataflows.is_empty() {
            return known.clone();
        }
    }
}

#[test]
fn an_agent_knows_what_ran_on_it_after_its_end_and_how_its_peers_stand() {
    let project = Project::new();
    project.script("long.sh", "trap 'exit 0' TERM; echo up; sleep 1000 & wait");
    project.dataflow("name: flow\nnodes:\n  - id: long\n    path: ./long.sh\n");
    let file = project.path("peers.yaml");
    std::fs::write(&file, PEERS).unwrap();
    let options = AgentOptions {
        peers: check_peers_file(&file).peers.expect("they are in order"),
        this: PeerId::new("here").unwrap(),
        identity: Some(project.path("key")),
        listen: Some("127.0.0.1:0".parse().unwrap()),
        metrics: None,
        version: "test".to_owned(),
        on_beat: Box::new(|| {}),
    };
    let agent = prepare_in(project.registry.clone(), options).unwrap();
    let (controls, (to_test, events)) = (agent.controls(), std::sync::mpsc::channel());
    let serves = std::thread::spawn(move || agent.block_on(to_test));
    assert!(
        events
            .iter()
            .any(|event| matches!(event, AgentEvent::Ready { .. }))
    );
    let found = project.registry.agent().unwrap().unwrap();
    let mut watcher = Watcher::of_agent(&found, OFTEN, Box::new(|_| {})).unwrap();
    let mut before = 0;
    for runs in 1..=2 {
        let mut client = Client::connect_to_agent(&found, Box::new(|_| {})).unwrap();
        let known = run_one(&project, &mut watcher, &mut client);
        assert_eq!((known.total.nodes.get(), known.nodes.len()), (0, 0));
        assert_eq!(known.total.retired.nodes.get(), runs);
        let transitions = known.total.transitions.get();
        assert!(transitions > before, "{transitions} transitions");
        before = transitions;
        assert_eq!(known.audit.mismatches.get(), 0);
        let peers: Vec<&str> = known.peers.iter().map(|row| row.peer.as_str()).collect();
        assert_eq!(peers, ["elsewhere"]);
    }
    controls.stop();
    while watcher.next().unwrap().is_some() {}
    serves.join().unwrap().unwrap();
}
