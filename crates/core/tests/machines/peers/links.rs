//! Of several connections to one peer, one counts; and both sides choose the same.

use std::time::Duration;

use dataflow_core::peers::{
    CloseCode, DialFailure, Direction, LinkEnd, PeerCommand, PeerEvent, Rejection,
};
use dataflow_ids::{LinkId, PeerState};

use super::one::{One, TIMEOUT, changes, link};

fn close(number: u64, code: CloseCode) -> PeerCommand {
    PeerCommand::Close {
        link: LinkId(number),
        code,
    }
}

#[test]
fn of_two_dials_at_once_both_sides_keep_the_one_of_the_smaller_id() {
    // Connection 1 was dialled by `a`, and 2 by `b`; each side hears of them in either order.
    for is_own_first in [true, false] {
        for (this, peer, own, other) in [("a", "b", 1, 2), ("b", "a", 2, 1)] {
            let mut one = One::configured(this, peer);
            let (dialled, accepted) = (
                link(own, Direction::Dialled, 7),
                link(other, Direction::Accepted, 7),
            );
            let mut said = Vec::new();
            if is_own_first {
                said.extend(one.dial_ends(Ok(dialled)));
                said.extend(one.accepts(accepted));
            } else {
                said.extend(one.accepts(accepted));
                said.extend(one.dial_ends(Ok(dialled)));
            }
            // The one that the smaller id has dialled may have to show that it lives.
            said.extend(one.answer(Duration::ZERO));
            assert_eq!(
                one.connected(),
                Some(1),
                "{this}, own first: {is_own_first}: {said:?}"
            );
            assert!(said.contains(&close(2, CloseCode::Superseded)), "{said:?}");
            assert!(!said.contains(&close(1, CloseCode::Superseded)), "{said:?}");
        }
    }
}

#[test]
fn the_larger_id_gives_up_its_dial_when_it_is_reached_and_the_smaller_goes_on() {
    let mut larger = One::configured("b", "a");
    let dial = larger.dial();
    let commands = larger.accepts(link(1, Direction::Accepted, 7));
    assert!(
        commands.contains(&PeerCommand::Cancel(dial)),
        "{commands:?}"
    );
    let late = PeerEvent::DialEnded {
        dial,
        result: Ok(link(2, Direction::Dialled, 7)),
    };
    assert_eq!(larger.hear(late), [close(2, CloseCode::Superseded)]);

    let mut smaller = One::configured("a", "b");
    let commands = smaller.accepts(link(1, Direction::Accepted, 7));
    assert!(
        !commands
            .iter()
            .any(|it| matches!(it, PeerCommand::Cancel(_))),
        "{commands:?}"
    );
    smaller.dial_ends(Err(DialFailure::NoAnswer));
    assert_eq!(
        smaller.connected(),
        Some(1),
        "reachability one way is enough"
    );
    smaller.becomes_healthy();
}

#[test]
fn a_peer_that_dials_once_more_has_lost_the_connection_that_it_had_dialled() {
    let mut one = One::configured("a", "b");
    one.accepts(link(1, Direction::Accepted, 7));
    one.dial_ends(Err(DialFailure::NoAnswer));
    one.becomes_healthy();
    let commands = one.accepts(link(2, Direction::Accepted, 7));
    assert!(
        commands.contains(&close(1, CloseCode::Superseded)),
        "{commands:?}"
    );
    assert_eq!(
        (one.connected(), one.state()),
        (Some(2), PeerState::Healthy)
    );
}

#[test]
fn a_larger_peer_that_has_lost_a_connection_gets_in_though_ours_would_win_if_it_lived() {
    let mut one = One::healthy("a", "b");
    one.accepts(link(2, Direction::Accepted, 7));
    assert_eq!(one.connected(), Some(1), "it may live");
    let commands = one.pass(TIMEOUT);
    assert!(
        commands.contains(&close(1, CloseCode::Superseded)),
        "{commands:?}"
    );
    assert_eq!(
        (one.connected(), one.state()),
        (Some(2), PeerState::Healthy)
    );
}

#[test]
fn a_second_agent_with_the_same_id_is_refused_while_the_first_one_answers() {
    let mut one = One::healthy("a", "b");
    let (_, before) = one.probe();
    one.accepts(link(2, Direction::Accepted, 8));
    assert!(one.probe().1 > before, "the first one is asked");
    let commands = one.answer(Duration::ZERO);
    let other = link(1, Direction::Dialled, 7).from;
    assert!(
        commands.contains(&close(2, CloseCode::DuplicateId)),
        "{commands:?}"
    );
    let told = PeerCommand::Refused(Rejection::DuplicateId { other });
    assert!(commands.contains(&told), "{commands:?}");
    assert_eq!(
        (one.connected(), one.state()),
        (Some(1), PeerState::Healthy)
    );
}

#[test]
fn an_answer_that_is_older_than_the_second_agent_does_not_count_against_it() {
    let mut one = One::healthy("a", "b");
    while !one
        .pass(Duration::from_secs(1))
        .iter()
        .any(|it| matches!(it, PeerCommand::Probe { .. }))
    {}
    let (link_id, sequence) = one.probe();
    one.accepts(link(2, Direction::Accepted, 8));
    one.hear(PeerEvent::Answered {
        link: link_id,
        sequence,
        round_trip: TIMEOUT / 2,
        control_silent_for: Duration::ZERO,
    });
    one.pass(TIMEOUT);
    assert_eq!(
        one.connected(),
        Some(2),
        "the first one has not answered since"
    );
}

#[test]
fn an_agent_that_was_started_anew_takes_the_place_of_its_dead_connection_and_is_looked_at_again() {
    for ends_by_itself in [true, false] {
        let mut one = One::healthy("a", "b");
        one.accepts(link(2, Direction::Accepted, 8));
        let said = match ends_by_itself {
            true => one.loses(1, LinkEnd::Reset),
            false => one.pass(TIMEOUT),
        };
        assert_eq!(
            (one.connected(), one.state()),
            (Some(2), PeerState::Degraded),
            "{said:?}"
        );
        assert_eq!(
            said.contains(&close(1, CloseCode::DuplicateId)),
            !ends_by_itself
        );
        one.becomes_healthy();
    }
}

#[test]
fn newcomers_one_after_the_other_do_not_put_off_the_end_of_a_dead_connection() {
    let mut one = One::healthy("a", "b");
    for newcomer in 0..6 {
        one.accepts(link(10 + newcomer, Direction::Accepted, 20 + newcomer));
        one.pass(TIMEOUT / 5);
    }
    assert_eq!(
        one.connected(),
        Some(14),
        "the last one that came within the timeout"
    );
}

#[test]
fn a_challenger_that_goes_away_leaves_everything_as_it_was() {
    let mut one = One::healthy("a", "b");
    one.accepts(link(2, Direction::Accepted, 8));
    one.loses(2, LinkEnd::Idle);
    one.answer(Duration::ZERO);
    assert_eq!(
        (one.connected(), one.state()),
        (Some(1), PeerState::Healthy)
    );
}

#[test]
fn who_is_told_that_another_connection_is_kept_waits_for_that_one() {
    let mut one = One::healthy("a", "b");
    let dials = one.dials.len();
    let said = one.loses(1, LinkEnd::ByPeer(CloseCode::Superseded));
    assert_eq!(
        (one.state(), one.connected()),
        (PeerState::Healthy, None),
        "{said:?}"
    );
    one.pass(TIMEOUT / 2);
    assert_eq!(
        one.dials.len(),
        dials,
        "one more dial would be one too many"
    );
    let mut waits_in_vain = One::healthy("a", "b");
    waits_in_vain.loses(1, LinkEnd::ByPeer(CloseCode::Superseded));
    one.accepts(link(2, Direction::Accepted, 7));
    assert_eq!(one.state(), PeerState::Healthy);
    waits_in_vain.pass(TIMEOUT);
    assert_eq!(waits_in_vain.state(), PeerState::Degraded);
    assert_eq!(waits_in_vain.dials.len(), dials + 1);
}

#[test]
fn an_agent_whose_id_is_taken_at_the_other_side_says_so() {
    let mut one = One::healthy("a", "b");
    one.loses(1, LinkEnd::ByPeer(CloseCode::DuplicateId));
    assert_eq!(one.state(), PeerState::Rejected);
    assert_eq!(
        one.because(),
        "another agent with our id is connected there"
    );
}

#[test]
fn an_agent_whose_id_is_taken_stays_rejected_although_each_of_its_visits_is_answered_for_a_while() {
    let mut one = One::healthy("a", "b");
    one.loses(1, LinkEnd::ByPeer(CloseCode::DuplicateId));
    for visit in 2..6 {
        let mut commands = one.pass(Duration::from_secs(30));
        commands.extend(one.dial_ends(Ok(link(visit, Direction::Dialled, 7))));
        // The other side asks the first one whether it lives, and that one takes its time.
        let connected_at = one.now;
        while one.now.since(connected_at) < TIMEOUT {
            commands.extend(one.answer(Duration::ZERO));
            commands.extend(one.pass(Duration::from_secs(1)));
        }
        commands.extend(one.loses(visit, LinkEnd::ByPeer(CloseCode::DuplicateId)));
        assert_eq!(changes(&commands), 0, "{commands:?}");
        assert_eq!(one.state(), PeerState::Rejected);
    }
    // The first one is gone: nobody takes the connection away any more.
    one.pass(Duration::from_secs(30));
    one.dial_ends(Ok(link(9, Direction::Dialled, 7)));
    let connected_at = one.now;
    while one.state() != PeerState::Healthy {
        one.answer(Duration::ZERO);
        one.pass(Duration::from_secs(1));
        assert!(one.now.since(connected_at) < TIMEOUT * 3);
    }
}

#[test]
fn facts_that_are_told_twice_change_nothing() {
    let mut one = One::configured("a", "b");
    let (dial, up) = (one.dial(), link(1, Direction::Dialled, 7));
    one.dial_ends(Ok(up.clone()));
    let result = Ok(up.clone());
    assert_eq!(one.hear(PeerEvent::DialEnded { dial, result }), []);
    assert_eq!(one.accepts(up), []);
    one.becomes_healthy();
    assert_eq!(one.answer(Duration::ZERO), []);
    one.accepts(link(2, Direction::Accepted, 8));
    assert_eq!(one.accepts(link(2, Direction::Accepted, 8)), []);
    one.loses(1, LinkEnd::Idle);
    assert_eq!(one.loses(1, LinkEnd::Idle), []);
    one.configure(super::one::target(&[1]));
    assert_eq!(one.connected(), Some(2));
}

#[test]
fn leaving_closes_and_cancels_everything_and_does_no_more() {
    let mut one = One::healthy("a", "b");
    one.accepts(link(2, Direction::Accepted, 8));
    let closed = [close(1, CloseCode::Ending), close(2, CloseCode::Ending)];
    assert_eq!(one.peer.leave(CloseCode::Ending), closed);
    assert_eq!(one.peer.leave(CloseCode::Ending), []);
    let late = one.accepts(link(3, Direction::Accepted, 7));
    assert_eq!(late, [close(3, CloseCode::Reconfigured)]);
    let mut dialling = One::configured("a", "b");
    let cancelled = [PeerCommand::Cancel(dialling.dial())];
    assert_eq!(dialling.peer.leave(CloseCode::Reconfigured), cancelled);
}
