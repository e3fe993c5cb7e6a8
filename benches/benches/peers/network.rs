//! Two networks of agents in this process: how fast they meet, and how fast a probe is answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dataflow_core::peers::{CloseCode, DialId, PeerTarget};
use dataflow_ids::{BootId, ClusterName, Fingerprint, LinkId, PeerId};
use dataflow_runtime::network::{
    Identity, Network, NetworkEvent, NetworkLimits, NetworkSettings, QuicNetwork, Trust, Trusted,
};
use dataflow_wire::peers::Offer;
use tokio::sync::mpsc::UnboundedReceiver;

const PATIENCE: Duration = Duration::from_secs(60);

/// A network, and the fingerprint of its key.
pub(crate) struct Opened {
    pub(crate) network: QuicNetwork,
    pub(crate) fingerprint: Fingerprint,
}

/// What a network tells.
pub(crate) type Heard = UnboundedReceiver<NetworkEvent>;

/// A network on a port of loopback. It may be dialled and probed as fast as it can.
pub(crate) fn open(name: &str) -> (Opened, Heard) {
    let identity = Identity::generate().expect("randomness");
    let fingerprint = identity.fingerprint();
    let boot = name.bytes().fold(7_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let settings = NetworkSettings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        identity,
        boot: BootId(boot),
        version: "0.1.0".to_owned(),
        limits: NetworkLimits {
            links_per_peer_max: usize::MAX,
            links_at_once: u32::MAX,
            link_every: Duration::from_nanos(1),
            probes_at_once: u32::MAX,
            probe_every: Duration::from_nanos(1),
            ..NetworkLimits::default()
        },
    };
    let (network, heard) = QuicNetwork::start(settings).expect("a port of loopback");
    let opened = Opened {
        network,
        fingerprint,
    };
    (opened, heard)
}

/// Lets one peer in.
pub(crate) fn trusting(
    (opened, heard): (Opened, Heard),
    this: &str,
    peer: &str,
    address: &str,
    fingerprint: Fingerprint,
) -> (Opened, Heard) {
    let name = |text: &str| PeerId::new(text).expect("a name");
    let trusted = Trusted {
        address: address.parse().expect("an address"),
        fingerprints: vec![fingerprint],
    };
    opened.network.trust(Trust {
        this: name(this),
        cluster: ClusterName::new("default").expect("a name"),
        offer: Offer::default(),
        peers: BTreeMap::from([(name(peer), trusted)]),
    });
    (opened, heard)
}

fn pair() -> [(Opened, Heard); 2] {
    let (a, b) = (open("a"), open("b"));
    let at = |opened: &Opened| (opened.network.address().to_string(), opened.fingerprint);
    let ((a_at, a_key), (b_at, b_key)) = (at(&a.0), at(&b.0));
    [
        trusting(a, "a", "b", &b_at, b_key),
        trusting(b, "b", "a", &a_at, a_key),
    ]
}

fn dial(from: &Opened, to: &Opened, dial: u64) {
    let target = PeerTarget {
        address: to.network.address(),
        fingerprints: vec![to.fingerprint],
    };
    let peer = PeerId::new("b").expect("a name");
    from.network.dial(peer, DialId(dial), target, PATIENCE);
}

fn next_link(heard: &mut Heard) -> LinkId {
    loop {
        let event = heard.blocking_recv().expect("the network lives");
        if let NetworkEvent::DialEnded { result, .. } = event {
            return result.expect("they reach each other").0.link;
        }
    }
}

/// How many connections come up a second, `at_once` at a time; each is closed when it is up.
pub(crate) fn handshakes_a_second(at_once: u64, count: u64) -> f64 {
    let [(a, mut heard), (b, _not_read)] = pair();
    let began = Instant::now();
    for number in 0..at_once {
        dial(&a, &b, number);
    }
    for number in 0..count {
        let link = next_link(&mut heard);
        a.network.close(link, CloseCode::Superseded);
        if number + at_once < count {
            dial(&a, &b, number + at_once);
        }
    }
    count as f64 / began.elapsed().as_secs_f64()
}

/// Two networks that are connected.
pub(crate) struct Prober {
    from: Opened,
    heard: Heard,
    link: LinkId,
    _to: (Opened, Heard),
}

impl Prober {
    pub(crate) fn new() -> Prober {
        let [(from, mut heard), to] = pair();
        dial(&from, &to.0, 1);
        let link = next_link(&mut heard);
        Prober {
            from,
            heard,
            link,
            _to: to,
        }
    }

    /// How long probes take, one after the other, as the network says it.
    pub(crate) fn round_trips_ns(&mut self, count: u64) -> Vec<u64> {
        let probe = |number| {
            self.from.network.probe(self.link, number);
            loop {
                match self.heard.blocking_recv().expect("the network lives") {
                    NetworkEvent::Answered { round_trip, .. } => {
                        return round_trip.as_nanos() as u64;
                    }
                    NetworkEvent::LinkEnded { end, .. } => panic!("{end}"),
                    _ => {}
                }
            }
        };
        (0..count).map(probe).collect()
    }
}
