//! Statistics of what runs on an agent, watched through the agent's socket.

use std::net::TcpListener;
use std::time::Duration;

use dataflow_descriptor::check_peers_file;
use dataflow_ids::stats::{ActorRow, Counter, Downloads, Statistics};
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

/// One node lives, and another one waits for its model.
const FLOW: &str = "name: flow
models:
  tiny: { repo: acme/tiny }
nodes:
  - { id: long, path: ./long.sh }
  - { id: reader, path: ./long.sh, models: [tiny] }
";

/// The kinds of actors that there are rows of.
fn kinds(known: &Statistics) -> Vec<&str> {
    known.actors.iter().map(|row| row.actor.as_str()).collect()
}

/// The row of the actors of one kind, whose messages add up.
fn actors<'k>(known: &'k Statistics, kind: &str) -> &'k ActorRow {
    let row = known.actors.iter().find(|row| row.actor == kind);
    let row = row.unwrap_or_else(|| panic!("{kind}: {:?}", known.actors));
    let others = [row.returned, row.dead_lettered].map(Counter::get);
    let sum = row.handled.get() + row.waiting.get() + others.iter().sum::<u64>();
    assert_eq!(row.sent.get(), sum, "I-10: {row:?}");
    row
}

/// A dataflow on an agent has what it has for itself, and nothing that the agent has for all.
fn assert_its_own_alone(project: &Project) {
    let mut watcher = Watcher::of_run(&project.found()[0], OFTEN, Box::new(|_| {})).unwrap();
    loop {
        let known = watcher.next().unwrap().expect("the dataflow goes on");
        assert_eq!(
            (known.pool, &known.downloads),
            (None, &Downloads::default())
        );
        if !known.actors.is_empty() {
            assert_eq!(kinds(known), ["dataflow", "node", "scheduler", "stats"]);
            return;
        }
    }
}

/// Runs the dataflow on the agent until a node of it lives and the other one waits for its model, stops it, and waits for its
/// end.
fn run_one(project: &Project, watcher: &mut Watcher, client: &mut Client) -> Statistics {
    let folder = project.folder.clone();
    // It takes connections, and never answers.
    let hub = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", hub.local_addr().unwrap());
    let its_hub = [
        ("HF_ENDPOINT".into(), endpoint.into()),
        ("HF_HOME".into(), folder.join("models").into()),
    ];
    let request = UpRequest {
        file: folder.join("flow.yml"),
        folder: folder.into_os_string(),
        environment: std::env::vars_os().chain(its_hub).collect(),
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
        let is_so = |state: LifeCycle| known.total.states[state].get() == 1;
        // The thread that downloads may hear of it later than the run says so.
        let downloads = known.downloads.active.get() == 1;
        if is_so(LifeCycle::Ready) && is_so(LifeCycle::Downloading) && downloads {
            assert_eq!(known.dataflows[0].peer.as_str(), "here");
            assert_eq!(known.downloads.rows[0].model, "acme/tiny@main");
            break;
        }
    }
    assert_its_own_alone(project);
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
    project.dataflow(FLOW);
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
    let (mut before, mut sent) = (0, 0);
    for runs in 1..=2 {
        let mut client = Client::connect_to_agent(&found, Box::new(|_| {})).unwrap();
        let known = run_one(&project, &mut watcher, &mut client);
        assert_eq!((known.total.nodes.get(), known.nodes.len()), (0, 0));
        assert_eq!(known.total.retired.nodes.get(), 2 * runs);
        let transitions = known.total.transitions.get();
        assert!(transitions > before, "{transitions} transitions");
        before = transitions;
        assert_eq!(known.audit.mismatches.get(), 0);
        let peers: Vec<&str> = known.peers.iter().map(|row| row.peer.as_str()).collect();
        assert_eq!(peers, ["elsewhere"]);
        // What serves all is the agent's, and has a row once; what a dataflow had for itself stays in the sums.
        let all = ["dataflow", "download", "node", "peer", "scheduler", "stats"];
        assert_eq!(kinds(&known), all);
        assert_eq!(actors(&known, "node").actors.get(), 0);
        assert!(actors(&known, "node").handled.get() > 0);
        let peers = actors(&known, "peer");
        assert!(peers.actors.get() == 1 && peers.handled.get() > 0);
        let downloads = actors(&known, "download");
        assert!(downloads.sent.get() > sent, "{downloads:?}");
        sent = downloads.sent.get();
        assert!(known.pool.is_some());
    }
    controls.stop();
    while watcher.next().unwrap().is_some() {}
    serves.join().unwrap().unwrap();
}
