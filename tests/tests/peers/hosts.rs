//! The hosts themselves: what the other tests believe of them.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dataflow_testkit::proxy::UdpProxy;
use dataflow_tests::{Host, Network};

/// How long is waited for what must not come. Whatever comes on a cable is there within microseconds.
const NOTHING_COMES: Duration = Duration::from_millis(200);

fn two_hosts(test: &str) -> Option<(Host, Host)> {
    let network = Network::new(test)?;
    Some((network.host(), network.host()))
}

fn socket(host: &Host, address: IpAddr) -> UdpSocket {
    host.inside(|| UdpSocket::bind((address, 0)))
        .expect("a host has free ports")
}

/// Whether anything of what `from` sends to `to` arrives.
fn arrives(from: &UdpSocket, to: &UdpSocket) -> bool {
    be_impatient(to);
    (0..5).any(|_| sent_once(from, to))
}

fn be_impatient(socket: &UdpSocket) {
    let set = socket.set_read_timeout(Some(NOTHING_COMES));
    set.expect("it is longer than nothing");
}

fn sent_once(from: &UdpSocket, to: &UdpSocket) -> bool {
    let address = to.local_addr().expect("it is bound");
    sent_to(from, address, to)
}

/// Sends a datagram that no other is like: one that was thought lost may still come.
fn sent_to(from: &UdpSocket, address: SocketAddr, to: &UdpSocket) -> bool {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let sent = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    // With the card down there is no way there, and the system says so.
    if from.send_to(&sent, address).is_err() {
        return false;
    }
    let mut came = [0; 8];
    while to.recv_from(&mut came).is_ok() {
        if came == sent {
            return true;
        }
    }
    false
}

/// Sends until it arrives: the first packet after a change asks where the other is, and may be lost; and a card that
/// has come up is used up to a second later.
#[track_caller]
fn assert_comes_to_arrive(from: &UdpSocket, to: &UdpSocket) {
    be_impatient(to);
    dataflow_tests::wait_until("it arrives", || sent_once(from, to));
}

#[test]
fn hosts_reach_each_other_and_nobody_else() {
    let Some((first, second)) = two_hosts("hosts_reach_each_other_and_nobody_else") else {
        return;
    };
    for (here, there) in [(first.v4(), second.v4()), (first.v6(), second.v6())] {
        let (here, there) = (socket(&first, here), socket(&second, there));
        assert_comes_to_arrive(&here, &there);
        assert_comes_to_arrive(&there, &here);
    }
    let outside: SocketAddr = "192.0.2.1:9".parse().unwrap();
    let error = first.socket().send_to(b"hello", outside).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NetworkUnreachable);
}

#[test]
fn each_host_has_a_loopback_and_ports_of_its_own() {
    let Some((first, second)) = two_hosts("each_host_has_a_loopback_and_ports_of_its_own") else {
        return;
    };
    let loopback = "127.0.0.1".parse().unwrap();
    let here = socket(&first, loopback);
    let address = here.local_addr().unwrap();
    let there = second.inside(|| UdpSocket::bind(address)).unwrap();
    assert!(!arrives(&socket(&first, loopback), &there));
    assert_comes_to_arrive(&socket(&first, loopback), &here);
}

#[test]
fn through_a_pulled_cable_nothing_comes_and_nobody_is_told() {
    let test = "through_a_pulled_cable_nothing_comes_and_nobody_is_told";
    let Some((first, second)) = two_hosts(test) else {
        return;
    };
    let (here, there) = (first.socket(), second.socket());
    assert_comes_to_arrive(&here, &there);
    second.pull_cable();
    assert!(!arrives(&here, &there));
    assert!(!arrives(&there, &here));
    here.send_to(b"hello", there.local_addr().unwrap()).unwrap();
    second.plug_in();
    assert_comes_to_arrive(&here, &there);
    assert_comes_to_arrive(&there, &here);
}

#[test]
fn with_the_card_down_there_is_no_way_until_it_is_up() {
    let Some((first, second)) = two_hosts("with_the_card_down_there_is_no_way_until_it_is_up")
    else {
        return;
    };
    let (here, there) = (first.socket(), second.socket());
    assert_comes_to_arrive(&here, &there);
    first.card_down();
    let sent = here.send_to(b"hello", there.local_addr().unwrap());
    let error = sent.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NetworkUnreachable);
    first.card_up();
    assert_comes_to_arrive(&here, &there);
    let (here, there) = (socket(&first, first.v6()), socket(&second, second.v6()));
    assert_comes_to_arrive(&here, &there);
}

#[test]
fn a_host_that_moves_is_reached_at_its_new_address_alone() {
    let Some((first, second)) = two_hosts("a_host_that_moves_is_reached_at_its_new_address_alone")
    else {
        return;
    };
    let here = first.socket();
    let everywhere = socket(&second, "0.0.0.0".parse().unwrap());
    let port = everywhere.local_addr().unwrap().port();
    be_impatient(&everywhere);
    let hears = |address: IpAddr| sent_to(&here, (address, port).into(), &everywhere);
    let before = second.v4();
    dataflow_tests::wait_until("it is reached", || hears(before));
    second.move_to("10.77.0.200".parse().unwrap());
    dataflow_tests::wait_until("it is reached", || hears(second.v4()));
    assert!((0..5).all(|_| !hears(before)));
}

#[test]
fn what_goes_one_way_can_be_lost_alone() {
    let Some((first, second)) = two_hosts("what_goes_one_way_can_be_lost_alone") else {
        return;
    };
    first.lose_what_goes_to(&second);
    for (here, there) in [(first.v4(), second.v4()), (first.v6(), second.v6())] {
        let (here, there) = (socket(&first, here), socket(&second, there));
        assert!(!arrives(&here, &there));
        assert_comes_to_arrive(&there, &here);
    }
    first.deliver_what_goes_to(&second);
    for (here, there) in [(first.v4(), second.v4()), (first.v6(), second.v6())] {
        let (here, there) = (socket(&first, here), socket(&second, there));
        assert_comes_to_arrive(&here, &there);
        assert_comes_to_arrive(&there, &here);
    }
}

#[test]
fn a_proxy_stands_on_the_host_that_started_it() {
    let test = "a_proxy_stands_on_the_host_that_started_it";
    let Some(network) = Network::new(test) else {
        return;
    };
    let (first, second, router) = (network.host(), network.host(), network.host());
    let there = second.socket();
    be_impatient(&there);
    let (front, target) = ((router.v4(), 0).into(), there.local_addr().unwrap());
    let proxy = router.inside(|| UdpProxy::start(front, target, 1)).unwrap();
    let here = first.socket();
    dataflow_tests::wait_until("it comes through the proxy", || {
        here.send_to(b"hello", proxy.address()).unwrap();
        let came = there.recv_from(&mut [0; 16]);
        came.is_ok_and(|(_, from)| from.ip() == router.v4())
    });
}

#[test]
fn nothing_is_left_of_hosts_outside() {
    let Some(network) = Network::new("nothing_is_left_of_hosts_outside") else {
        return;
    };
    let _host = network.host();
    for arguments in [["link", "show"], ["netns", "list"]] {
        let shown = Command::new("ip").args(arguments).output().unwrap();
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(
            !shown.contains("port1") && !shown.contains("switch"),
            "{shown}"
        );
    }
}
