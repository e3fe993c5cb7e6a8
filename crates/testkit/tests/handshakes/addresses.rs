//! Addresses: of both families, of a peer that moves, and of one that was started anew.

use std::net::SocketAddr;

use dataflow_core::peers::LinkEnd;
use dataflow_runtime::network::{
    Network, NetworkError, NetworkEvent, NetworkSettings, QuicNetwork,
};

use crate::agents::{Agent, PATIENCE, Start, id, pair, pin};
use crate::relay::Relay;

fn at(id: &'static str, listen: &str) -> Agent {
    Start {
        listen: listen.parse().unwrap(),
        ..Start::new(id)
    }
    .start()
}

fn has_ipv6() -> bool {
    let has = std::net::UdpSocket::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("SKIPPED: this machine has no IPv6");
    }
    has
}

#[test]
fn agents_meet_over_ipv6() {
    if !has_ipv6() {
        return;
    }
    let (mut a, mut b) = (at("a", "[::1]:0"), at("b", "[::1]:0"));
    pin(&mut a, &mut b);
    let (link, _) = a.dial(&id("b")).unwrap();
    assert_eq!(link.from, b.address());
    assert_eq!(b.accepted().0.from, a.address());
}

#[test]
fn an_agent_reaches_peers_of_the_family_that_it_does_not_listen_on() {
    if !has_ipv6() {
        return;
    }
    let (mut four, mut six) = (at("four", "127.0.0.1:0"), at("six", "[::1]:0"));
    pin(&mut four, &mut six);
    four.dial(&id("six")).unwrap();
    six.accepted();
    six.dial(&id("four")).unwrap();
    four.accepted();
}

#[test]
fn a_socket_for_both_families_shows_ipv4_as_ipv4() {
    if !has_ipv6() {
        return;
    }
    let (mut both, mut four) = (at("both", "[::]:0"), at("four", "127.0.0.1:0"));
    let local = SocketAddr::from(([127, 0, 0, 1], both.address().port()));
    let (of_both, of_four) = (both.fingerprint(), four.fingerprint());
    four.trusts_as(id("both"), local, &[of_both]);
    both.trusts(&four, &[of_four]);
    let (link, _) = four.dial(&id("both")).unwrap();
    assert_eq!(link.from, local);
    let (accepted, _) = both.accepted();
    assert_eq!(accepted.from, four.address());
    let reading = both.network.reading(accepted.link).unwrap();
    assert_eq!(reading.address, four.address());
    let (back, _) = both.dial(&id("four")).unwrap();
    assert_eq!(back.from, four.address());
}

#[test]
fn a_peer_whose_address_changes_on_the_way_stays_connected() {
    let (mut a, mut b) = pair();
    let relay = Relay::new(b.address(), "127.0.0.1", None);
    let of_b = b.fingerprint();
    a.trusts_as(id("b"), relay.address(), &[of_b]);
    let (link, _) = a.dial(&id("b")).unwrap();
    let (accepted, _) = b.accepted();
    let before = b.network.reading(accepted.link).unwrap().address;
    for number in 1..4 {
        relay.moves();
        a.probe(link.link, number);
        b.probe(accepted.link, number);
    }
    let after = b.network.reading(accepted.link).unwrap().address;
    assert_ne!(before, after);
    assert_eq!((a.left(), b.left()), (vec![], vec![]));
}

#[test]
fn an_agent_that_was_started_anew_is_known_by_the_first_packet_to_it() {
    let (mut a, b) = pair();
    let relay = Relay::new(b.address(), "127.0.0.1", None);
    let of_b = b.fingerprint();
    a.trusts_as(id("b"), relay.address(), &[of_b]);
    let mut b = b;
    let (link, _) = a.dial(&id("b")).unwrap();
    b.accepted();
    // The same agent, as it comes back after a kill: its key is the same, and it knows of no connection.
    let again = Start {
        identity: b.identity.clone(),
        boot: 99,
        ..Start::new("b")
    }
    .start();
    relay.leads_to(again.address());
    a.network.probe(link.link, 1);
    let end = a.hear("the end of the connection", |event| match event {
        NetworkEvent::LinkEnded { end, .. } => Some(end.clone()),
        _ => None,
    });
    assert_eq!(end, LinkEnd::Reset, "and not after {PATIENCE:?} of silence");
}

#[test]
fn a_port_that_is_taken_is_said_with_who_has_it() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let settings = |listen: SocketAddr| NetworkSettings {
        listen,
        identity: dataflow_runtime::network::Identity::generate().unwrap(),
        boot: dataflow_ids::BootId(1),
        version: "0.1.0".to_owned(),
        limits: Default::default(),
    };
    let address = taken.local_addr().unwrap();
    let error = QuicNetwork::start(settings(address)).unwrap_err();
    let pid = format!("(pid {})", std::process::id());
    assert!(matches!(error, NetworkError::PortTaken { .. }), "{error}");
    assert!(error.to_string().contains(&pid), "{error}");
    // Of the block for documentation: nobody's.
    let error = QuicNetwork::start(settings("192.0.2.1:0".parse().unwrap())).unwrap_err();
    assert!(
        matches!(error, NetworkError::NotOurAddress { .. }),
        "{error}"
    );
}
