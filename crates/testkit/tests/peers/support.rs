//! Agents that watch each other, and what a test sees of them.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use dataflow_descriptor::{Peers, check_peers_text};
use dataflow_ids::{BootId, Fingerprint, PeerId, PeerState};
use dataflow_runtime::agent::{AgentEvent, PeerService, PeerStart, PeersHandle};
use dataflow_runtime::network::Network;
use dataflow_testkit::peers::{Agent, Ether, FakeNetwork, StopSwitch, Stoppable};
use dataflow_wire::peers::{Offer, PeerStatus};
use tokio::task::JoinHandle;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// The names of agents, by their place.
pub(crate) const NAMES: [&str; 4] = ["ann", "bob", "cleo", "dora"];

/// Where the agent of that name listens.
pub(crate) fn address(name: &str) -> SocketAddr {
    let place = NAMES.iter().position(|it| *it == name);
    let place = place.expect("one of the names") + 1;
    format!("10.0.0.{place}:7000").parse().expect("an address")
}

/// The key of the agent of that name.
pub(crate) fn key(name: &str) -> Fingerprint {
    let place = NAMES.iter().position(|it| *it == name);
    Fingerprint([place.expect("one of the names") as u8 + 1; 32])
}

/// An entry of a file.
pub(crate) fn entry(name: &str) -> String {
    let (address, key) = (address(name), key(name));
    format!("  - {{ id: {name}, address: \"{address}\", fingerprint: \"{key}\" }}\n")
}

/// The text of a file with these entries.
pub(crate) fn text(entries: &[String]) -> String {
    format!("peers:\n{}", entries.concat())
}

/// A file with the agents of these names.
pub(crate) fn file(names: &[&str]) -> Peers {
    let entries: Vec<String> = names.iter().map(|name| entry(name)).collect();
    parse(&text(&entries))
}

pub(crate) fn parse(text: &str) -> Peers {
    let checked = check_peers_text(text, "/peers.yaml");
    let diagnostics = checked.diagnostics;
    (checked.peers).unwrap_or_else(|| panic!("{text}: {diagnostics:?}"))
}

/// Who it is, at its first start.
pub(crate) fn agent(name: &str) -> Agent {
    Agent {
        peer: name.parse().expect("a name"),
        address: address(name),
        boot: BootId(u64::from(key(name).0[0])),
        version: "1.2.3".to_owned(),
        fingerprint: key(name),
        protocol: 1,
    }
}

/// An agent that runs.
pub(crate) struct Running {
    pub(crate) agent: Agent,
    pub(crate) network: FakeNetwork,
    pub(crate) handle: PeersHandle,
    pub(crate) events: mpsc::Receiver<AgentEvent>,
    pub(crate) switch: StopSwitch,
    ether: Ether,
    task: JoinHandle<()>,
}

/// Starts an agent that watches the peers of this file.
pub(crate) fn start(ether: &Ether, agent: Agent, peers: Peers) -> Running {
    start_with(ether, agent, peers).0
}

/// As [`start`], and gives the way to its events.
pub(crate) fn start_with(
    ether: &Ether,
    agent: Agent,
    peers: Peers,
) -> (Running, mpsc::Sender<AgentEvent>) {
    let (network, heard) = ether.join(agent.clone());
    let (to_test, events) = mpsc::channel();
    let service = PeerService::new(PeerStart {
        peers,
        this: agent.peer.clone(),
        listens: agent.address,
        boot: agent.boot,
        version: agent.version.clone(),
        fingerprint: agent.fingerprint,
        found: Offer {
            cpus: Some(2),
            ..Offer::default()
        },
        network: Rc::new(network.clone()) as Rc<dyn Network>,
        heard,
        seed: agent.boot.0,
        events: to_test.clone(),
    });
    let handle = service.handle();
    let switch = StopSwitch::default();
    let run = async move {
        service.run().await.expect("its network lives");
    };
    let task = actix_rt::spawn(Stoppable::new(run, switch.clone()));
    let running = Running {
        agent,
        network,
        handle,
        events,
        switch,
        ether: ether.clone(),
        task,
    };
    (running, to_test)
}

/// Starts one agent of each name, each of which watches all others.
pub(crate) fn start_all<const N: usize>(ether: &Ether, names: [&str; N]) -> [Running; N] {
    names.map(|name| start(ether, agent(name), file(&names)))
}

impl Running {
    /// How it sees a peer.
    pub(crate) fn sees(&self, peer: &str) -> PeerStatus {
        let status = self.handle.status();
        let mut peers = status.peers.into_iter();
        peers
            .find(|it| it.peer.as_str() == peer)
            .unwrap_or_else(|| panic!("{} lists {peer}", self.agent.peer))
    }

    pub(crate) fn state(&self, peer: &str) -> PeerState {
        self.sees(peer).state
    }

    /// Waits until a peer stands like this. Gives how long that took.
    pub(crate) async fn until(&self, peer: &str, state: PeerState) -> Duration {
        self.until_seen(peer, |status| status.state == state).await
    }

    /// Waits until a peer is seen like this. Gives how long that took.
    pub(crate) async fn until_seen(
        &self,
        peer: &str,
        is_so: impl Fn(&PeerStatus) -> bool,
    ) -> Duration {
        let began = tokio::time::Instant::now();
        while !is_so(&self.sees(peer)) {
            let waited = began.elapsed();
            let seen = self.sees(peer);
            assert!(waited < SECOND * 600, "{}: {seen:?}", self.agent.peer);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }

    /// What was told since this was asked last.
    pub(crate) fn told(&self) -> Vec<AgentEvent> {
        self.events.try_iter().collect()
    }

    /// The transitions that were told since this was asked last: of whom, from where, and to where.
    pub(crate) fn transitions(&self) -> Vec<(String, PeerState, PeerState)> {
        let told = self.told().into_iter();
        let transitions = told.filter_map(|event| match event {
            AgentEvent::Peer { peer, from, to, .. } => Some((peer.to_string(), from, to)),
            _ => None,
        });
        transitions.collect()
    }

    /// It is gone without a word.
    pub(crate) fn vanishes(self) {
        self.ether.vanish(self.agent.address);
        self.task.abort();
    }

    /// It ends, and says goodbye.
    pub(crate) async fn ends(self) {
        self.handle.end();
        self.task.await.expect("it ends by itself");
        self.ether.vanish(self.agent.address);
    }
}

/// A peer's name.
pub(crate) fn id(name: &str) -> PeerId {
    name.parse().expect("a name")
}
