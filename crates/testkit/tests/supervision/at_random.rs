//! Several panics in one life, at places that a seed chooses.

use std::collections::BTreeSet;

use dataflow_core::random::Random;
use dataflow_runtime::actor::{Fault, When};

use super::play::{Strike, play};
use super::strikes::{Findings, SURVEY};

/// The most that strike in one life. An actor that panics ten times within a minute is given up.
const STRIKES_MAX: u64 = 6;

fn one_of<'a, T>(random: &mut Random, of: &'a [T]) -> &'a T {
    &of[(random.draw() % of.len() as u64) as usize]
}

/// Never twice over one message, so whatever strikes, the dataflow comes to the same end.
fn strike_at_random(seeds: std::ops::Range<u64>) {
    let mut findings = Findings::default();
    let mut struck = 0;
    for seed in seeds {
        let mut random = Random::new(seed);
        let (scenario, undisturbed) = one_of(&mut random, &SURVEY.played);
        let met: Vec<_> = undisturbed.met.iter().collect();
        let mut chosen = BTreeSet::new();
        for _ in 0..=random.draw() % STRIKES_MAX {
            chosen.insert(*one_of(&mut random, &met));
        }
        let own = |actor: &str| scenario.fault.is_some_and(|(own, ..)| own == actor);
        let strikes: Vec<Strike> = (chosen.into_iter())
            .filter(|(actor, _)| !own(actor))
            .map(|(actor, kind)| Strike {
                actor: actor.clone(),
                when: When::kind(kind).nth(1 + random.draw() % 3),
                fault: *one_of(
                    &mut random,
                    &[Fault::PanicBefore, Fault::PanicAfter, Fault::Kill],
                ),
            })
            .collect();
        findings.case = format!("seed {seed}: {}: {strikes:?}", scenario.name);
        let played = play(scenario, &strikes);
        struck += played.struck;
        findings.books(&played, undisturbed);
        findings.goes_on(&played, undisturbed);
    }
    assert!(struck > 0, "something was struck");
    findings.none();
}

#[test]
fn several_panics_in_one_life_change_nothing_about_its_end() {
    strike_at_random(0..30);
}

#[test]
#[ignore = "some minutes: many seeds"]
fn many_panics_in_many_lives_change_nothing_about_their_ends() {
    strike_at_random(0..3_000);
}
