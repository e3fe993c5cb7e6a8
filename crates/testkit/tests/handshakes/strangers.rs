//! Whoever else comes to an agent's port, or waits at the address of a peer: nobody of them gets in, and it is said why.

use std::net::UdpSocket;
use std::time::Duration;

use dataflow_core::peers::{DialFailure, Rejection};
use dataflow_ids::Fingerprint;
use dataflow_runtime::network::{Identity, Network, NetworkEvent, fetch_fingerprint};
use dataflow_wire::peer::{PEER_ALPN, PEER_PROTOCOL, Preamble, Refusal};

use crate::agents::{Agent, PATIENCE, Start, id, pair};
use crate::raw::{Raw, Shows, alert_of, client, close_of, hello, opening, own_key, server};

const ACCESS_DENIED: u8 = 49;
const DECRYPT_ERROR: u8 = 51;
const CERTIFICATE_REQUIRED: u8 = 116;
const NO_APPLICATION_PROTOCOL: u8 = 120;

fn not_an_agent(what: &str) -> Rejection {
    let what = what.to_owned();
    Rejection::NotAnAgent { what }
}

/// An agent that lets `a` in, whose key the test has.
fn agent_for(key: &Identity) -> Agent {
    let mut agent = Agent::new("b");
    agent.trusts_as(
        id("a"),
        "127.0.0.1:1".parse().unwrap(),
        &[key.fingerprint()],
    );
    agent
}

#[test]
fn the_right_certificate_without_its_key_does_not_come_in() {
    let (key, _) = own_key();
    let mut agent = agent_for(&key);
    let thief = Raw::new();
    let copied = Shows::copied(key.certificate());
    let error = match thief.connect(agent.address(), copied) {
        Ok(connection) => thief.closed(&connection),
        Err(error) => error,
    };
    assert_eq!(alert_of(&error), Some(DECRYPT_ERROR), "{error}");
    let (peer, rejection) = agent.stranger();
    assert_eq!(
        rejection,
        not_an_agent("it shows a key that it does not have")
    );
    assert_eq!(peer, Some(id("a")), "the only peer on that machine");
    assert_eq!(agent.left(), []);
}

#[test]
fn an_impostor_with_the_right_certificate_and_no_key_is_not_spoken_to() {
    let (key, _) = own_key();
    let impostor = Raw::at(
        "127.0.0.1:0",
        Some(server(Shows::copied(key.certificate()), PEER_ALPN)),
    );
    let mut a = Agent::new("a");
    a.trusts_as(id("b"), impostor.address(), &[key.fingerprint()]);
    let dial = a.begin(&id("b"));
    // It takes whoever comes; what it must not get is a word.
    let ended = impostor.wait("a handshake", async {
        let incoming = impostor.endpoint.accept().await.unwrap();
        match incoming.await {
            Ok(connection) => connection.accept_bi().await.map(|_| ()),
            Err(error) => Err(error),
        }
    });
    assert_eq!(alert_of(&ended.unwrap_err()), Some(DECRYPT_ERROR));
    assert_eq!(
        a.dialled(dial).err(),
        Some(DialFailure::Rejected(not_an_agent(
            "it shows a key that it does not have"
        )))
    );
    let (endpoint, address) = (impostor.endpoint.clone(), impostor.address());
    impostor.runtime.spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            assert!(incoming.await.is_err());
        }
    });
    assert_eq!(
        fetch_fingerprint(address, PATIENCE),
        Err(DialFailure::Rejected(not_an_agent(
            "it shows a key that it does not have"
        ))),
        "nobody is asked to pin a key that is not there"
    );
}

#[test]
fn without_a_certificate_nobody_comes_in() {
    let (key, _) = own_key();
    let mut agent = agent_for(&key);
    let nobody = Raw::new();
    // The trap of mutual TLS: on this side the handshake ends well, and only then comes the alert.
    let error = match nobody.connect(agent.address(), Shows::nothing()) {
        Ok(connection) => nobody.closed(&connection),
        Err(error) => error,
    };
    assert_eq!(alert_of(&error), Some(CERTIFICATE_REQUIRED), "{error}");
    assert_eq!(agent.stranger().1, not_an_agent("it shows no key"));
    assert_eq!(agent.left(), []);
}

#[test]
fn an_unknown_key_does_not_come_in_and_is_named() {
    let (key, _) = own_key();
    let mut agent = agent_for(&key);
    let (other, pem) = own_key();
    let raw = Raw::new();
    let error = match raw.connect(agent.address(), Shows::of(&other, &pem)) {
        Ok(connection) => raw.closed(&connection),
        Err(error) => error,
    };
    assert_eq!(alert_of(&error), Some(ACCESS_DENIED), "{error}");
    let came = other.fingerprint();
    assert_eq!(agent.stranger().1, Rejection::WrongKey { came });
}

#[test]
fn another_protocol_in_the_handshake_is_no_agent() {
    let (key, pem) = own_key();
    let mut agent = agent_for(&key);
    let raw = Raw::new();
    let config = client(Shows::of(&key, &pem), b"h3");
    let error = raw.connect_as(agent.address(), config).unwrap_err();
    assert_eq!(alert_of(&error), Some(NO_APPLICATION_PROTOCOL), "{error}");
    let (_, rejection) = agent.stranger();
    assert!(matches!(rejection, Rejection::NotAnAgent { .. }));

    let web = Raw::at("127.0.0.1:0", Some(server(Shows::of(&key, &pem), b"h3")));
    agent.trusts_as(id("web"), web.address(), &[key.fingerprint()]);
    let dial = agent.begin(&id("web"));
    web.wait("a handshake", async {
        let incoming = web.endpoint.accept().await.unwrap();
        assert!(incoming.await.is_err());
    });
    let failure = agent.dialled(dial).unwrap_err();
    assert!(
        matches!(failure, DialFailure::Rejected(Rejection::NotAnAgent { .. })),
        "{failure:?}"
    );
}

/// What an agent does with somebody who has a right key and says this.
fn said(key: &Identity, pem: &str, agent: &Agent, bytes: &[u8]) -> Option<Refusal> {
    let raw = Raw::new();
    let connection = raw.connect(agent.address(), Shows::of(key, pem)).unwrap();
    let _streams = raw.say(&connection, bytes);
    let (code, reason) = close_of(&raw.closed(&connection))?;
    Refusal::from_close(code, &reason)
}

#[test]
fn a_key_says_who_it_is_and_not_its_holder() {
    let (key, pem) = own_key();
    let mut agent = agent_for(&key);
    let address = "127.0.0.1:2".parse().unwrap();
    agent.trusts_as(id("other"), address, &[Fingerprint([1; 32])]);
    // On loopback a peer without a fingerprint may have any key, but not that of another one.
    agent.trusts_as(id("local"), "127.0.0.1:3".parse().unwrap(), &[]);
    for (claims, refusal) in [
        ("other", Refusal::Key),
        ("local", Refusal::Key),
        ("nobody", Refusal::NotListed),
    ] {
        let bytes = opening(hello(claims, "b"));
        assert_eq!(said(&key, &pem, &agent, &bytes), Some(refusal), "{claims}");
    }
    let (peer, rejection) = agent.stranger();
    assert_eq!(peer, Some(id("a")), "whose key it is");
    let theirs = id("other");
    assert_eq!(rejection, Rejection::OtherPeer { theirs });
    let (unknown, unknown_pem) = own_key();
    let bytes = opening(hello("other", "b"));
    assert_eq!(
        said(&unknown, &unknown_pem, &agent, &bytes),
        Some(Refusal::Key)
    );
    let none_came_in = |event: &NetworkEvent| !matches!(event, NetworkEvent::Accepted { .. });
    assert!(agent.left().iter().all(none_came_in));
}

#[test]
fn who_means_somebody_else_is_told_who_is_there() {
    let (key, pem) = own_key();
    let agent = agent_for(&key);
    let bytes = opening(hello("a", "c"));
    let ours = id("b");
    assert_eq!(
        said(&key, &pem, &agent, &bytes),
        Some(Refusal::Peer { ours })
    );
}

#[test]
fn an_old_protocol_is_told_ours_and_named() {
    let (key, pem) = own_key();
    let mut agent = agent_for(&key);
    let bytes = Preamble { protocol: 0 }.to_bytes();
    let ours = PEER_PROTOCOL;
    assert_eq!(
        said(&key, &pem, &agent, &bytes),
        Some(Refusal::Protocol { ours })
    );
    assert_eq!(
        agent.stranger(),
        (Some(id("a")), Rejection::OtherProtocol { ours, theirs: 0 })
    );
}

#[test]
fn who_dials_an_agent_of_another_protocol_is_told_which() {
    let (key, pem) = own_key();
    for refuses in [true, false] {
        let newer = Raw::at(
            "127.0.0.1:0",
            Some(server(Shows::of(&key, &pem), PEER_ALPN)),
        );
        let mut a = Agent::new("a");
        a.trusts_as(id("b"), newer.address(), &[key.fingerprint()]);
        let dial = a.begin(&id("b"));
        newer.wait("a refusal", async {
            let connection = newer.endpoint.accept().await.unwrap().await.unwrap();
            let (mut send, _receive) = connection.accept_bi().await.unwrap();
            if refuses {
                let (code, reason) = Refusal::Protocol { ours: 9 }.to_close();
                connection.close(code.into(), &reason);
            } else {
                let preamble = Preamble { protocol: 9 }.to_bytes();
                send.write_all(&preamble).await.unwrap();
                connection.closed().await;
            }
        });
        assert_eq!(
            a.dialled(dial).err(),
            Some(DialFailure::Rejected(Rejection::OtherProtocol {
                ours: PEER_PROTOCOL,
                theirs: 9,
            })),
            "refuses: {refuses}"
        );
    }
}

#[test]
fn what_is_no_conversation_is_refused() {
    let (key, pem) = own_key();
    let mut agent = agent_for(&key);
    let mut terminal = hello("a", "b");
    terminal.version = "\x1b[2J".to_owned();
    let mut long = Preamble::OURS.to_bytes().to_vec();
    long.extend(u32::MAX.to_le_bytes());
    let mut no_hello = Preamble::OURS.to_bytes().to_vec();
    let probe = dataflow_wire::peer::Frame::Probe { number: 1 };
    no_hello.extend(probe.encode().unwrap());
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: b\r\n\r\n".to_vec(),
        vec![0xff; 4096],
        opening(terminal),
        long,
        no_hello,
    ] {
        assert_eq!(
            said(&key, &pem, &agent, &bytes),
            Some(Refusal::Garbage),
            "{bytes:x?}"
        );
    }
    let (peer, rejection) = agent.stranger();
    assert_eq!(peer, Some(id("a")));
    assert!(matches!(rejection, Rejection::NotAnAgent { .. }));
}

#[test]
fn an_address_that_leads_to_the_agent_itself_is_told_apart() {
    let mut a = Agent::new("a");
    let address = a.address();
    a.trusts_as(id("b"), address, &[Fingerprint([1; 32])]);
    assert_eq!(
        a.dial(&id("b")).err(),
        Some(DialFailure::Rejected(Rejection::Itself))
    );
    let own = a.fingerprint();
    a.trusts_as(id("b"), address, &[own]);
    assert_eq!(
        a.dial(&id("b")).err(),
        Some(DialFailure::Rejected(Rejection::Itself))
    );
    assert_eq!(a.left(), []);
}

#[test]
fn a_copied_key_is_not_taken_for_the_agent_itself() {
    let mut a = Agent::new("a");
    let mut b = Start {
        identity: a.identity.clone(),
        ..Start::new("b")
    }
    .start();
    a.trusts(&b, &[Fingerprint([1; 32])]);
    b.trusts(&a, &[Fingerprint([2; 32])]);
    // Each shows the key of the other one, and neither is pinned.
    assert_eq!(
        a.dial(&id("b")).err(),
        Some(DialFailure::Rejected(Rejection::OurKeyRefused))
    );
    let came = a.fingerprint();
    assert_eq!(b.stranger(), (Some(id("a")), Rejection::WrongKey { came }));
}

#[test]
fn without_a_fingerprint_nobody_is_dialled_off_loopback() {
    let mut a = Agent::new("a");
    // Of a network that is nowhere: a dial would not be answered at all.
    a.trusts_as(id("far"), "192.0.2.1:50051".parse().unwrap(), &[]);
    assert_eq!(
        a.dial(&id("far")).err(),
        Some(DialFailure::Rejected(Rejection::NoFingerprint))
    );
}

#[test]
fn without_a_fingerprint_nobody_comes_in_from_off_loopback() {
    let listen = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    let (mut a, mut b) = (
        Start {
            listen,
            ..Start::new("a")
        }
        .start(),
        Start {
            listen,
            ..Start::new("b")
        }
        .start(),
    );
    // An address of this machine that is not loopback; no packet is sent for that.
    let probe = UdpSocket::bind(listen).unwrap();
    let Ok(()) = probe.connect("192.0.2.1:9") else {
        eprintln!("SKIPPED: this machine has no address but loopback");
        return;
    };
    let here = probe.local_addr().unwrap().ip();
    let at = |agent: &Agent| std::net::SocketAddr::new(here, agent.address().port());
    let of_b = b.fingerprint();
    a.trusts_as(id("b"), at(&b), &[of_b]);
    b.trusts_as(id("a"), at(&a), &[]);
    assert_eq!(
        a.dial(&id("b")).err(),
        Some(DialFailure::Rejected(Rejection::OurKeyRefused))
    );
    assert_eq!(b.stranger(), (Some(id("a")), Rejection::NoFingerprint));
}

#[test]
fn without_fingerprints_agents_on_one_machine_connect() {
    let (mut a, mut b) = (Agent::new("a"), Agent::new("b"));
    a.trusts(&b, &[]);
    b.trusts(&a, &[]);
    a.dial(&id("b")).unwrap();
    assert_eq!(b.accepted().1.fingerprint, a.fingerprint());
}

#[test]
fn garbage_on_the_port_harms_nobody() {
    let (mut a, mut b) = pair();
    let (dialled, _) = a.dial(&id("b")).unwrap();
    b.accepted();
    let noise = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut random = dataflow_core::random::Random::new(1);
    for length in (0..1400).step_by(7) {
        let mut packet: Vec<u8> = (0..length).map(|_| random.draw() as u8).collect();
        // Half of them look as if a handshake began.
        if let Some(first) = packet.first_mut() {
            *first |= if length % 2 == 0 { 0xc0 } else { 0 };
        }
        noise.send_to(&packet, b.address()).unwrap();
    }
    a.probe(dialled.link, 1);
    assert_eq!(b.left(), []);
}

#[test]
fn whoever_is_there_and_no_agent_does_not_keep_who_dials_waiting_for_ever() {
    let mut a = Agent::new("a");
    let within = Duration::from_secs(1);
    // Bound and never read.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    a.trusts_as(id("silent"), silent.local_addr().unwrap(), &[]);
    let dial = a.begin_within(&id("silent"), within);
    assert_eq!(a.dialled(dial).err(), Some(DialFailure::NoAnswer));
    // A socket that is connected to somebody else takes nothing: the system says that nobody listens.
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    taken.connect(silent.local_addr().unwrap()).unwrap();
    let closed = taken.local_addr().unwrap();
    a.trusts_as(id("closed"), closed, &[]);
    assert_eq!(a.dial(&id("closed")).err(), Some(DialFailure::Refused));
    assert_eq!(
        fetch_fingerprint(closed, PATIENCE),
        Err(DialFailure::Refused)
    );
    assert_eq!(
        fetch_fingerprint(silent.local_addr().unwrap(), within),
        Err(DialFailure::NoAnswer)
    );
}

#[test]
fn a_dial_that_is_given_up_is_given_up_at_once() {
    let mut a = Agent::new("a");
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    a.trusts_as(id("silent"), silent.local_addr().unwrap(), &[]);
    let dial = a.begin_within(&id("silent"), PATIENCE * 10);
    a.network.cancel(&id("silent"), dial);
    let failure = a.dialled(dial).unwrap_err();
    assert_eq!(failure, DialFailure::Other("it was given up".to_owned()));
}

#[test]
fn a_fingerprint_is_fetched_without_a_word_to_anybody() {
    let mut b = Agent::new("b");
    b.trusts_as(id("a"), "127.0.0.1:1".parse().unwrap(), &[]);
    assert_eq!(
        fetch_fingerprint(b.address(), PATIENCE),
        Ok(b.fingerprint())
    );
    // Whoever comes next is heard, and nothing was before.
    let mut a = Agent::new("a");
    a.trusts(&b, &[b.fingerprint()]);
    a.dial(&id("b")).unwrap();
    let mut told = Vec::new();
    b.hear("the next one", |event| match event {
        NetworkEvent::Accepted { .. } => Some(()),
        other => {
            told.push(other.clone());
            None
        }
    });
    assert_eq!(told, []);
}

#[test]
fn a_flood_of_strangers_is_told_of_once_and_counted() {
    let (key, _) = own_key();
    let mut agent = {
        let mut start = Start::new("b");
        start.limits.stranger_every = Duration::from_secs(3600);
        start.start()
    };
    let peer = Agent::new("a");
    agent.trusts_as(id("a"), peer.address(), &[key.fingerprint()]);
    // Before anybody comes: whose a stranger may be depends on who is trusted when it is told.
    let mut friend = Agent::new("c");
    agent.trusts(&friend, &[friend.fingerprint()]);
    friend.trusts(&agent, &[agent.fingerprint()]);
    let raw = Raw::new();
    for _ in 0..5 {
        let shows = Shows::copied(key.certificate());
        match raw.connect(agent.address(), shows) {
            Ok(connection) => drop(raw.closed(&connection)),
            Err(error) => drop(error),
        }
    }
    agent.stranger();
    friend.dial(&id("b")).unwrap();
    let mut strangers = 0;
    agent.hear("a friend", |event| match event {
        NetworkEvent::Stranger { .. } => {
            strangers += 1;
            None
        }
        NetworkEvent::Accepted { .. } => Some(()),
        _ => None,
    });
    assert_eq!(strangers, 0);
}
