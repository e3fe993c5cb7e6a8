//! Rules that are broken on purpose: the simulation finds each of them.

// A failed test may say so by a panic anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use dataflow_core::broken::{Rule, break_rule};
use dataflow_testkit::peers;
use dataflow_testkit::simulation::{Tracing, Violation, simulate};

/// Each is found in fewer seeds than this.
const SEEDS_MAX: u64 = 1000;

/// The look that is meant for a rule: to stumble over something else is not to find it.
///
/// # Panics
///
/// For a rule that neither simulation is to find.
fn look_for(rule: Rule) -> &'static str {
    match rule {
        Rule::AckOfAnEarlierEpoch
        | Rule::HeldMessagesAreIgnored
        | Rule::TimeDrains
        | Rule::NoRepair => "I-6",
        Rule::RestartInTheStop => "stop wins over restart",
        Rule::OutputsCloseAtACrash | Rule::ParkedOutputsClose => "closed",
        Rule::InputsCloseAtACrash => "queued input is kept for the next incarnation",
        Rule::EpochStays => "epochs",
        Rule::EverybodyIsTold => "order of the stop",
        Rule::CycleStopsAtOnce => "a stop never overtakes data",
        Rule::SenderIsNotReleased | Rule::ActorIsNotRebuilt => "every run ends",
        Rule::MessageInHandIsLost => "I-10",
        Rule::StatisticsKeepTheOldState => "I-13",
        Rule::ReadyWhenStarted => "nothing is sent before its receiver is ready",
        Rule::WaitingNamesNobody => "waiting",
        Rule::RestartByHandCounts
        | Rule::RestartsHaveNoEnd
        | Rule::NeverIsIgnored
        | Rule::CrashIsTheEnd => "restarts",
        Rule::SegmentsAreKept => "I-5",
        Rule::BusyCycleIsAtRest => "a cycle ends at rest",
        Rule::LateFetchIsBelieved | Rule::OneModelIsEnough => "models",
        Rule::OwnStallIsIgnored | Rule::SlowControlIsAMiss => "no live peer is unreachable",
        Rule::MissedProbesDoNotCount | Rule::FailedDialsDoNotCount => {
            "a dead peer is detected in time"
        }
        Rule::DialsHaveAnEnd | Rule::EachKeepsItsOwn | Rule::SuccessorIsWaitedForForEver => {
            "nobody is stuck"
        }
        Rule::SecondAgentWins => "a living agent keeps its place",
        Rule::SlowControlIsIgnored => "a slow control loop is seen",
        Rule::ChangeIsSaidAgain => "one change is said once",
        Rule::ReloadTouchesAll => "a reload touches what has changed",
        Rule::AnyTransitionIsAllowed
        | Rule::EdgesForgetWhatTheyCount
        | Rule::CountersGoWithTheirMember
        | Rule::MomentsGoBack
        | Rule::LateChangeCounts
        | Rule::GapIsNotSeen
        | Rule::MissedDeltaIsNotSeen
        | Rule::AnyRowBelongs
        | Rule::GoneCountsAgain
        | Rule::EndedKeeperCounts
        | Rule::LateNamesAreLost => panic!("{rule:?} is found by the histories of core::stats"),
    }
}

// One test for runs: whether descriptors stay behind is known only if no other thread opens any. Those of peers open none.
#[test]
fn every_broken_rule_is_found_and_without_one_nothing_is() {
    every_one_is_found(&Rule::RUNS, |seed| simulate(seed, Tracing::Off).violation);
}

#[test]
fn every_broken_rule_of_peers_is_found_and_without_one_nothing_is() {
    every_one_is_found(&Rule::PEERS, |seed| {
        peers::simulation::simulate(seed, Tracing::Off).violation
    });
}

fn every_one_is_found(rules: &[Rule], simulate: impl Fn(u64) -> Option<Violation>) {
    let mut not_found = Vec::new();
    for &rule in rules {
        break_rule(Some(rule));
        let found = (0..SEEDS_MAX).find_map(|seed| {
            let violation = simulate(seed)?;
            (violation.rule == look_for(rule)).then_some((seed, violation))
        });
        break_rule(None);
        match found {
            Some((seed, violation)) => {
                println!("{rule:?}: found in {} seeds: {violation}", seed + 1);
                // It is the broken rule that was found.
                assert_eq!(simulate(seed), None, "{rule:?}");
            }
            None => not_found.push(rule),
        }
    }
    assert!(
        not_found.is_empty(),
        "not found in {SEEDS_MAX} seeds: {not_found:?}"
    );
}
