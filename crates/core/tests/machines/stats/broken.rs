//! Rules that are broken on purpose: what looks at the statistics finds each.

// A failed test may say so by a panic anywhere.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::broken::{Rule, break_rule};
use dataflow_core::stats::{AuditMismatch, Audited, Auditor, Book, Transition, Whose};
use dataflow_ids::stats::{EdgeKey, Keeper, NodeKey};
use dataflow_ids::{DataflowName, EdgeId, Epoch, LifeCycle, NodeId, NodeIndex};

use super::examples::{at, sent, two_nodes_of};
use super::gathering::gather;
use super::histories::{fault, look_through};
use super::play::{Play, Processes};

/// Plays until something is found to be wrong.
fn finds(rule: Rule) -> bool {
    break_rule(Some(rule));
    let found = std::panic::catch_unwind(|| {
        let mut play = Play::new(3, Processes::Faulty);
        (0..5_000).any(|step| {
            play.step();
            step % 50 == 0 && fault(&play).is_err()
        })
    });
    break_rule(None);
    // A check inside of the play is as good as one after it.
    found.unwrap_or(true)
}

/// Whether a history that nothing is wrong with goes wrong when this rule is broken.
fn goes_wrong(rule: Rule, history: impl Fn() + std::panic::RefUnwindSafe) -> bool {
    assert!(std::panic::catch_unwind(&history).is_ok(), "without it");
    break_rule(Some(rule));
    let found = std::panic::catch_unwind(&history);
    break_rule(None);
    found.is_err()
}

#[test]
fn a_delta_that_is_missing_and_not_noticed_is_found_by_who_applies_them_and_by_who_collects() {
    let missed = Rule::MissedDeltaIsNotSeen;
    assert!(goes_wrong(missed, || _ = look_through(50_000)));
    assert!(goes_wrong(missed, || _ = gather(1_000)));
}

#[test]
fn a_row_that_is_taken_whatever_it_is_older_than_is_found() {
    let any = Rule::AnyRowBelongs;
    assert!(goes_wrong(any, || _ = look_through(50_000)));
    assert!(goes_wrong(any, || _ = gather(1_000)));
}

#[test]
fn what_has_gone_elsewhere_and_counts_again_with_each_word_is_found() {
    assert!(goes_wrong(Rule::GoneCountsAgain, || _ = gather(1_000)));
}

#[test]
fn a_keeper_that_has_ended_and_counts_once_more_is_found() {
    assert!(goes_wrong(Rule::EndedKeeperCounts, || _ = gather(1_000)));
}

#[test]
fn names_that_came_too_late_and_are_in_no_group_are_found() {
    assert!(finds(Rule::LateNamesAreLost));
}

#[test]
fn a_sum_that_keeps_the_old_state_is_found() {
    assert!(finds(Rule::StatisticsKeepTheOldState));
}

#[test]
fn a_change_of_state_that_is_not_allowed_is_found() {
    assert!(finds(Rule::AnyTransitionIsAllowed));
}

#[test]
fn a_change_of_state_that_counts_again_when_it_comes_late_is_found() {
    assert!(finds(Rule::LateChangeCounts));
}

#[test]
fn a_change_of_state_that_is_taken_although_others_are_missing_before_it_is_found() {
    assert!(finds(Rule::GapIsNotSeen));
}

#[test]
fn a_counter_that_goes_with_its_member_is_found() {
    assert!(finds(Rule::CountersGoWithTheirMember));
}

#[test]
fn a_moment_that_goes_back_is_found() {
    assert!(finds(Rule::MomentsGoBack));
}

/// What the auditor finds, member by member, after one change of a state.
fn audited_after_a_transition() -> Audited {
    let at = Time(Duration::from_secs(1));
    let mut book = Book::new(Keeper(1), 1);
    let name = DataflowName::new("flow").unwrap();
    let run = book.add_dataflow(at, "here".parse().unwrap(), "run".to_owned(), name);
    let node = NodeIndex(0);
    let key = NodeKey { run, node };
    let id = NodeId::new("node").unwrap();
    book.add_node(at, key, &id).unwrap();
    let transition = Transition {
        node,
        to: LifeCycle::Placed,
        epoch: Epoch(1),
        sequence: 1,
        at,
    };
    book.transition(run, transition).unwrap();
    let snapshot = book.publish(at);
    let mut auditor = Auditor::new();
    let mut all = Audited::default();
    loop {
        let found = auditor.step(&snapshot, 1);
        if found == Audited::default() {
            return all;
        }
        all.recounted += found.recounted;
        all.mismatches += found.mismatches;
    }
}

#[test]
fn the_auditor_finds_each_sum_that_keeps_the_old_state_and_no_other() {
    let well = audited_after_a_transition();
    assert_eq!((well.recounted, well.mismatches), (1, 0));
    break_rule(Some(Rule::StatisticsKeepTheOldState));
    let broken = audited_after_a_transition();
    break_rule(None);
    // Those of the total, of the run and of the group.
    assert_eq!((broken.recounted, broken.mismatches), (1, 3));
}

#[test]
fn a_node_that_has_not_counted_what_its_edges_have_is_found() {
    let (mut book, run) = two_nodes_of(Keeper(1));
    let edge = EdgeId(0);
    let mut facts = sent(5);
    facts.is_closed = true;
    break_rule(Some(Rule::EdgesForgetWhatTheyCount));
    book.edge_read(EdgeKey { run, edge }, &facts)
        .expect("its edge is there");
    break_rule(None);
    let mismatch = book.audit().expect_err("its edge has counted nothing");
    let is_of_a_node =
        matches!(&mismatch, AuditMismatch::Sums { whose, .. } if matches!(whose, Whose::Node(_)));
    assert!(is_of_a_node, "{mismatch}");
    let mut auditor = Auditor::new();
    // Both the sender and the receiver.
    let audited = auditor.step(&book.publish(at(1)), 100);
    assert_eq!((audited.mismatches, audited.recounted), (2, 3));
}
