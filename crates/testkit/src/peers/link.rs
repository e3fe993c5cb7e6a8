//! One end of a connection, and what keeps it alive.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::peers::LinkEnd;
use dataflow_ids::{LinkId, PeerId};
use dataflow_runtime::network::NetworkEvent;
use tokio::time::Instant;

use super::ether::{Ether, Host};

/// How often an end says that it is there, as the real transport does.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// After how long without a word an end is dead, as with the real transport.
const IDLE: Duration = Duration::from_secs(15);

/// One end of a connection.
#[derive(Debug, Clone)]
pub(super) struct End {
    /// Who is at the other end.
    pub(super) peer: PeerId,
    pub(super) other: SocketAddr,
    /// The name of the other end.
    pub(super) far: LinkId,
    pub(super) heard_at: Instant,
    pub(super) round_trip: Duration,
    pub(super) sent: u64,
    pub(super) lost: u64,
}

impl End {
    pub(super) fn new(peer: PeerId, other: SocketAddr, far: LinkId, round_trip: Duration) -> End {
        End {
            peer,
            other,
            far,
            heard_at: Instant::now(),
            round_trip,
            sent: 1,
            lost: 0,
        }
    }
}

impl Host {
    /// Whether it has this end.
    pub(super) fn has(&self, link: LinkId) -> bool {
        self.links.borrow().contains_key(&link)
    }

    /// Something has come for this end.
    pub(super) fn hears(&self, link: LinkId) {
        if let Some(end) = self.links.borrow_mut().get_mut(&link) {
            end.heard_at = Instant::now();
        }
    }

    /// So many packets were sent, and so many of them were lost.
    pub(super) fn counts(&self, link: LinkId, sent: u64, lost: u64) {
        if let Some(end) = self.links.borrow_mut().get_mut(&link) {
            end.sent += sent;
            end.lost += lost;
        }
    }

    /// This end is over. Said once.
    pub(super) fn ends(&self, link: LinkId, end: LinkEnd) {
        let was_there = self.links.borrow_mut().remove(&link);
        if was_there.is_some() {
            self.say(NetworkEvent::LinkEnded { link, end });
        }
    }
}

/// Keeps one end alive, until it is not.
pub(super) async fn live(ether: Ether, host: Rc<Host>, link: LinkId) {
    loop {
        let (other, far, heard_at) = {
            let links = host.links.borrow();
            let Some(end) = links.get(&link).filter(|_| ether.is_alive(&host)) else {
                return;
            };
            (end.other, end.far, end.heard_at)
        };
        let dead_at = heard_at + IDLE;
        if Instant::now() >= dead_at {
            return host.ends(link, LinkEnd::Idle);
        }
        keep_alive(&ether, &host, link, other, far);
        tokio::time::sleep_until(dead_at.min(Instant::now() + KEEP_ALIVE)).await;
    }
}

/// A packet that says that this end is there; the other one answers it.
fn keep_alive(ether: &Ether, host: &Rc<Host>, link: LinkId, other: SocketAddr, far: LinkId) {
    let (ether, host) = (ether.clone(), Rc::clone(host));
    let here = host.agent.address;
    actix_rt::spawn(async move {
        let arrived = ether.packet(here, other).await;
        host.counts(link, 1, u64::from(!arrived));
        let Some(there) = ether.host(other).filter(|_| arrived) else {
            return;
        };
        let is_known = there.has(far);
        there.hears(far);
        if !ether.packet(other, here).await {
            return;
        }
        if is_known {
            host.hears(link);
        } else {
            // Somebody is there who knows nothing of it.
            host.ends(link, LinkEnd::Reset);
        }
    });
}
