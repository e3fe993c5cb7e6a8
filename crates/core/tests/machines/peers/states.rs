//! How a peer stands: what is known of it, what is missed, and what is the own fault.

use std::time::Duration;

use dataflow_core::peers::{
    CloseCode, DialFailure, Direction, LinkEnd, PeerCommand, PeerEvent, Rejection,
};
use dataflow_ids::{LinkId, PeerState};

use super::one::{One, TIMEOUT, changes, link, wrong_key};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn two_answers_make_a_peer_healthy_for_the_first_time_and_there_was_no_outage() {
    let mut one = One::configured("a", "b");
    assert_eq!(
        (one.state(), one.because().as_str()),
        (PeerState::Degraded, "connecting")
    );
    let up = one.dial_ends(Ok(link(1, Direction::Dialled, 7)));
    assert!(
        up.contains(&PeerCommand::Probe {
            link: LinkId(1),
            sequence: 1
        }),
        "{up:?}"
    );
    one.answer(Duration::ZERO);
    assert_eq!(one.state(), PeerState::Degraded, "one answer is not enough");
    one.pass(SECOND);
    let commands = one.answer(Duration::ZERO);
    assert_eq!(one.state(), PeerState::Healthy);
    assert_eq!(one.peer.condition().outage, None);
    assert_eq!(changes(&commands), 1);
}

#[test]
fn a_closed_connection_is_degraded_at_once_and_the_outage_is_told_on_recovery() {
    let mut one = One::healthy("a", "b");
    let began = one.now;
    one.loses(1, LinkEnd::Idle);
    assert_eq!(one.state(), PeerState::Degraded);
    assert_eq!(one.because(), "reconnecting: nothing came for too long");
    one.pass(SECOND);
    one.dial_ends(Ok(link(2, Direction::Dialled, 7)));
    one.becomes_healthy();
    assert_eq!(one.peer.condition().outage, Some(one.now.since(began)));
    assert_eq!(one.peer.condition().since, one.now);
}

#[test]
fn three_misses_in_a_row_make_a_peer_unreachable_and_its_connection_is_given_up() {
    let mut one = One::healthy("a", "b");
    one.misses_a_probe();
    assert_eq!(
        (one.state(), one.because().as_str()),
        (PeerState::Degraded, "1 probe without an answer")
    );
    one.misses_a_probe();
    assert_eq!(one.state(), PeerState::Degraded);
    let commands = one.misses_a_probe();
    assert_eq!(one.state(), PeerState::Unreachable);
    let given_up = PeerCommand::Close {
        link: LinkId(1),
        code: CloseCode::Unanswered,
    };
    assert!(commands.contains(&given_up), "{commands:?}");
    one.pass(SECOND);
    one.dial_ends(Ok(link(2, Direction::Dialled, 7)));
    assert_eq!(
        one.state(),
        PeerState::Unreachable,
        "a connection is no answer yet"
    );
    one.becomes_healthy();
}

#[test]
fn an_answer_between_two_misses_begins_the_count_anew_also_when_it_is_late() {
    let mut one = One::healthy("a", "b");
    one.misses_a_probe();
    let (link, late) = one.probe();
    one.misses_a_probe();
    one.hear(PeerEvent::Answered {
        link,
        sequence: late,
        round_trip: 2 * TIMEOUT,
        control_silent_for: Duration::ZERO,
    });
    one.misses_a_probe();
    one.misses_a_probe();
    assert_eq!(
        one.state(),
        PeerState::Degraded,
        "two since the late answer"
    );
    one.misses_a_probe();
    assert_eq!(one.state(), PeerState::Unreachable);
}

#[test]
fn an_answer_to_what_was_never_asked_or_to_another_connection_is_not_believed() {
    let mut one = One::healthy("a", "b");
    one.misses_a_probe();
    let (link, sequence) = one.probe();
    for (link, sequence) in [(link, sequence + 50), (LinkId(99), sequence), (link, 1)] {
        let forged = PeerEvent::Answered {
            link,
            sequence,
            round_trip: SECOND,
            control_silent_for: Duration::ZERO,
        };
        let before = one.peer.condition().clone();
        one.hear(forged);
        assert_eq!(*one.peer.condition(), before);
    }
    one.misses_a_probe();
    one.misses_a_probe();
    assert_eq!(
        one.state(),
        PeerState::Unreachable,
        "none of them has begun the count anew"
    );
}

#[test]
fn a_slow_control_loop_behind_a_living_transport_is_degraded_and_never_unreachable() {
    let mut one = One::healthy("a", "b");
    for minute in 1..30 {
        while !one
            .pass(SECOND)
            .iter()
            .any(|it| matches!(it, PeerCommand::Probe { .. }))
        {}
        one.answer(Duration::from_secs(60 * minute));
        assert_eq!(one.state(), PeerState::Degraded);
    }
    assert_eq!(
        one.because(),
        "its control loop has been silent for 29 m 00 s"
    );
    while !one
        .pass(SECOND)
        .iter()
        .any(|it| matches!(it, PeerCommand::Probe { .. }))
    {}
    one.becomes_healthy();
}

#[test]
fn dials_that_fail_at_once_do_not_make_a_peer_unreachable_that_is_only_started_anew() {
    let mut one = One::healthy("a", "b");
    one.loses(1, LinkEnd::ByPeer(CloseCode::Ending));
    let began = one.now;
    let mut dials = 0;
    while one.state() == PeerState::Degraded {
        one.next_dial_fails(DialFailure::Refused);
        dials += 1;
    }
    assert!(
        dials >= 3 && one.now.since(began) >= TIMEOUT,
        "{dials} dials"
    );
    assert_eq!(
        (one.state(), one.because().as_str()),
        (PeerState::Unreachable, "connection refused")
    );
}

#[test]
fn an_unreachable_peer_is_dialled_for_ever_and_no_wait_is_longer_than_half_a_minute() {
    let mut one = One::configured("a", "b");
    one.dial_ends(Err(DialFailure::Refused));
    for dial in 0_u64..500 {
        one.random = dial.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let before = one.now;
        one.next_dial_fails(DialFailure::Refused);
        assert!(one.now.since(before) <= Duration::from_millis(30_100));
    }
    assert_eq!(one.state(), PeerState::Unreachable);
    let ids: std::collections::BTreeSet<_> = one.dials.iter().map(|(_, dial)| *dial).collect();
    assert_eq!(
        ids.len(),
        one.dials.len(),
        "no dial has the number of another"
    );
}

#[test]
fn a_dial_of_which_nothing_is_heard_is_given_up_and_made_anew() {
    let mut one = One::configured("a", "b");
    let lost = one.dial();
    let commands = one.pass(3 * TIMEOUT);
    assert!(
        commands.contains(&PeerCommand::Cancel(lost)),
        "{commands:?}"
    );
    assert_ne!(one.dial(), lost);
}

#[test]
fn who_is_not_what_the_file_says_is_rejected_and_dialled_more_slowly() {
    let mut one = One::configured("a", "b");
    one.dial_ends(Err(wrong_key()));
    assert_eq!(one.state(), PeerState::Rejected);
    assert!(one.because().starts_with("its key is sha256:0909"));
    for _ in 0..5 {
        let before = one.now;
        let commands = one.next_dial_fails(wrong_key());
        assert_eq!(changes(&commands), 0, "the same again is no news");
        assert!(one.now.since(before) >= Duration::from_secs(15));
    }
    one.next_dial_fails(DialFailure::NoAnswer);
    assert_eq!(
        one.state(),
        PeerState::Rejected,
        "it was there a moment ago"
    );
    one.next_dial_fails(DialFailure::NoAnswer);
    one.next_dial_fails(DialFailure::NoAnswer);
    assert_eq!(one.state(), PeerState::Unreachable);
}

#[test]
fn a_rejection_is_taken_back_by_as_many_answers_as_make_a_peer_healthy_and_not_before() {
    let mut one = One::configured("a", "b");
    one.dial_ends(Err(wrong_key()));
    one.pass(SECOND * 30);
    let mut commands = one.dial_ends(Ok(link(1, Direction::Dialled, 7)));
    commands.extend(one.answer(Duration::ZERO));
    assert_eq!(changes(&commands), 0, "{commands:?}");
    assert_eq!(one.state(), PeerState::Rejected);
    one.pass(SECOND);
    one.answer(Duration::ZERO);
    assert_eq!(one.state(), PeerState::Healthy);
}

#[test]
fn a_stranger_in_the_place_of_a_peer_is_told_of_until_it_stays_away_and_never_touches_one_that_is_connected()
 {
    let mut one = One::healthy("a", "b");
    let stranger = PeerEvent::Stranger(Rejection::NotListed);
    assert_eq!(one.hear(stranger.clone()), []);
    assert_eq!(one.state(), PeerState::Healthy);
    one.loses(1, LinkEnd::Idle);
    one.hear(stranger.clone());
    assert_eq!(one.state(), PeerState::Rejected);
    let heard_at = one.now;
    while one.state() == PeerState::Rejected {
        one.next_dial_fails(DialFailure::NoAnswer);
        assert_ne!(one.state(), PeerState::Degraded, "it does not flap");
    }
    assert!(one.now.since(heard_at) >= Duration::from_secs(60));
    assert_eq!(one.state(), PeerState::Unreachable);
}

#[test]
fn what_was_missed_while_we_did_not_run_is_not_counted() {
    let mut one = One::healthy("a", "b");
    one.misses_a_probe();
    one.misses_a_probe();
    one.pass(SECOND);
    // The third probe is under way, and we are stopped for a minute.
    let (_, before) = one.probe();
    one.now = one.now.after(Duration::from_secs(60));
    let commands = one.hear(PeerEvent::Stalled(Duration::from_secs(60)));
    assert_eq!(one.state(), PeerState::Degraded, "{commands:?}");
    assert!(one.probe().1 > before, "it is asked again at once");
    one.becomes_healthy();
}

#[test]
fn whoever_is_woken_late_was_not_running_even_if_nobody_says_so() {
    let mut one = One::healthy("a", "b");
    one.misses_a_probe();
    one.misses_a_probe();
    one.pass(SECOND);
    one.now = one
        .now
        .after(TIMEOUT + TIMEOUT / 2 + Duration::from_millis(1));
    one.hear(PeerEvent::Wake);
    assert_eq!(one.state(), PeerState::Degraded);
    one.pass(TIMEOUT);
    assert_eq!(
        one.state(),
        PeerState::Degraded,
        "the connection may have ended meanwhile"
    );
    one.next_dial_fails(DialFailure::NoAnswer);
    assert_eq!(
        one.state(),
        PeerState::Unreachable,
        "a dial that fails after that is a miss"
    );
}

#[test]
fn a_connection_that_the_other_side_gave_up_while_we_did_not_run_is_made_anew_without_an_accusation()
 {
    let mut one = One::healthy("a", "b");
    one.now = one.now.after(Duration::from_secs(60));
    one.hear(PeerEvent::Stalled(Duration::from_secs(60)));
    // Old packets that had waited have made the transport believe that it lives.
    let given_up = PeerCommand::Close {
        link: LinkId(1),
        code: CloseCode::Unanswered,
    };
    let mut said = Vec::new();
    while !said.contains(&given_up) {
        said.extend(one.pass(SECOND));
    }
    assert_eq!((changes(&said), one.state()), (0, PeerState::Healthy));
    one.pass(SECOND);
    one.dial_ends(Ok(link(2, Direction::Dialled, 7)));
    one.answer(Duration::ZERO);
    assert_eq!(one.state(), PeerState::Healthy);
}

#[test]
fn connections_that_break_by_our_own_stall_accuse_nobody_unless_there_is_no_new_one() {
    for comes_back in [true, false] {
        let mut one = One::healthy("a", "b");
        one.now = one.now.after(Duration::from_secs(60));
        one.hear(PeerEvent::Stalled(Duration::from_secs(60)));
        one.loses(1, LinkEnd::Idle);
        assert_eq!((one.state(), one.connected()), (PeerState::Healthy, None));
        one.pass(SECOND);
        if comes_back {
            one.dial_ends(Ok(link(2, Direction::Dialled, 7)));
            one.answer(Duration::ZERO);
            one.pass(2 * TIMEOUT);
            assert_eq!(one.state(), PeerState::Healthy);
        } else {
            one.dial_ends(Err(DialFailure::NoAnswer));
            assert_eq!(one.state(), PeerState::Degraded);
        }
    }
}

#[test]
fn a_dial_that_was_under_way_while_we_did_not_run_is_no_miss() {
    let mut one = One::configured("a", "b");
    one.dial_ends(Err(DialFailure::NoAnswer));
    one.next_dial_fails(DialFailure::NoAnswer);
    let dials = one.dials.len();
    while one.dials.len() == dials {
        one.pass(Duration::from_millis(100));
    }
    one.hear(PeerEvent::Stalled(TIMEOUT));
    one.pass(TIMEOUT);
    one.dial_ends(Err(DialFailure::NoAnswer));
    assert_eq!(one.state(), PeerState::Degraded);
    one.next_dial_fails(DialFailure::NoAnswer);
    assert_eq!(one.state(), PeerState::Unreachable);
}
