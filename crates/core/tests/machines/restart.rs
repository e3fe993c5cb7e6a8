//! Restarts stay within their window and their backoff.

use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::restart::{Decision, Ended, RestartTracker};
use dataflow_ids::{RestartOn, RestartPolicy};
use proptest::prelude::*;

fn policy() -> impl Strategy<Value = RestartPolicy> {
    (0..6_u32, 0..5_000_u64, 0..400_u64, 0..3_000_u64).prop_map(
        |(restarts_max, window_ms, backoff_min_ms, backoff_max_ms)| RestartPolicy {
            on: RestartOn::OnFailure,
            restarts_max,
            window: Duration::from_millis(window_ms),
            backoff_min: Duration::from_millis(backoff_min_ms),
            backoff_max: Duration::from_millis(backoff_max_ms),
        },
    )
}

proptest! {
    #[test]
    fn no_stretch_as_long_as_the_window_has_more_restarts_than_the_policy_allows(
        policy in policy(),
        runs_ms in prop::collection::vec((0..2_000_u64, any::<u64>()), 1..60),
    ) {
        let mut tracker = RestartTracker::new(policy);
        let mut granted: Vec<Time> = Vec::new();
        let mut now = Time::START;
        for (run_ms, random) in runs_ms {
            let started_at = now;
            now = now.after(Duration::from_millis(run_ms));
            match tracker.on_exit(now, Ended::Badly, started_at, random) {
                Decision::Restart { after } => {
                    let longest = policy.backoff_max.max(policy.backoff_min);
                    prop_assert!(after >= policy.backoff_min && after <= longest);
                    granted.push(now);
                    now = now.after(after);
                }
                Decision::GiveUp { why } => {
                    prop_assert!(why.restarts >= policy.restarts_max);
                    let recent = granted.iter().filter(|at| now.since(**at) < policy.window);
                    prop_assert_eq!(recent.count(), policy.restarts_max as usize);
                    break;
                }
                Decision::Done => prop_assert!(false, "a failure asks for a restart"),
            }
        }
        for (first, at) in granted.iter().enumerate() {
            let within = granted[first..].iter().filter(|it| it.since(*at) < policy.window);
            prop_assert!(within.count() <= (policy.restarts_max as usize).max(1));
        }
    }

    #[test]
    fn the_policy_says_which_ends_are_followed_by_a_restart(
        on in prop::sample::select(vec![RestartOn::Never, RestartOn::OnFailure, RestartOn::Always]),
        ended in prop::sample::select(vec![Ended::Well, Ended::Badly]),
        random: u64,
    ) {
        let policy = RestartPolicy { on, ..RestartPolicy::default() };
        let decision = RestartTracker::new(policy).on_exit(Time::START, ended, Time::START, random);
        let wanted = match on {
            RestartOn::Never => false,
            RestartOn::OnFailure => ended == Ended::Badly,
            RestartOn::Always => true,
        };
        prop_assert_eq!(matches!(decision, Decision::Restart { .. }), wanted);
        prop_assert_eq!(decision == Decision::Done, !wanted);
    }
}

#[test]
fn running_stably_begins_the_backoff_anew() {
    let policy = RestartPolicy {
        on: RestartOn::Always,
        restarts_max: 100,
        ..RestartPolicy::default()
    };
    let mut tracker = RestartTracker::new(policy);
    let mut now = Time::START;
    let mut wait = |now: Time, started_at: Time| match tracker.on_exit(
        now,
        Ended::Badly,
        started_at,
        u64::MAX,
    ) {
        Decision::Restart { after } => after,
        other => panic!("{other:?}"),
    };
    let first = wait(now, now);
    let mut last = first;
    for _ in 0..8 {
        last = wait(now, now);
    }
    assert!(last > first * 10, "{first:?} grew to {last:?}");
    let started_at = now;
    now = now.after(policy.window);
    assert_eq!(wait(now, started_at), first);
}
