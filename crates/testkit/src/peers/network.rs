//! The network of one agent: the same seam as QUIC's, and nothing behind it but other agents of the same thread.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::peers::{
    CloseCode, DialFailure, DialId, Direction, LinkEnd, LinkFacts, PeerTarget, Rejection,
};
use dataflow_ids::{LinkId, PeerId};
use dataflow_runtime::network::{LinkReading, Network, NetworkEvent, PeerHello, Trust};
use tokio::time::Instant;

use super::ether::{Ether, Host};
use super::judge::{Meeting, meet};
use super::link::{End, live};

/// The network of one agent of an [`Ether`], on a thread with an actix system.
#[derive(Clone)]
pub struct FakeNetwork {
    ether: Ether,
    host: Rc<Host>,
}

impl fmt::Debug for FakeNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeNetwork({})", self.host.agent.peer)
    }
}

impl FakeNetwork {
    pub(super) fn new(ether: Ether, host: Rc<Host>) -> FakeNetwork {
        FakeNetwork { ether, host }
    }

    /// Something happens here that nobody else has caused.
    pub fn say(&self, event: NetworkEvent) {
        self.host.say(event);
    }

    /// The connections that this agent has closed itself, in that order; also those that were never there.
    #[must_use]
    pub fn closed(&self) -> Vec<LinkId> {
        self.host.closed.borrow().clone()
    }

    /// Whatever is done for this peer panics, from the `call`-th time on and so many times in a row; `struck` is told each
    /// time. Counted are dials and their ends, probes, and closes.
    pub fn panics_at(&self, peer: &PeerId, call: u64, times: u64, struck: impl Fn() + 'static) {
        *self.host.panics.borrow_mut() = Some(Panics {
            peer: peer.clone(),
            calls: 0,
            first: call,
            times,
            struck: Box::new(struck),
        });
    }

    /// Something is done for a peer.
    fn call(&self, peer: &PeerId) {
        let mut panics = self.host.panics.borrow_mut();
        let Some(panics) = panics.as_mut().filter(|it| it.peer == *peer) else {
            return;
        };
        panics.calls += 1;
        if panics.calls >= panics.first && panics.calls - panics.first < panics.times {
            (panics.struck)();
            // Without a word on standard error, as every fault.
            std::panic::resume_unwind(Box::new("the network that is to panic"));
        }
    }

    /// Something is done with a connection.
    fn call_of(&self, link: LinkId) {
        let peer = self.end(link).map(|end| end.peer);
        if let Some(peer) = peer {
            self.call(&peer);
        }
    }

    fn end(&self, link: LinkId) -> Option<End> {
        self.host.links.borrow().get(&link).cloned()
    }

    /// Something of a dial, which is sent for as long as that takes.
    async fn arrives(&self, from: SocketAddr, to: SocketAddr) {
        self.ether.reliably(from, to, || true).await;
    }

    /// A dial, up to its end.
    async fn reach(
        &self,
        wanted: &PeerId,
        target: &PeerTarget,
    ) -> Result<(LinkFacts, PeerHello), DialFailure> {
        if target.fingerprints.is_empty() && !target.address.ip().is_loopback() {
            return Err(DialFailure::Rejected(Rejection::NoFingerprint));
        }
        let (here, there) = (self.host.agent.address, target.address);
        let began = Instant::now();
        self.arrives(here, there).await;
        let Some(acceptor) = self.ether.host(there) else {
            self.arrives(there, here).await;
            return Err(DialFailure::Refused);
        };
        let (ours, theirs) = match meet(&self.host, &acceptor, wanted, target) {
            Meeting::Taken { dialler, acceptor } => (*dialler, *acceptor),
            Meeting::Refused(ours, theirs) => {
                if let Some((peer, rejection)) = theirs {
                    acceptor.say(NetworkEvent::Stranger {
                        from: here,
                        peer,
                        rejection,
                        more: 0,
                    });
                }
                self.arrives(there, here).await;
                return Err(DialFailure::Rejected(ours));
            }
        };
        let (near, far) = (self.ether.next_link(), self.ether.next_link());
        // As with QUIC, the one that is dialled knows first.
        let round_trip = began.elapsed() * 2;
        let end = End::new(theirs.peer.clone(), here, near, round_trip);
        acceptor.links.borrow_mut().insert(far, end);
        acceptor.say(NetworkEvent::Accepted {
            facts: LinkFacts {
                link: far,
                direction: Direction::Accepted,
                boot: theirs.boot,
                from: here,
            },
            hello: theirs,
        });
        actix_rt::spawn(live(self.ether.clone(), Rc::clone(&acceptor), far));
        self.arrives(there, here).await;
        let end = End::new(wanted.clone(), there, far, round_trip);
        self.host.links.borrow_mut().insert(near, end);
        actix_rt::spawn(live(self.ether.clone(), Rc::clone(&self.host), near));
        let facts = LinkFacts {
            link: near,
            direction: Direction::Dialled,
            boot: ours.boot,
            from: there,
        };
        Ok((facts, ours))
    }
}

/// When the network of an agent panics.
pub(super) struct Panics {
    peer: PeerId,
    calls: u64,
    first: u64,
    times: u64,
    struck: Box<dyn Fn()>,
}

impl Network for FakeNetwork {
    fn trust(&self, trust: Trust) {
        *self.host.trust.borrow_mut() = Some(trust);
    }

    fn dial(&self, peer: PeerId, dial: DialId, target: PeerTarget, timeout: Duration) {
        self.call(&peer);
        self.host.dials.set(self.host.dials.get() + 1);
        let network = self.clone();
        actix_rt::spawn(async move {
            let reached = tokio::time::timeout(timeout, network.reach(&peer, &target)).await;
            let result = reached.unwrap_or(Err(DialFailure::NoAnswer));
            if network.host.cancelled.borrow_mut().remove(&dial) {
                if let Ok((facts, _)) = result {
                    network.close(facts.link, CloseCode::Superseded);
                }
                return;
            }
            (network.host).say(NetworkEvent::DialEnded { peer, dial, result });
        });
    }

    fn cancel(&self, peer: &PeerId, dial: DialId) {
        self.call(peer);
        self.host.cancelled.borrow_mut().insert(dial);
    }

    fn probe(&self, link: LinkId, sequence: u64) {
        self.call_of(link);
        let Some(End { other, far, .. }) = self.end(link) else {
            return;
        };
        let (ether, host) = (self.ether.clone(), Rc::clone(&self.host));
        let here = host.agent.address;
        let began = Instant::now();
        actix_rt::spawn(async move {
            let is_open = || host.has(link) && ether.is_alive(&host);
            let Some(lost) = ether.reliably(here, other, is_open).await else {
                return;
            };
            host.counts(link, lost + 1, lost);
            let there = ether.host(other).filter(|there| there.has(far));
            let Some(there) = there else {
                return;
            };
            there.hears(far);
            let control_silent_for = there.beat_at.get().elapsed();
            let answer = ether.reliably(other, here, is_open).await;
            if answer.is_some() && is_open() {
                host.hears(link);
                host.say(NetworkEvent::Answered {
                    link,
                    sequence,
                    round_trip: began.elapsed(),
                    control_silent_for,
                });
            }
        });
    }

    fn close(&self, link: LinkId, code: CloseCode) {
        self.call_of(link);
        self.host.closed.borrow_mut().push(link);
        let closed = self.host.links.borrow_mut().remove(&link);
        let Some(End { other, far, .. }) = closed else {
            return;
        };
        let (ether, here) = (self.ether.clone(), self.host.agent.address);
        actix_rt::spawn(async move {
            // It is said once. When it is lost, the other end finds out by itself.
            if ether.packet(here, other).await
                && let Some(there) = ether.host(other)
            {
                there.ends(far, LinkEnd::ByPeer(code));
            }
        });
    }

    fn reading(&self, link: LinkId) -> Option<LinkReading> {
        let end = self.end(link)?;
        Some(LinkReading {
            address: end.other,
            round_trip: end.round_trip,
            packets_sent: end.sent,
            packets_lost: end.lost,
        })
    }

    fn beat(&self) {
        self.host.beat_at.set(Instant::now());
    }
}
