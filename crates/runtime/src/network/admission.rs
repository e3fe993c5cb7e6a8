//! Who may come in: what the file says about keys and ids, against the key that was proven and the hello that came.

use std::net::{IpAddr, SocketAddr};

use dataflow_core::peers::{PeerTarget, Rejection};
use dataflow_ids::{Fingerprint, PeerId};
use dataflow_wire::peer::Refusal;

use super::seam::{PeerHello, Trust, Trusted};
use super::shared::canonical;

/// Whether the holder of this key, at this address, may be the peer.
fn allows(fingerprints: &[Fingerprint], key: Fingerprint, at: IpAddr) -> bool {
    if fingerprints.is_empty() {
        at.to_canonical().is_loopback()
    } else {
        fingerprints.contains(&key)
    }
}

/// Whether the holder of this key may be the peer that is dialled.
pub(super) fn dial_allows(target: &PeerTarget, key: Fingerprint) -> bool {
    allows(&target.fingerprints, key, target.address.ip())
}

/// Whether the handshake of somebody with this key may pass: it may be one of the peers. Which one it is, is said
/// after it.
pub(super) fn may_pass(trust: &Trust, key: Fingerprint, from: IpAddr) -> bool {
    trust
        .peers
        .values()
        .any(|peer| allows(&peer.fingerprints, key, from))
}

/// Why somebody does not come in: what they are told, and what is told here, of which peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotAdmitted {
    pub(super) refusal: Refusal,
    pub(super) peer: Option<PeerId>,
    pub(super) rejection: Rejection,
}

/// Whether the holder of this key is the peer that it says to be.
pub(super) fn admit(
    trust: &Trust,
    claims: &PeerId,
    key: Fingerprint,
    from: IpAddr,
) -> Result<(), NotAdmitted> {
    // A key that the file knows is its owner's, whatever that owner says: nobody gets another peer into a bad light.
    let owner = trust
        .peers
        .iter()
        .find(|(_, peer)| peer.fingerprints.contains(&key))
        .map(|(id, _)| id);
    match (owner, trust.peers.get(claims)) {
        (Some(owner), _) if owner == claims => Ok(()),
        (Some(owner), claimed) => Err(NotAdmitted {
            refusal: match claimed {
                Some(_) => Refusal::Key,
                None => Refusal::NotListed,
            },
            peer: Some(owner.clone()),
            rejection: Rejection::OtherPeer {
                theirs: claims.clone(),
            },
        }),
        (None, None) => Err(NotAdmitted {
            refusal: Refusal::NotListed,
            peer: None,
            rejection: Rejection::OtherPeer {
                theirs: claims.clone(),
            },
        }),
        (None, Some(claimed)) if allows(&claimed.fingerprints, key, from) => Ok(()),
        (None, Some(claimed)) => Err(NotAdmitted {
            refusal: Refusal::Key,
            peer: Some(claims.clone()),
            rejection: wrong_key(claimed, key),
        }),
    }
}

/// What a key that is not the peer's means for it.
fn wrong_key(peer: &Trusted, came: Fingerprint) -> Rejection {
    if peer.fingerprints.is_empty() {
        Rejection::NoFingerprint
    } else {
        Rejection::WrongKey { came }
    }
}

impl Trust {
    /// Whether somebody at this address, who has proven its key and said this of itself, may be here as that peer.
    #[must_use]
    pub fn admits(&self, hello: &PeerHello, from: SocketAddr) -> bool {
        hello.cluster == self.cluster
            && admit(self, &hello.peer, hello.fingerprint, from.ip()).is_ok()
    }
}

/// The peer that listens at this address; else the only one on that machine.
pub(super) fn peer_at(trust: &Trust, from: SocketAddr) -> Option<&PeerId> {
    let from = canonical(from);
    let listens = trust.peers.iter().find(|(_, peer)| peer.address == from);
    if let Some((id, _)) = listens {
        return Some(id);
    }
    let mut on_machine = trust
        .peers
        .iter()
        .filter(|(_, peer)| peer.address.ip() == from.ip());
    match (on_machine.next(), on_machine.next()) {
        (Some((id, _)), None) => Some(id),
        _ => None,
    }
}

/// What is told about somebody whose key may not pass at all.
pub(super) fn stranger(
    trust: &Trust,
    key: Fingerprint,
    from: SocketAddr,
) -> (Option<PeerId>, Rejection) {
    match peer_at(trust, from) {
        Some(id) => {
            let rejection = trust.peers.get(id).map(|peer| wrong_key(peer, key));
            (
                Some(id.clone()),
                rejection.unwrap_or(Rejection::WrongKey { came: key }),
            )
        }
        None => (None, Rejection::WrongKey { came: key }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dataflow_ids::ClusterName;
    use dataflow_wire::peers::Offer;

    use super::*;

    const A: Fingerprint = Fingerprint([1; 32]);
    const B: Fingerprint = Fingerprint([2; 32]);
    const UNKNOWN: Fingerprint = Fingerprint([9; 32]);

    fn id(name: &str) -> PeerId {
        PeerId::new(name).unwrap()
    }

    fn trust(peers: &[(&str, &str, &[Fingerprint])]) -> Trust {
        let peers = peers.iter().map(|(name, address, fingerprints)| {
            let trusted = Trusted {
                address: address.parse().unwrap(),
                fingerprints: fingerprints.to_vec(),
            };
            (id(name), trusted)
        });
        Trust {
            this: id("this"),
            cluster: ClusterName::new("default").unwrap(),
            offer: Offer::default(),
            peers: peers.collect::<BTreeMap<_, _>>(),
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_key_that_is_pinned_is_its_owners_alone() {
        let trust = trust(&[
            ("a", "10.0.0.1:1", &[A]),
            ("b", "10.0.0.2:1", &[B]),
            ("local", "127.0.0.1:1", &[]),
        ]);
        assert_eq!(admit(&trust, &id("a"), A, ip("10.9.9.9")), Ok(()));
        for claims in ["b", "local"] {
            let refused = admit(&trust, &id(claims), A, ip("127.0.0.1")).unwrap_err();
            assert_eq!(refused.peer, Some(id("a")), "{claims}");
            assert_eq!(refused.refusal, Refusal::Key);
            assert_eq!(
                refused.rejection,
                Rejection::OtherPeer { theirs: id(claims) }
            );
        }
        let refused = admit(&trust, &id("nobody"), A, ip("10.0.0.1")).unwrap_err();
        assert_eq!(refused.refusal, Refusal::NotListed);
        assert_eq!(refused.peer, Some(id("a")));
    }

    #[test]
    fn without_a_fingerprint_only_loopback_passes() {
        let trust = trust(&[
            ("a", "10.0.0.1:1", &[A]),
            ("local", "127.0.0.1:1", &[]),
            ("far", "10.0.0.3:1", &[]),
        ]);
        assert!(may_pass(&trust, UNKNOWN, ip("127.0.0.1")));
        assert!(may_pass(&trust, UNKNOWN, ip("::ffff:127.0.0.1")));
        assert!(may_pass(&trust, UNKNOWN, ip("::1")));
        assert!(!may_pass(&trust, UNKNOWN, ip("10.0.0.3")));
        assert!(may_pass(&trust, A, ip("10.0.0.3")));
        assert_eq!(
            admit(&trust, &id("local"), UNKNOWN, ip("127.0.0.1")),
            Ok(())
        );
        let refused = |claims, from| {
            admit(&trust, &id(claims), UNKNOWN, ip(from))
                .unwrap_err()
                .rejection
        };
        assert_eq!(refused("far", "10.0.0.3"), Rejection::NoFingerprint);
        assert_eq!(
            refused("a", "127.0.0.1"),
            Rejection::WrongKey { came: UNKNOWN }
        );
        let target = |address: &str| PeerTarget {
            address: address.parse().unwrap(),
            fingerprints: Vec::new(),
        };
        assert!(dial_allows(&target("127.0.0.1:1"), UNKNOWN));
        assert!(!dial_allows(&target("10.0.0.3:1"), UNKNOWN));
    }

    #[test]
    fn both_keys_of_a_rotation_are_one_peers() {
        let trust = trust(&[("a", "10.0.0.1:1", &[A, B])]);
        for key in [A, B] {
            assert!(may_pass(&trust, key, ip("10.0.0.1")));
            assert_eq!(admit(&trust, &id("a"), key, ip("10.0.0.1")), Ok(()));
        }
    }

    #[test]
    fn a_stranger_is_told_of_the_peer_in_whose_place_it_comes() {
        let trust = trust(&[
            ("a", "10.0.0.1:1", &[A]),
            ("far", "10.0.0.3:1", &[]),
            ("one", "10.0.0.4:1", &[B]),
            ("two", "10.0.0.4:2", &[B]),
        ]);
        let told = |from: &str| stranger(&trust, UNKNOWN, from.parse().unwrap());
        let wrong = Rejection::WrongKey { came: UNKNOWN };
        assert_eq!(told("10.0.0.1:999"), (Some(id("a")), wrong.clone()));
        assert_eq!(
            told("10.0.0.3:1"),
            (Some(id("far")), Rejection::NoFingerprint)
        );
        assert_eq!(told("10.0.0.4:2"), (Some(id("two")), wrong.clone()));
        assert_eq!(told("10.0.0.4:3"), (None, wrong.clone()));
        assert_eq!(told("10.0.0.9:1"), (None, wrong));
    }
}
