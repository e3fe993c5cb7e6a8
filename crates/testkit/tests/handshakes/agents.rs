//! Agents of which only the network is real: what they are told is looked at, and nobody decides.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use dataflow_core::peers::{DialFailure, DialId, LinkFacts, PeerTarget, Rejection};
use dataflow_ids::{BootId, ClusterName, Fingerprint, LinkId, PeerId};
use dataflow_runtime::network::{
    Identity, Network, NetworkEvent, NetworkLimits, NetworkSettings, PeerHello, QuicNetwork, Trust,
    Trusted,
};
use dataflow_wire::peers::Offer;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;

/// How long anything may take on a machine that is busy. Nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn id(name: &str) -> PeerId {
    PeerId::new(name).unwrap()
}

/// How an agent differs from others.
pub(crate) struct Start {
    pub(crate) id: &'static str,
    pub(crate) cluster: &'static str,
    pub(crate) identity: Identity,
    pub(crate) boot: u64,
    pub(crate) listen: SocketAddr,
    pub(crate) limits: NetworkLimits,
}

impl Start {
    pub(crate) fn new(id: &'static str) -> Start {
        Start {
            id,
            cluster: "default",
            identity: Identity::generate().unwrap(),
            // Of one name there is one start, unless a test says otherwise.
            boot: id.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte)),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            limits: NetworkLimits::default(),
        }
    }

    pub(crate) fn start(self) -> Agent {
        let (network, heard) = QuicNetwork::start(NetworkSettings {
            listen: self.listen,
            identity: self.identity.clone(),
            boot: BootId(self.boot),
            version: "0.1.0-test".to_owned(),
            limits: self.limits,
        })
        .unwrap();
        Agent {
            trust: Trust {
                this: id(self.id),
                cluster: ClusterName::new(self.cluster).unwrap(),
                offer: Offer {
                    cpus: Some(4),
                    ..Offer::default()
                },
                peers: BTreeMap::new(),
            },
            identity: self.identity,
            network,
            heard,
            waiting: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap(),
            dials: 0,
        }
    }
}

/// An agent's network, and what it has told.
pub(crate) struct Agent {
    pub(crate) identity: Identity,
    pub(crate) network: QuicNetwork,
    trust: Trust,
    heard: UnboundedReceiver<NetworkEvent>,
    waiting: Runtime,
    dials: u64,
}

impl Agent {
    pub(crate) fn new(id: &'static str) -> Agent {
        Start::new(id).start()
    }

    pub(crate) fn id(&self) -> PeerId {
        self.trust.this.clone()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.network.address()
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    /// Lets a peer in that shows one of these keys.
    pub(crate) fn trusts(&mut self, peer: &Agent, fingerprints: &[Fingerprint]) {
        self.trusts_as(peer.id(), peer.address(), fingerprints);
    }

    pub(crate) fn trusts_as(
        &mut self,
        peer: PeerId,
        address: SocketAddr,
        fingerprints: &[Fingerprint],
    ) {
        let fingerprints = fingerprints.to_vec();
        let trusted = Trusted {
            address,
            fingerprints,
        };
        self.trust.peers.insert(peer, trusted);
        self.network.trust(self.trust.clone());
    }

    /// Begins to dial a peer as this one lists it.
    pub(crate) fn begin(&mut self, peer: &PeerId) -> DialId {
        self.begin_within(peer, PATIENCE)
    }

    pub(crate) fn begin_within(&mut self, peer: &PeerId, timeout: Duration) -> DialId {
        let trusted = &self.trust.peers[peer];
        let target = PeerTarget {
            address: trusted.address,
            fingerprints: trusted.fingerprints.clone(),
        };
        self.dials += 1;
        let dial = DialId(self.dials);
        self.network.dial(peer.clone(), dial, target, timeout);
        dial
    }

    /// Dials a peer, and gives how that ended.
    pub(crate) fn dial(&mut self, peer: &PeerId) -> Result<(LinkFacts, PeerHello), DialFailure> {
        let dial = self.begin(peer);
        self.dialled(dial)
    }

    pub(crate) fn dialled(&mut self, begun: DialId) -> Result<(LinkFacts, PeerHello), DialFailure> {
        self.hear(&format!("the end of dial {begun:?}"), |event| match event {
            NetworkEvent::DialEnded { dial, result, .. } if *dial == begun => Some(result.clone()),
            _ => None,
        })
    }

    pub(crate) fn accepted(&mut self) -> (LinkFacts, PeerHello) {
        self.hear("somebody who came in", |event| match event {
            NetworkEvent::Accepted { facts, hello } => Some((facts.clone(), hello.clone())),
            _ => None,
        })
    }

    pub(crate) fn stranger(&mut self) -> (Option<PeerId>, Rejection) {
        self.hear("a stranger", |event| match event {
            NetworkEvent::Stranger {
                peer, rejection, ..
            } => Some((peer.clone(), rejection.clone())),
            _ => None,
        })
    }

    /// Waits until something was told that is `wanted`; what comes before it is dropped.
    pub(crate) fn hear<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&NetworkEvent) -> Option<T>,
    ) -> T {
        let mut others = Vec::new();
        let heard = &mut self.heard;
        let found = self.waiting.block_on(async {
            tokio::time::timeout(PATIENCE, async {
                while let Some(event) = heard.recv().await {
                    if let Some(found) = wanted(&event) {
                        return Some(found);
                    }
                    others.push(event);
                }
                None
            })
            .await
        });
        match found {
            Ok(Some(found)) => found,
            _ => panic!("{what} did not come; what came: {others:#?}"),
        }
    }

    /// What has been told and not looked at.
    pub(crate) fn left(&mut self) -> Vec<NetworkEvent> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }

    /// Probes, and waits for the answer. Gives how long the network took, and for how long the other control loop
    /// had been silent.
    pub(crate) fn probe(&mut self, on: LinkId, number: u64) -> (Duration, Duration) {
        self.network.probe(on, number);
        self.hear("the answer", |event| match event {
            NetworkEvent::Answered {
                link,
                sequence,
                round_trip,
                control_silent_for,
            } if *link == on && *sequence == number => Some((*round_trip, *control_silent_for)),
            _ => None,
        })
    }
}

/// Two agents that pin each other's keys.
pub(crate) fn pair() -> (Agent, Agent) {
    let (mut a, mut b) = (Agent::new("a"), Agent::new("b"));
    pin(&mut a, &mut b);
    (a, b)
}

pub(crate) fn pin(a: &mut Agent, b: &mut Agent) {
    let (of_a, of_b) = (a.fingerprint(), b.fingerprint());
    a.trusts(b, &[of_b]);
    b.trusts(a, &[of_a]);
}
