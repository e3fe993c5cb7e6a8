//! What the tasks of the network share: who is trusted, which connections there are, and whom to tell.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use dataflow_core::peers::{LinkEnd, Rejection};
use dataflow_ids::{LinkId, PeerId};
use dataflow_wire::peer::Hello;
use quinn::Connection;
use rustls::crypto::CryptoProvider;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::endpoint::provider;
use super::rate::Rate;
use super::seam::{NetworkEvent, Trust};
use super::settings::NetworkSettings;

/// Probes of one connection that wait to be sent. More are dropped, which is as if they had no answer.
const PROBES_WAITING_MAX: usize = 16;

/// What the tasks of the network share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: NetworkSettings,
    pub(super) provider: Arc<CryptoProvider>,
    trust: RwLock<Option<Arc<Trust>>>,
    links: Mutex<BTreeMap<LinkId, Link>>,
    callers: Mutex<Callers>,
    next_link: AtomicU64,
    started: Instant,
    /// The last sign of the control loop, in milliseconds since `started`.
    beat_ms: AtomicU64,
    /// `None` once the network has gone, so that who listens hears of that.
    events: Mutex<Option<mpsc::UnboundedSender<NetworkEvent>>>,
}

#[derive(Debug)]
struct Link {
    peer: PeerId,
    connection: Connection,
    probes: mpsc::Sender<u64>,
}

/// What is remembered of those who come in; one entry a peer, and one for all others.
#[derive(Debug, Default)]
struct Callers {
    strangers: BTreeMap<Option<PeerId>, Strangers>,
    links: BTreeMap<PeerId, Rate>,
}

#[derive(Debug)]
struct Strangers {
    told: Rate,
    more: u64,
}

/// A connection in the list. When it goes, the connection is out of the list, and who decides is told once.
#[derive(Debug)]
pub(super) struct Registered {
    shared: Arc<Shared>,
    pub(super) link: LinkId,
    pub(super) probes: mpsc::Receiver<u64>,
    /// How it ended.
    pub(super) end: LinkEnd,
}

impl Shared {
    pub(super) fn new(
        settings: NetworkSettings,
        events: mpsc::UnboundedSender<NetworkEvent>,
    ) -> Shared {
        Shared {
            settings,
            provider: provider(),
            trust: RwLock::default(),
            links: Mutex::default(),
            callers: Mutex::default(),
            next_link: AtomicU64::new(1),
            started: Instant::now(),
            beat_ms: AtomicU64::new(0),
            events: Mutex::new(Some(events)),
        }
    }

    /// Tells who decides. A receiver that is gone has ended the agent.
    pub(super) fn tell(&self, event: NetworkEvent) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(events) = &*events {
            let _ = events.send(event);
        }
    }

    /// The network has gone: nothing more is told.
    pub(super) fn end(&self) {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    pub(super) fn trust(&self) -> Option<Arc<Trust>> {
        self.trust
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_trust(&self, trust: Trust) {
        // What is remembered of callers is bounded by the peers that there are.
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers
            .strangers
            .retain(|peer, _| peer.as_ref().is_none_or(|id| trust.peers.contains_key(id)));
        callers.links.retain(|id, _| trust.peers.contains_key(id));
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(trust));
    }

    pub(super) fn beat(&self) {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat_ms.store(now_ms, Ordering::Relaxed);
    }

    /// For how long the control loop has given no sign.
    pub(super) fn control_silent_for(&self) -> Duration {
        let beat = Duration::from_millis(self.beat_ms.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(beat)
    }

    /// What is said of us to a peer.
    pub(super) fn hello(&self, trust: &Trust, to: &PeerId) -> Hello {
        Hello {
            cluster: trust.cluster.clone(),
            from: trust.this.clone(),
            to: to.clone(),
            boot: self.settings.boot,
            version: self.settings.version.clone(),
            offer: trust.offer.clone(),
        }
    }

    /// Enters a connection whose hellos have passed.
    pub(super) fn register(
        self: &Arc<Shared>,
        peer: &PeerId,
        connection: &Connection,
    ) -> Registered {
        let link = LinkId(self.next_link.fetch_add(1, Ordering::Relaxed));
        let (sender, probes) = mpsc::channel(PROBES_WAITING_MAX);
        let entry = Link {
            peer: peer.clone(),
            connection: connection.clone(),
            probes: sender,
        };
        self.lock_links().insert(link, entry);
        Registered {
            shared: Arc::clone(self),
            link,
            probes,
            end: LinkEnd::Other("what served it has failed".to_owned()),
        }
    }

    /// Whether one more connection of that peer may come in.
    pub(super) fn may_link(&self, peer: &PeerId) -> bool {
        let limits = &self.settings.limits;
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = callers
            .links
            .entry(peer.clone())
            .or_insert_with(|| Rate::new(limits.links_at_once, limits.link_every));
        let count = self
            .lock_links()
            .values()
            .filter(|link| link.peer == *peer)
            .count();
        count < limits.links_per_peer_max && rate.allows(Instant::now())
    }

    /// Tells of somebody who was refused, unless others were told of just now.
    pub(super) fn stranger(&self, from: SocketAddr, peer: Option<PeerId>, rejection: Rejection) {
        let every = self.settings.limits.stranger_every;
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        // Only peers of the file have an entry: else strangers would decide how many there are.
        let known = |id: &PeerId| {
            self.trust()
                .is_some_and(|trust| trust.peers.contains_key(id))
        };
        let peer = peer.filter(known);
        let strangers = callers
            .strangers
            .entry(peer.clone())
            .or_insert_with(|| Strangers {
                told: Rate::new(1, every),
                more: 0,
            });
        if !strangers.told.allows(Instant::now()) {
            strangers.more += 1;
            return;
        }
        let more = std::mem::take(&mut strangers.more);
        self.tell(NetworkEvent::Stranger {
            from: canonical(from),
            peer,
            rejection,
            more,
        });
    }

    /// The connection of that name.
    pub(super) fn connection(&self, link: LinkId) -> Option<Connection> {
        Some(self.lock_links().get(&link)?.connection.clone())
    }

    /// Takes a connection out of the list, so that nothing is told of its end.
    pub(super) fn forget(&self, link: LinkId) -> Option<Connection> {
        Some(self.lock_links().remove(&link)?.connection)
    }

    /// Sends a probe, if there is room for one.
    pub(super) fn probe(&self, link: LinkId, sequence: u64) {
        if let Some(link) = self.lock_links().get(&link) {
            let _ = link.probes.try_send(sequence);
        }
    }

    fn lock_links(&self) -> std::sync::MutexGuard<'_, BTreeMap<LinkId, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(connection) = self.shared.forget(self.link) {
            // Of no use when it has ended already; else its task has failed.
            connection.close(quinn::VarInt::from_u32(0), b"");
            self.shared.tell(NetworkEvent::LinkEnded {
                link: self.link,
                end: self.end.clone(),
            });
        }
    }
}

/// The address as people write it: an IPv4 address that a socket for both families gives as IPv6 is IPv4.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match (address, address.ip().to_canonical()) {
        // A link-local address means nothing without its interface.
        (SocketAddr::V6(v6), IpAddr::V6(ip)) => {
            SocketAddrV6::new(ip, v6.port(), 0, v6.scope_id()).into()
        }
        (_, ip) => SocketAddr::new(ip, address.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_ipv4_and_one_of_a_link_keeps_its_interface() {
        let cases = [
            ("[::ffff:10.0.0.1]:7", "10.0.0.1:7"),
            ("10.0.0.1:7", "10.0.0.1:7"),
            ("[fe80::1%2]:7", "[fe80::1%2]:7"),
            ("[2001:db8::1]:7", "[2001:db8::1]:7"),
        ];
        for (from, expected) in cases {
            let expected: SocketAddr = expected.parse().unwrap();
            assert_eq!(canonical(from.parse().unwrap()), expected, "{from}");
        }
    }
}
