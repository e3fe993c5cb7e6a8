//! What the proxy of UDP does to datagrams between two real sockets.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use dataflow_testkit::proxy::{Direction, UdpProxy, Weather};

/// How long a test waits for a datagram before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

fn socket(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("there are free ports");
    let set = socket.set_read_timeout(Some(PATIENCE));
    set.expect("it is longer than nothing");
    socket
}

fn received(socket: &UdpSocket) -> (String, SocketAddr) {
    let mut bytes = [0; 70_000];
    let (count, from) = socket.recv_from(&mut bytes).expect("a datagram comes");
    (String::from_utf8_lossy(&bytes[..count]).into_owned(), from)
}

/// A proxy on any port of loopback.
fn proxy_of(target: SocketAddr, seed: u64) -> UdpProxy {
    UdpProxy::start(([127, 0, 0, 1], 0).into(), target, seed).expect("there are free ports")
}

/// A client, the proxy and the program behind it.
fn world(seed: u64) -> (UdpSocket, UdpProxy, UdpSocket) {
    let target = socket("127.0.0.1:0");
    let proxy = proxy_of(target.local_addr().expect("it is bound"), seed);
    (socket("127.0.0.1:0"), proxy, target)
}

#[test]
fn what_is_sent_arrives_and_so_does_the_answer() {
    let (client, proxy, target) = world(1);
    client.send_to(b"question", proxy.address()).unwrap();
    let (question, from) = received(&target);
    assert_eq!(question, "question");
    target.send_to(b"answer", from).unwrap();
    assert_eq!(
        received(&client),
        ("answer".to_owned(), proxy.address()),
        "the answer comes from where the question was sent to"
    );
}

#[test]
fn two_clients_are_kept_apart() {
    let (first, proxy, target) = world(1);
    let second = socket("127.0.0.1:0");
    first.send_to(b"first", proxy.address()).unwrap();
    let (_, from_first) = received(&target);
    second.send_to(b"second", proxy.address()).unwrap();
    let (_, from_second) = received(&target);
    assert_ne!(from_first, from_second);
    target.send_to(b"to the second", from_second).unwrap();
    target.send_to(b"to the first", from_first).unwrap();
    assert_eq!(received(&first).0, "to the first");
    assert_eq!(received(&second).0, "to the second");
}

#[test]
fn one_direction_can_be_cut_alone() {
    let (client, proxy, target) = world(1);
    client.send_to(b"one", proxy.address()).unwrap();
    let (_, from) = received(&target);
    proxy.set_weather(Direction::ToTarget, Weather::CUT);
    client.send_to(b"two", proxy.address()).unwrap();
    while proxy.counts(Direction::ToTarget).lost == 0 {
        std::thread::yield_now();
    }
    target.send_to(b"answer", from).unwrap();
    assert_eq!(received(&client).0, "answer");
    proxy.set_weather(Direction::ToTarget, Weather::GOOD);
    client.send_to(b"three", proxy.address()).unwrap();
    assert_eq!(received(&target).0, "three", "the second is lost for good");
}

#[test]
fn nothing_arrives_before_its_delay() {
    let (client, proxy, target) = world(1);
    let delay = Duration::from_millis(100);
    proxy.set_weather_both_ways(Weather {
        delay,
        ..Weather::GOOD
    });
    let sent = Instant::now();
    client.send_to(b"question", proxy.address()).unwrap();
    let (_, from) = received(&target);
    assert!(sent.elapsed() >= delay);
    target.send_to(b"answer", from).unwrap();
    received(&client);
    assert!(sent.elapsed() >= 2 * delay);
}

#[test]
fn each_datagram_is_accounted_for() {
    let (client, proxy, target) = world(1);
    proxy.set_weather(
        Direction::ToTarget,
        Weather {
            loss_ppm: 200_000,
            double_ppm: 200_000,
            reorder_ppm: 200_000,
            ..Weather::GOOD
        },
    );
    for number in 0..200 {
        let bytes = format!("{number:03}");
        client.send_to(bytes.as_bytes(), proxy.address()).unwrap();
    }
    let settled = || {
        let counts = proxy.counts(Direction::ToTarget);
        (counts.came == 200 && counts.came + counts.doubled == counts.sent_on + counts.lost)
            .then_some(counts)
    };
    let deadline = Instant::now() + PATIENCE;
    let counts = loop {
        if let Some(counts) = settled() {
            break counts;
        }
        assert!(Instant::now() < deadline, "{:?}", proxy);
        std::thread::yield_now();
    };
    assert!(counts.lost > 0 && counts.doubled > 0 && counts.held_back > 0);
    let arrived: Vec<_> = (0..counts.sent_on).map(|_| received(&target).0).collect();
    assert!(!arrived.is_sorted(), "some were overtaken");
}

#[test]
fn a_seed_gives_the_same_luck_again() {
    let survivors = |seed| {
        let (client, proxy, target) = world(seed);
        let half = Weather {
            loss_ppm: 500_000,
            ..Weather::GOOD
        };
        proxy.set_weather(Direction::ToTarget, half);
        let mut arrived = Vec::new();
        for number in 1..=50 {
            let bytes = format!("{number}");
            client.send_to(bytes.as_bytes(), proxy.address()).unwrap();
            let counts = || proxy.counts(Direction::ToTarget);
            while counts().sent_on + counts().lost < number {
                std::thread::yield_now();
            }
            if counts().sent_on > arrived.len() as u64 {
                arrived.push(received(&target).0);
            }
        }
        arrived
    };
    assert_eq!(survivors(3), survivors(3));
    assert_ne!(survivors(3), survivors(4));
}

#[test]
fn after_a_rebinding_a_client_comes_from_another_port_and_the_old_one_is_dead() {
    let (client, proxy, target) = world(1);
    client.send_to(b"one", proxy.address()).unwrap();
    let (_, before) = received(&target);
    proxy.rebind();
    client.send_to(b"two", proxy.address()).unwrap();
    let (_, after) = received(&target);
    assert_ne!(before, after);
    target.send_to(b"to the old port", before).unwrap();
    target.send_to(b"to the new port", after).unwrap();
    assert_eq!(received(&client).0, "to the new port");
}

#[test]
fn the_program_behind_it_may_move_and_may_be_away() {
    // An address that nobody else binds: what is sent there while the program is away reaches no other test.
    let target = socket("127.0.7.7:0");
    let away = target.local_addr().unwrap();
    let proxy = proxy_of(away, 1);
    let client = socket("127.0.0.1:0");
    drop(target);
    client.send_to(b"to nobody", proxy.address()).unwrap();
    while proxy.counts(Direction::ToTarget).came < 1 {
        std::thread::yield_now();
    }
    let moved = socket("127.0.0.1:0");
    assert_ne!(away, moved.local_addr().unwrap());
    proxy.set_target(moved.local_addr().unwrap());
    client.send_to(b"moved", proxy.address()).unwrap();
    // The first may have waited until after the move: it goes there too then.
    while received(&moved).0 != "moved" {}
}

#[test]
fn large_datagrams_and_the_sixth_version_of_the_protocol_pass() {
    let target = socket("[::1]:0");
    let front = "[::1]:0".parse().unwrap();
    let proxy = UdpProxy::start(front, target.local_addr().unwrap(), 1).unwrap();
    let client = socket("[::1]:0");
    let large = "x".repeat(60_000);
    client.send_to(large.as_bytes(), proxy.address()).unwrap();
    let (came, from) = received(&target);
    assert_eq!(came, large);
    target.send_to(b"answer", from).unwrap();
    assert_eq!(received(&client).0, "answer");
}
