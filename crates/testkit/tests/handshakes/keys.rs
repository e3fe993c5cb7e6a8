//! Keys: the right one gets in, and for every other one both sides know why not.

use dataflow_core::peers::{DialFailure, Direction, Rejection};
use dataflow_ids::Fingerprint;

use crate::agents::{Agent, Start, id, pair, pin};

fn rejected(rejection: Rejection) -> Option<DialFailure> {
    Some(DialFailure::Rejected(rejection))
}

#[test]
fn the_right_keys_connect_and_each_side_knows_the_other() {
    let (mut a, mut b) = pair();
    let (dialled, of_b) = a.dial(&id("b")).unwrap();
    let (accepted, of_a) = b.accepted();
    assert_eq!(dialled.direction, Direction::Dialled);
    assert_eq!(accepted.direction, Direction::Accepted);
    assert_eq!((of_b.peer, of_b.fingerprint), (id("b"), b.fingerprint()));
    assert_eq!((of_a.peer, of_a.fingerprint), (id("a"), a.fingerprint()));
    assert_eq!(of_a.version, "0.1.0-test");
    assert_eq!(of_a.offer.cpus, Some(4));
    assert_eq!(dialled.from, b.address());
    assert_eq!(accepted.from, a.address(), "it dials from where it listens");
}

#[test]
fn a_wrong_key_is_rejected_by_who_dials_and_says_which_key_came() {
    let (mut a, mut b) = (Agent::new("a"), Agent::new("b"));
    a.trusts(&b, &[Fingerprint([1; 32])]);
    let of_a = a.fingerprint();
    b.trusts(&a, &[of_a]);
    let came = b.fingerprint();
    assert_eq!(
        a.dial(&id("b")).err(),
        rejected(Rejection::WrongKey { came })
    );
    assert_eq!(b.left(), []);
}

#[test]
fn a_wrong_key_is_rejected_by_who_is_dialled_and_both_know() {
    let (mut a, mut b) = (Agent::new("a"), Agent::new("b"));
    let of_b = b.fingerprint();
    a.trusts(&b, &[of_b]);
    b.trusts(&a, &[Fingerprint([1; 32])]);
    assert_eq!(a.dial(&id("b")).err(), rejected(Rejection::OurKeyRefused));
    let came = a.fingerprint();
    assert_eq!(b.stranger(), (Some(id("a")), Rejection::WrongKey { came }));
}

#[test]
fn nobody_comes_in_before_it_is_said_who_may() {
    let (mut a, b) = (Agent::new("a"), Agent::new("b"));
    let of_b = b.fingerprint();
    a.trusts(&b, &[of_b]);
    let dial = a.begin_within(&id("b"), std::time::Duration::from_secs(1));
    assert_eq!(a.dialled(dial).err(), Some(DialFailure::NoAnswer));
}

#[test]
fn another_cluster_is_rejected_on_both_sides() {
    let mut a = Start {
        cluster: "lab",
        ..Start::new("a")
    }
    .start();
    let mut b = Agent::new("b");
    pin(&mut a, &mut b);
    let cluster = |name: &str| dataflow_ids::ClusterName::new(name).unwrap();
    let theirs = cluster("default");
    assert_eq!(
        a.dial(&id("b")).err(),
        rejected(Rejection::OtherCluster { theirs })
    );
    let theirs = cluster("lab");
    assert_eq!(
        b.stranger(),
        (Some(id("a")), Rejection::OtherCluster { theirs })
    );
}

#[test]
fn while_a_key_takes_the_place_of_another_both_are_taken() {
    let mut b = Agent::new("b");
    for old_first in [true, false] {
        let (old, new) = (Start::new("a").identity, Start::new("a").identity);
        let mut pins = [old.fingerprint(), new.fingerprint()];
        if !old_first {
            pins.reverse();
        }
        for identity in [old, new] {
            let mut a = Start {
                identity,
                ..Start::new("a")
            }
            .start();
            let of_b = b.fingerprint();
            a.trusts(&b, &[of_b]);
            b.trusts(&a, &pins);
            a.dial(&id("b")).unwrap();
            assert_eq!(b.accepted().1.fingerprint, a.fingerprint());
            let (back, _) = b.dial(&id("a")).unwrap();
            b.probe(back.link, 1);
        }
    }
}

#[test]
fn a_key_that_was_taken_before_is_looked_at_anew_each_time() {
    let (mut a, mut b) = pair();
    let (link, _) = a.dial(&id("b")).unwrap();
    b.accepted();
    // The file of `b` names another key now. What is connected stays, until who decides closes it …
    b.trusts(&a, &[Fingerprint([1; 32])]);
    a.probe(link.link, 1);
    // … and nothing of the session before lets anybody in.
    for _ in 0..3 {
        assert_eq!(a.dial(&id("b")).err(), rejected(Rejection::OurKeyRefused));
    }
    let came = a.fingerprint();
    assert_eq!(b.stranger(), (Some(id("a")), Rejection::WrongKey { came }));
    // The same for who dials.
    let of_a = a.fingerprint();
    b.trusts(&a, &[of_a]);
    a.dial(&id("b")).unwrap();
    a.trusts(&b, &[Fingerprint([1; 32])]);
    let came = b.fingerprint();
    assert_eq!(
        a.dial(&id("b")).err(),
        rejected(Rejection::WrongKey { came })
    );
}

#[test]
fn a_peer_that_is_not_in_the_file_is_told_so() {
    let (mut a, mut b) = (Agent::new("a"), Agent::new("b"));
    let (of_a, of_b) = (a.fingerprint(), b.fingerprint());
    a.trusts(&b, &[of_b]);
    // `b` knows the key under another name.
    b.trusts_as(id("a-new"), a.address(), &[of_a]);
    assert_eq!(a.dial(&id("b")).err(), rejected(Rejection::NotListed));
    let theirs = id("a");
    assert_eq!(
        b.stranger(),
        (Some(id("a-new")), Rejection::OtherPeer { theirs })
    );
}

#[test]
fn another_peer_at_the_address_is_named() {
    let (mut a, mut b) = (Agent::new("a"), Agent::new("b"));
    let (of_a, of_b) = (a.fingerprint(), b.fingerprint());
    // The file of `a` calls it by another name.
    a.trusts_as(id("c"), b.address(), &[of_b]);
    b.trusts(&a, &[of_a]);
    let theirs = id("b");
    assert_eq!(
        a.dial(&id("c")).err(),
        rejected(Rejection::OtherPeer { theirs })
    );
}
