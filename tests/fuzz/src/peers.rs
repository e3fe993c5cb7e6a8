//! Any text as a file of peers, and as one that a key is recorded in.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dataflow_descriptor::{
    Peers, RecordError, ThisMachine, check_peers_text, check_peers_text_on, limits,
    with_fingerprints,
};
use dataflow_ids::{Fingerprint, PeerId};

use crate::yaml::check_diagnostics;

/// Checks `data` as the text of a file of peers, on a machine that has every second address, and records keys in it.
///
/// # Panics
///
/// When there are peers in spite of an error, or none without one; when a diagnostic cannot be shown on a terminal; when
/// two peers share what each must have for itself; or when recording a key has changed anything else.
pub fn peers(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let checked = check_peers_text(&text, "fuzz.yaml");
    assert_eq!(checked.peers.is_some(), checked.errors() == 0);
    check_diagnostics(&checked.diagnostics, &text);
    let machine = ThisMachine {
        id: PeerId::new("node1").expect("this is a name"),
        memory_bytes: Some(1 << 30),
        cpus: Some(1),
        gpu: Some(false),
        has_address: &every_second,
    };
    let on_machine = check_peers_text_on(&text, "fuzz.yaml", &machine);
    assert!(on_machine.errors() >= checked.errors());
    assert_eq!(on_machine.peers.is_some(), on_machine.errors() == 0);
    check_diagnostics(&on_machine.diagnostics, &text);
    let Some(peers) = checked.peers else {
        return;
    };
    check_peers(&peers);
    // Both ends of a long list; what lies between is no different.
    let ends = [0, peers.peers.len() - 1];
    for place in BTreeSet::from(ends) {
        check_recording(&text, &peers, place);
    }
}

fn every_second(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(four) => four.octets()[3].is_multiple_of(2),
        IpAddr::V6(six) => six.octets()[15].is_multiple_of(2),
    }
}

fn check_peers(peers: &Peers) {
    assert!((1..=limits::PEERS_MAX).contains(&peers.peers.len()));
    let (mut ids, mut addresses, mut keys) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for peer in &peers.peers {
        assert!(ids.insert(&peer.id), "{}", peer.id);
        assert!(addresses.insert(peer.address), "{}", peer.address);
        let ip = peer.address.ip();
        assert!(!ip.is_unspecified() && !ip.is_multicast(), "{ip}");
        assert_eq!(ip, ip.to_canonical());
        assert_ne!(peer.address.port(), 0);
        assert!(peer.fingerprints.len() <= limits::FINGERPRINTS_MAX);
        assert!(peer.fingerprints.iter().all(|key| keys.insert(*key)));
        assert!(peer.capabilities.labels.len() <= limits::LABELS_MAX);
    }
    let watched = &peers.health_check;
    assert!(watched.timeout <= watched.interval && watched.unreachable_after >= 1);
}

/// Records one key, then two: each time the file says the same but for that.
fn check_recording(text: &str, peers: &Peers, place: usize) {
    let mut wanted = peers.clone();
    let id = wanted.peers[place].id.clone();
    let mut before = text.to_owned();
    let keys = [Fingerprint([0xf1; 32]), Fingerprint([0xf2; 32])];
    for count in 1..=keys.len() {
        let after = match with_fingerprints(&before, &id, &keys[..count]) {
            Ok(after) => after,
            Err(RecordError::NotEditable { .. } | RecordError::Taken { .. }) => return,
            Err(error) => panic!("{error}"),
        };
        wanted.peers[place].fingerprints = keys[..count].to_vec();
        let checked = check_peers_text(&after, "fuzz.yaml");
        assert_eq!(checked.peers.as_ref(), Some(&wanted));
        before = after;
    }
}
