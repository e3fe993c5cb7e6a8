//! A peer's entry changes: what it touches, and what not.

use std::time::Duration;

use dataflow_core::peers::{
    CloseCode, DialFailure, Direction, HealthCheck, PeerCommand, PeerEvent, PeerTarget,
};
use dataflow_ids::{LinkId, PeerState};

use super::one::{One, TIMEOUT, changes, link, target};

const CLOSED: PeerCommand = PeerCommand::Close {
    link: LinkId(1),
    code: CloseCode::Reconfigured,
};

fn elsewhere() -> PeerTarget {
    PeerTarget {
        address: "192.168.1.77:50051".parse().unwrap(),
        ..target(&[1])
    }
}

#[test]
fn the_same_entry_again_and_one_more_key_leave_the_connection_alone() {
    let mut one = One::healthy("a", "b");
    assert_eq!(one.configure(target(&[1])), []);
    assert_eq!(one.configure(target(&[1, 2])), []);
    assert_eq!(
        (one.connected(), one.state()),
        (Some(1), PeerState::Healthy)
    );
    let commands = one.configure(target(&[2]));
    assert!(
        commands.contains(&CLOSED),
        "key 1 is not trusted any more: {commands:?}"
    );
}

#[test]
fn another_address_is_dialled_at_once_and_the_move_alone_is_no_outage() {
    let mut one = One::healthy("a", "b");
    let dials = one.dials.len();
    let commands = one.configure(elsewhere());
    assert!(commands.contains(&CLOSED), "{commands:?}");
    assert_eq!((one.dials.len(), changes(&commands)), (dials + 1, 0));
    one.dial_ends(Ok(link(2, Direction::Dialled, 7)));
    one.answer(Duration::ZERO);
    one.pass(2 * TIMEOUT);
    assert_eq!(one.state(), PeerState::Healthy);
}

#[test]
fn an_address_at_which_nobody_is_degrades_the_peer_at_once() {
    let mut one = One::healthy("a", "b");
    one.configure(elsewhere());
    one.dial_ends(Err(DialFailure::Refused));
    assert_eq!(one.state(), PeerState::Degraded);
    assert_eq!(one.because(), "connection refused");
}

#[test]
fn a_dial_to_the_address_before_is_not_used() {
    let mut one = One::configured("a", "b");
    let old = one.dial();
    let commands = one.configure(elsewhere());
    assert!(commands.contains(&PeerCommand::Cancel(old)), "{commands:?}");
    let late = PeerEvent::DialEnded {
        dial: old,
        result: Ok(link(1, Direction::Dialled, 7)),
    };
    one.hear(late);
    assert_eq!(one.connected(), None);
}

#[test]
fn without_a_fingerprint_a_peer_off_loopback_is_rejected_and_neither_dialled_nor_let_in() {
    let mut one = One::unknown("a", "b");
    one.configure(target(&[]));
    assert_eq!(
        (one.state(), one.because().as_str()),
        (PeerState::Rejected, "no fingerprint")
    );
    one.pass(Duration::from_secs(3600));
    assert_eq!(one.dials, []);
    assert_eq!(one.accepts(link(1, Direction::Accepted, 7)), [CLOSED]);
    one.configure(target(&[1]));
    assert_eq!(
        (one.state(), one.dials.len()),
        (PeerState::Degraded, 1),
        "pinned, and dialled"
    );
    let mut healthy = One::healthy("a", "b");
    let commands = healthy.configure(target(&[]));
    assert!(commands.contains(&CLOSED), "{commands:?}");
    assert_eq!(healthy.state(), PeerState::Rejected);
}

#[test]
fn on_loopback_any_key_is_good_until_one_is_pinned() {
    let open = PeerTarget {
        address: "127.0.0.1:50051".parse().unwrap(),
        fingerprints: Vec::new(),
    };
    let mut one = One::unknown("a", "b");
    one.configure(open.clone());
    one.dial_ends(Ok(link(1, Direction::Dialled, 7)));
    one.becomes_healthy();
    let pinned = PeerTarget {
        fingerprints: target(&[1]).fingerprints,
        ..open
    };
    let commands = one.configure(pinned);
    assert!(
        commands.contains(&CLOSED),
        "its key was never looked at: {commands:?}"
    );
}

#[test]
fn a_shorter_interval_counts_from_now_on() {
    let mut one = One::healthy("a", "b");
    let health_check = HealthCheck {
        interval: Duration::from_secs(2),
        ..HealthCheck::default()
    };
    one.hear(PeerEvent::Configured {
        target: target(&[1]),
        health_check,
    });
    let commands = one.pass(Duration::from_millis(2200));
    assert!(
        commands
            .iter()
            .any(|it| matches!(it, PeerCommand::Probe { .. })),
        "{commands:?}"
    );
}
