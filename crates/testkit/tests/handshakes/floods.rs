//! Callers that begin a handshake and do not go on: they keep nobody else out, and are not kept for long.

use std::time::Duration;

use dataflow_runtime::network::NetworkEvent;

use crate::agents::{Agent, PATIENCE, Start, id, pin};
use crate::raw::{MOMENT, Raw, Shows, own_key};
use crate::relay::Relay;

/// Handshakes that one address may have in progress, in these tests.
const PER_ADDRESS: usize = 4;
/// Of the agent's answers, the one that asks to prove the address comes through, and then no other.
const ONLY_RETRY: Option<usize> = Some(1);

/// Begins handshakes from there that go on until the address is proven, and no further. They last as long as what is
/// given back.
fn half_open(agent: &Agent, from: &str, count: usize) -> (Raw, Vec<Relay>) {
    let raw = Raw::new();
    let relays: Vec<Relay> = (0..count)
        .map(|_| Relay::new(agent.address(), from, ONLY_RETRY))
        .collect();
    let (key, pem) = own_key();
    for relay in &relays {
        let config = crate::raw::client(Shows::of(&key, &pem), dataflow_wire::peer::PEER_ALPN);
        let endpoint = raw.endpoint.clone();
        let to = relay.address();
        // Its packets go out for as long as the task is there.
        raw.runtime.spawn(async move {
            let connecting = endpoint.connect_with(config, to, "flood").unwrap();
            let _ = connecting.await;
        });
    }
    (raw, relays)
}

fn limited(hello_within: Duration) -> Agent {
    let mut start = Start::new("b");
    start.limits.handshakes_per_address_max = PER_ADDRESS;
    start.limits.handshakes_max = 3 * PER_ADDRESS;
    start.limits.hello_within = hello_within;
    start.start()
}

/// Whether somebody from there gets as far as a handshake, in a moment.
fn gets_in(agent: &Agent, from: &str, shows: &Shows) -> bool {
    let caller = Raw::at(&format!("{from}:0"), None);
    let config = crate::raw::client(shows.clone(), dataflow_wire::peer::PEER_ALPN);
    caller.runtime.block_on(async {
        let connecting = caller
            .endpoint
            .connect_with(config, agent.address(), "caller")
            .unwrap();
        matches!(tokio::time::timeout(MOMENT, connecting).await, Ok(Ok(_)))
    })
}

#[test]
fn a_flood_of_half_open_handshakes_keeps_others_in_and_itself_out() {
    let mut agent = limited(PATIENCE * 10);
    let (key, pem) = own_key();
    agent.trusts_as(
        id("elsewhere"),
        "127.0.0.9:1".parse().unwrap(),
        &[key.fingerprint()],
    );
    let shows = Shows::of(&key, &pem);
    let _flood = half_open(&agent, "127.0.0.2", 5 * PER_ADDRESS);
    // It has begun when its own address has no room left.
    while gets_in(&agent, "127.0.0.2", &shows) {}
    let mut others = 0;
    while !gets_in(&agent, "127.0.0.3", &shows) {
        others += 1;
        assert!(others < 100, "another address has its own room");
    }
    // A peer on the very machine of the flood, from where it listens.
    let mut peer = Start {
        listen: "127.0.0.2:0".parse().unwrap(),
        ..Start::new("a")
    }
    .start();
    pin(&mut agent, &mut peer);
    let (link, _) = peer.dial(&id("b")).unwrap();
    for number in 0..10 {
        peer.probe(link.link, number);
    }
    assert!(!gets_in(&agent, "127.0.0.2", &shows), "the flood goes on");
}

#[test]
fn who_does_not_go_on_is_dropped_and_makes_room() {
    let mut agent = limited(Duration::from_millis(200));
    let (key, pem) = own_key();
    agent.trusts_as(
        id("a"),
        "127.0.0.9:1".parse().unwrap(),
        &[key.fingerprint()],
    );
    let shows = Shows::of(&key, &pem);
    let (_raw, _relays) = half_open(&agent, "127.0.0.2", PER_ADDRESS);
    // Handshakes that are through, without a hello, take a place too.
    let quiet = Raw::at("127.0.0.2:0", None);
    let connection = quiet.connect(agent.address(), shows.clone());
    if let Ok(connection) = connection {
        quiet.closed(&connection);
    }
    let mut tries = 0;
    while !gets_in(&agent, "127.0.0.2", &shows) {
        tries += 1;
        assert!(tries < 200, "those who fell silent still have the room");
    }
    let told = agent.left();
    assert!(
        !told
            .iter()
            .any(|event| matches!(event, NetworkEvent::Accepted { .. })),
        "{told:?}"
    );
}
