//! Rules that are broken on purpose: what looks at the statistics finds each.

use dataflow_core::broken::{Rule, break_rule};

use super::histories::fault;
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

#[test]
fn a_sum_that_keeps_the_old_state_is_found() {
    assert!(finds(Rule::StatisticsKeepTheOldState));
}

#[test]
fn a_change_of_state_that_is_not_allowed_is_found() {
    assert!(finds(Rule::AnyTransitionIsAllowed));
}

#[test]
fn a_counter_that_goes_with_its_member_is_found() {
    assert!(finds(Rule::CountersGoWithTheirMember));
}

#[test]
fn a_moment_that_goes_back_is_found() {
    assert!(finds(Rule::MomentsGoBack));
}
