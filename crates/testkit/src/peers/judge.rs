//! Whether two agents that reach each other take each other, as the handshake and the hellos of a real one find out.

use dataflow_core::peers::{PeerTarget, Rejection};
use dataflow_ids::PeerId;
use dataflow_runtime::network::{PeerHello, Trust};

use super::ether::{Agent, Host};

/// What comes of a handshake.
pub(super) enum Meeting {
    /// Both take each other: what the one who dialled is told, and what the other one is told.
    Taken {
        dialler: Box<PeerHello>,
        acceptor: Box<PeerHello>,
    },
    /// They do not: what the one who dialled is told, and what the other one is, if it hears of it.
    Refused(Rejection, Option<(Option<PeerId>, Rejection)>),
}

fn hello(agent: &Agent, trust: &Trust) -> PeerHello {
    PeerHello {
        peer: agent.peer.clone(),
        boot: agent.boot,
        version: agent.version.clone(),
        offer: trust.offer.clone(),
        cluster: trust.cluster.clone(),
        fingerprint: agent.fingerprint,
    }
}

/// The two meet. `wanted` is whom the dialler wants to reach.
pub(super) fn meet(
    dialler: &Host,
    acceptor: &Host,
    wanted: &PeerId,
    target: &PeerTarget,
) -> Meeting {
    let (one, other) = (&dialler.agent, &acceptor.agent);
    if one.boot == other.boot {
        return Meeting::Refused(Rejection::Itself, None);
    }
    if !target.fingerprints.is_empty() && !target.fingerprints.contains(&other.fingerprint) {
        let came = other.fingerprint;
        return Meeting::Refused(Rejection::WrongKey { came }, None);
    }
    let (trusts, trusted) = (dialler.trust.borrow(), acceptor.trust.borrow());
    let (Some(trusts), Some(trusted)) = (&*trusts, &*trusted) else {
        return Meeting::Refused(Rejection::NotListed, None);
    };
    let came = one.fingerprint;
    let entry = trusted.peers.get(&one.peer);
    let is_key_known = match entry {
        Some(entry) if entry.fingerprints.is_empty() => one.address.ip().is_loopback(),
        Some(entry) => entry.fingerprints.contains(&came),
        None => (trusted.peers.values()).any(|entry| entry.fingerprints.contains(&came)),
    };
    if !is_key_known {
        let claimed = entry.map(|_| one.peer.clone());
        let theirs = Rejection::WrongKey { came };
        return Meeting::Refused(Rejection::OurKeyRefused, Some((claimed, theirs)));
    }
    if one.protocol != other.protocol {
        let rejection = |ours, theirs| Rejection::OtherProtocol { ours, theirs };
        let theirs = rejection(other.protocol, one.protocol);
        return Meeting::Refused(
            rejection(one.protocol, other.protocol),
            Some((Some(one.peer.clone()), theirs)),
        );
    }
    if trusts.cluster != trusted.cluster {
        let theirs = trusted.cluster.clone();
        let ours = Rejection::OtherCluster {
            theirs: trusts.cluster.clone(),
        };
        return Meeting::Refused(
            Rejection::OtherCluster { theirs },
            Some((Some(one.peer.clone()), ours)),
        );
    }
    if other.peer != *wanted {
        let theirs = other.peer.clone();
        return Meeting::Refused(Rejection::OtherPeer { theirs }, None);
    }
    if entry.is_none() {
        let theirs = one.peer.clone();
        return Meeting::Refused(
            Rejection::NotListed,
            Some((None, Rejection::OtherPeer { theirs })),
        );
    }
    Meeting::Taken {
        dialler: Box::new(hello(other, trusted)),
        acceptor: Box::new(hello(one, trusts)),
    }
}
