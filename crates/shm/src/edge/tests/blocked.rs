//! For how long a sender has waited: known while it waits, counted once, and kept when it is killed.

use std::sync::atomic::Ordering;

use dataflow_ids::SenderSleep;

use super::*;
use crate::clock::monotonic_now_ns;

const SECOND_NS: u64 = 1_000_000_000;

/// An edge whose sender sleeps since the moment that is given with it, because the queue is full.
fn waiting() -> (Rig, u64) {
    let mut rig = rig(QueuePolicy::Block, 1, 1);
    rig.send(1);
    assert!(rig.sender.prepare_sleep(WaitFor::Queue));
    let since_ns = monotonic_now_ns();
    rig.sender.blocked_since(since_ns);
    (rig, since_ns)
}

fn blocked_ns_at(rig: &Rig, now_ns: u64) -> u64 {
    rig.keeper.read_at(now_ns).counts.blocked_ns
}

#[test]
fn a_wait_is_counted_while_it_lasts_and_once_when_it_is_over() {
    let (mut rig, since_ns) = waiting();
    assert_eq!(blocked_ns_at(&rig, since_ns), 0);
    for seconds in 1..4 {
        let told_ns = blocked_ns_at(&rig, since_ns + seconds * SECOND_NS);
        assert_eq!(told_ns, seconds * SECOND_NS);
    }
    rig.sender.finish_sleep(3 * SECOND_NS);
    assert_eq!(blocked_ns_at(&rig, since_ns + 9 * SECOND_NS), 3 * SECOND_NS);
    rig.sender.blocked_since(since_ns + 10 * SECOND_NS);
    assert_eq!(
        blocked_ns_at(&rig, since_ns + 12 * SECOND_NS),
        5 * SECOND_NS
    );
    assert_eq!(rig.keeper.damage(), None);
}

#[test]
fn what_was_told_of_a_wait_stays_when_less_is_booked_and_the_next_one_makes_up_for_it() {
    let (mut rig, since_ns) = waiting();
    assert_eq!(blocked_ns_at(&rig, since_ns + SECOND_NS), SECOND_NS);
    // It had looked at the clock before it was heard to go on.
    rig.sender.finish_sleep(SECOND_NS - 50);
    assert_eq!(blocked_ns_at(&rig, since_ns + SECOND_NS), SECOND_NS);
    rig.sender.blocked_since(since_ns + SECOND_NS);
    assert_eq!(
        blocked_ns_at(&rig, since_ns + 2 * SECOND_NS),
        2 * SECOND_NS - 50
    );
    assert_eq!(rig.keeper.damage(), None);
}

#[test]
fn the_wait_of_a_sender_that_is_killed_in_it_lasts_until_its_edge_is_repaired() {
    let (mut rig, since_ns) = waiting();
    let before_ns = monotonic_now_ns() - since_ns;
    rig.restart_sender();
    let booked_ns = blocked_ns_at(&rig, u64::MAX);
    let after_ns = monotonic_now_ns() - since_ns;
    assert!((before_ns..=after_ns).contains(&booked_ns));
    // The next incarnation goes on from there.
    rig.sender.finish_sleep(7);
    assert_eq!(blocked_ns_at(&rig, u64::MAX), booked_ns + 7);
    assert_eq!(rig.keeper.damage(), None);
}

#[test]
fn a_moment_that_cannot_be_counts_at_most_since_its_sender_came() {
    for (says, at_most_ns) in [(1, 2 * SECOND_NS), (u64::MAX, 0)] {
        let before_ns = monotonic_now_ns();
        let rig = rig(QueuePolicy::Block, 1, 1);
        rig.words()
            .store(header::BLOCKED_SINCE, says, Ordering::Relaxed);
        let told_ns = blocked_ns_at(&rig, before_ns + 2 * SECOND_NS);
        assert!(told_ns <= at_most_ns, "{told_ns}");
        rig.keeper.close();
        let last_ns = blocked_ns_at(&rig, before_ns + 2 * SECOND_NS);
        assert!(last_ns <= at_most_ns, "{last_ns}");
        // A receiver can write there, too.
        rig.words()
            .store(header::BLOCKED_SINCE, says, Ordering::Relaxed);
        assert_eq!(blocked_ns_at(&rig, u64::MAX), last_ns);
    }
}

#[test]
fn who_looks_only_at_changes_sees_a_wait_go_on() {
    let (mut rig, _) = waiting();
    let mut mark = EdgeMark::default();
    let mut look = |rig: &Rig| {
        let reading = rig.keeper.read_if_changed(&mut mark)?;
        Some(reading.counts.blocked_ns)
    };
    let first_ns = look(&rig).unwrap();
    let second_ns = look(&rig).unwrap();
    assert!(second_ns > first_ns && first_ns > 0);
    rig.sender.finish_sleep(0);
    assert_eq!(look(&rig), Some(second_ns));
    assert_eq!(look(&rig), None);
}

#[test]
fn a_sender_is_blocked_by_an_edge_that_blocks_and_for_room_only() {
    for (policy, is_blocked) in [(QueuePolicy::Block, true), (QueuePolicy::DropOldest, false)] {
        let mut rig = rig(policy, 1, 1);
        let says = |rig: &Rig| {
            let reading = rig.keeper.read();
            (reading.sender_sleep, reading.sender_blocked)
        };
        assert_eq!(says(&rig), (None, false));
        rig.sender.sleeps_for_readiness();
        assert_eq!(says(&rig), (Some(SenderSleep::Readiness), false));
        rig.sender.finish_sleep(0);
        rig.send_chunk(1);
        assert!(rig.sender.prepare_sleep(WaitFor::Queue));
        assert_eq!(says(&rig), (Some(SenderSleep::Queue), is_blocked));
        rig.sender.finish_sleep(0);
        assert!(rig.sender.prepare_sleep(WaitFor::Release));
        assert_eq!(says(&rig), (Some(SenderSleep::Release), is_blocked));
        rig.words()
            .store(header::SENDER_WAKE, 77, Ordering::Relaxed);
        assert_eq!(says(&rig), (None, false));
    }
}
