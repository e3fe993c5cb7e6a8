//! An agent's control loop and network, without anything else of an agent.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dataflow_descriptor::{HealthCheck, Peer, PeerCapabilities, Peers};
use dataflow_ids::{BootId, ClusterName, Fingerprint, PeerId, PeerState};
use dataflow_runtime::agent::{AgentEvent, PeerService, PeerStart};
use dataflow_runtime::network::{Identity, NetworkEvent, NetworkSettings, QuicNetwork};
use dataflow_tests::Lateness;
use dataflow_wire::peers::Offer;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How often each probes the other.
const PROBED_EVERY: Duration = Duration::from_millis(100);
/// How long the two may take until they are healthy.
const PATIENCE: Duration = Duration::from_secs(60);

/// On which thread a network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// On its own.
    Own,
    /// On that of the caller.
    Shared,
}

/// A network that listens and knows nobody yet.
pub(crate) struct Opened {
    id: PeerId,
    boot: BootId,
    fingerprint: Fingerprint,
    network: QuicNetwork,
    heard: UnboundedReceiver<NetworkEvent>,
}

impl Opened {
    /// What the file of peers says of it.
    pub(crate) fn entry(&self) -> Peer {
        Peer {
            id: self.id.clone(),
            address: self.network.address(),
            fingerprints: vec![self.fingerprint],
            capabilities: PeerCapabilities::default(),
        }
    }
}

pub(crate) fn open(id: &str, part: Part) -> Opened {
    let identity = Identity::generate().expect("randomness");
    let boot = BootId(id.len() as u64);
    let fingerprint = identity.fingerprint();
    let settings = NetworkSettings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        identity,
        boot,
        version: "0.1.0".to_owned(),
        limits: dataflow_runtime::network::NetworkLimits {
            // Many more probes than in a real agent, so that a hundredth of them is some.
            probes_at_once: 1_000,
            ..Default::default()
        },
    };
    let (network, heard) = match part {
        Part::Own => QuicNetwork::start(settings),
        Part::Shared => QuicNetwork::start_here(settings),
    }
    .expect("a port of loopback");
    Opened {
        id: PeerId::new(id).expect("a name"),
        boot,
        fingerprint,
        network,
        heard,
    }
}

enum Order {
    Count,
    End,
}

/// An agent on a thread of its own.
pub(crate) struct Agent {
    events: Receiver<AgentEvent>,
    orders: tokio::sync::mpsc::UnboundedSender<Order>,
    thread: JoinHandle<Lateness>,
}

impl Agent {
    /// Watches the others of these entries. An answer may take `timeout`.
    pub(crate) fn start(opened: Opened, entries: &[Peer], timeout: Duration) -> Agent {
        let peers = Peers {
            file: PathBuf::from("/peers.yaml"),
            cluster: ClusterName::new("default").expect("a name"),
            health_check: HealthCheck {
                interval: PROBED_EVERY,
                timeout,
                unreachable_after: 3,
            },
            peers: entries.to_vec(),
        };
        let (to_test, events) = channel();
        let (orders, ordered) = unbounded_channel();
        let thread = thread::spawn(move || run(opened, peers, to_test, ordered));
        Agent {
            events,
            orders,
            thread,
        }
    }

    /// What came before does not count.
    pub(crate) fn begin_to_count(&self) {
        self.orders.send(Order::Count).expect("it runs");
        self.transitions();
    }

    /// How its peer has changed since this was asked last.
    pub(crate) fn transitions(&self) -> Vec<String> {
        let transition = |event: AgentEvent| match event {
            AgentEvent::Peer {
                peer,
                from,
                to,
                because,
                ..
            } => Some(format!("{peer}: {from} → {to}: {because}")),
            _ => None,
        };
        self.events.try_iter().filter_map(transition).collect()
    }

    /// Ends it. Gives how long the answers took that it had.
    pub(crate) fn end(self) -> Lateness {
        self.orders.send(Order::End).expect("it runs");
        self.thread.join().expect("it does not panic")
    }
}

/// Waits until the agent says that its peer is healthy.
pub(crate) fn watched_by(agent: &Agent) {
    let is_healthy = |event: &AgentEvent| {
        let AgentEvent::Peer { to, .. } = event else {
            return false;
        };
        *to == PeerState::Healthy
    };
    let next = || {
        let event = agent.events.recv_timeout(PATIENCE);
        event.expect("the two agents reach each other")
    };
    while !is_healthy(&next()) {}
}

fn run(
    opened: Opened,
    peers: Peers,
    events: Sender<AgentEvent>,
    mut orders: UnboundedReceiver<Order>,
) -> Lateness {
    let round_trips = Rc::new(RefCell::new(Lateness::default()));
    actix_rt::System::new().block_on(async {
        let (to_service, heard) = unbounded_channel();
        let seen = Rc::clone(&round_trips);
        let mut from_network = opened.heard;
        // It only looks on: how long an answer took is measured by the network.
        let looks_on = actix_rt::spawn(async move {
            while let Some(event) = from_network.recv().await {
                if let NetworkEvent::Answered { round_trip, .. } = &event {
                    seen.borrow_mut().add_ns(round_trip.as_nanos() as u64);
                }
                if to_service.send(event).is_err() {
                    return;
                }
            }
        });
        let service = PeerService::new(PeerStart {
            peers,
            this: opened.id,
            listens: opened.network.address(),
            boot: opened.boot,
            version: "0.1.0".to_owned(),
            fingerprint: opened.fingerprint,
            found: Offer::default(),
            network: Rc::new(opened.network),
            heard,
            seed: 7,
            events,
        });
        let handle = service.handle();
        let running = actix_rt::spawn(service.run());
        while let Some(Order::Count) = orders.recv().await {
            *round_trips.borrow_mut() = Lateness::default();
        }
        handle.end();
        running
            .await
            .expect("it does not panic")
            .expect("it goes on to its end");
        looks_on.abort();
    });
    round_trips.take()
}
