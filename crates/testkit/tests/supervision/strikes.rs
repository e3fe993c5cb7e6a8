//! Every message of every actor, and every way to fail over it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use dataflow_runtime::RunError;
use dataflow_runtime::actor::{Fault, When};
use dataflow_wire::status::Outcome;

use super::play::{Ending, Played, Scenario, Strike, play};
use super::scenarios::SCENARIOS;

/// Each way, and how often in a row.
const WAYS: &[(Fault, u64)] = &[
    (Fault::PanicBefore, 1),
    (Fault::PanicAfter, 1),
    (Fault::Kill, 1),
    (Fault::PanicBefore, 2),
    (Fault::PanicAfter, 2),
];

/// Which of the five kinds of actors.
fn class(actor: &str) -> &str {
    actor.split(' ').next().unwrap_or(actor)
}

fn outcome(ending: Ending) -> Outcome {
    ending.outcome
}

/// What is not as it must be, one line each.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) case: String,
    lines: Vec<String>,
}

impl Findings {
    pub(crate) fn must(&mut self, is_true: bool, what: impl FnOnce() -> String) {
        if !is_true {
            self.lines.push(format!("{}: {}", self.case, what()));
        }
    }

    pub(crate) fn none(&self) {
        assert!(self.lines.is_empty(), "{}", self.lines.join("\n"));
    }

    /// What must be true however the dataflow ended.
    pub(crate) fn books(&mut self, played: &Played, undisturbed: &Played) {
        for (actor, counts) in &played.mailboxes {
            self.must(counts.balances(), || format!("I-10: {actor} {counts:?}"));
            self.must(counts.waiting == 0, || format!("{actor} {counts:?}"));
        }
        self.must(played.audit.is_ok(), || format!("{:?}", played.audit));
        self.must(played.left == 0, || {
            format!("{} processes left", played.left)
        });
        let (found, wanted) = (&played.bystander, &undisturbed.bystander);
        self.must(found == wanted, || {
            format!("the other dataflow: {found}, else {wanted}")
        });
    }

    /// After one strike the dataflow goes on as if nothing had happened.
    pub(crate) fn goes_on(&mut self, played: &Played, undisturbed: &Played) {
        let (found, wanted) = (&played.result, undisturbed.ending());
        let is_same = played.ending() == wanted && found.is_ok();
        self.must(is_same, || format!("{found:?}, else {wanted:?}"));
    }

    /// After two over one message the dataflow goes on, or its node fails, or it is over, with that cause.
    fn goes_on_or_says_why(&mut self, strike: &Strike, played: &Played, undisturbed: &Played) {
        match &played.result {
            Ok(report) if class(&strike.actor) == "node" => {
                let index: usize = strike.actor["node ".len()..].parse().expect("its index");
                let node = &report.nodes[index];
                let is_named = report.because.contains(&format!("`{}`", node.node))
                    || (node.last_lines.iter()).any(|line| line.contains("panicked twice"));
                let goes_on = played.ending().map(outcome) == undisturbed.ending().map(outcome);
                self.must(is_named || goes_on, || format!("{report:?}"));
            }
            Ok(_) => self.goes_on(played, undisturbed),
            Err(RunError::Actor { actor, what }) => {
                let is_named = actor == &strike.actor && what.contains("the injected fault");
                self.must(is_named, || format!("{actor}: {what}"));
            }
            Err(error) => self.must(false, || error.to_string()),
        }
    }
}

/// A message that comes in a scenario: its kind, and to which class of actors.
type Comes = (String, &'static str);

/// Played once for all tests.
pub(crate) static SURVEY: LazyLock<Survey> = LazyLock::new(Survey::new);

/// What comes in each scenario while nothing strikes, and how it ends then.
pub(crate) struct Survey {
    pub(crate) played: Vec<(&'static Scenario, Played)>,
    kinds: BTreeMap<String, &'static [&'static str]>,
}

impl Survey {
    fn new() -> Survey {
        let played: Vec<_> = SCENARIOS.iter().map(|it| (it, play(it, &[]))).collect();
        let actors = played.iter().flat_map(|(_, played)| &played.kinds);
        let kinds = actors.map(|(actor, kinds)| (class(actor).to_owned(), *kinds));
        Survey {
            kinds: kinds.collect(),
            played,
        }
    }

    /// In which scenarios each message comes, by their places.
    fn places(&self) -> BTreeMap<Comes, Vec<usize>> {
        let mut places: BTreeMap<Comes, Vec<usize>> = BTreeMap::new();
        for (place, (_, played)) in self.played.iter().enumerate() {
            for (actor, kind) in &played.met {
                let places = places.entry((class(actor).to_owned(), kind)).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        places
    }

    /// The kinds of messages that come in no scenario.
    fn missing(&self) -> Vec<String> {
        let places = self.places();
        let all = (self.kinds.iter())
            .flat_map(|(class, kinds)| kinds.iter().map(|kind| (class.clone(), *kind)));
        all.filter(|comes| !places.contains_key(comes))
            .map(|(class, kind)| format!("no scenario lets `{kind}` come to {class}"))
            .collect()
    }
}

/// Strikes at a message in every way, at every actor to which it comes.
fn strike_all(
    (scenario, undisturbed): &(&Scenario, Played),
    (class_struck, kind): &Comes,
    actors: usize,
    findings: &mut Findings,
) {
    let met = undisturbed.met.iter();
    let victims = met.filter(|(actor, met)| met == kind && class(actor) == class_struck);
    // Where a fault belongs to the scenario, there is no second one.
    let own = |actor: &str| (scenario.fault).is_some_and(|own| (own.0, own.1) == (actor, *kind));
    for (actor, _) in victims.filter(|(actor, _)| !own(actor)).take(actors) {
        for (fault, times) in WAYS {
            let strike = Strike {
                actor: actor.clone(),
                when: When::kind(kind).times(*times),
                fault: *fault,
            };
            findings.case = format!("{}: {strike}", scenario.name);
            let played = play(scenario, std::slice::from_ref(&strike));
            // The last message of all may end the run before it is handled once more.
            findings.must(played.struck > 0, || "it did not strike".to_owned());
            findings.books(&played, undisturbed);
            match times {
                1 => findings.goes_on(&played, undisturbed),
                _ => findings.goes_on_or_says_why(&strike, &played, undisturbed),
            }
        }
    }
}

/// Strikes at every message that one class of actors gets, in the simplest scenario and in the strangest.
fn strike_class(class: &str) {
    let survey = &*SURVEY;
    let mut findings = Findings::default();
    for (comes, places) in survey.places() {
        if comes.0 != class {
            continue;
        }
        let chosen: BTreeSet<_> = places.first().into_iter().chain(places.last()).collect();
        for place in chosen {
            strike_all(&survey.played[*place], &comes, 1, &mut findings);
        }
    }
    findings.none();
}

#[test]
fn the_leader_of_a_dataflow_may_panic_over_every_message() {
    strike_class("dataflow");
}

#[test]
fn the_actor_of_a_node_may_panic_over_every_message() {
    strike_class("node");
}

#[test]
fn the_scheduler_may_panic_over_every_message() {
    strike_class("scheduler");
}

#[test]
fn the_keeper_of_statistics_may_panic_over_every_message() {
    strike_class("stats");
}

#[test]
fn the_actor_of_models_may_panic_over_every_message() {
    strike_class("models");
}

#[test]
fn every_message_of_every_actor_comes_in_some_scenario() {
    let survey = &*SURVEY;
    let classes: Vec<&str> = survey.kinds.keys().map(String::as_str).collect();
    assert_eq!(
        classes,
        ["dataflow", "models", "node", "scheduler", "stats"],
        "each is struck above"
    );
    let missing = survey.missing();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

fn named(scenario: &str) -> &'static Scenario {
    let mut scenarios = SCENARIOS.iter();
    (scenarios.find(|it| it.name == scenario)).expect("there is such a scenario")
}

#[test]
fn an_actor_that_cannot_be_rebuilt_ends_its_dataflow_with_that_cause_and_nothing_else() {
    // It goes on for longer than it takes to give up on an actor.
    let scenario = named("parked");
    let undisturbed = play(scenario, &[]);
    let mut findings = Findings::default();
    for actor in ["dataflow", "node 1", "scheduler", "stats"] {
        let strike = Strike {
            actor: actor.to_owned(),
            when: When::any().times(u64::MAX),
            fault: Fault::Kill,
        };
        findings.case = strike.to_string();
        let played = play(scenario, std::slice::from_ref(&strike));
        findings.books(&played, &undisturbed);
        // A run can do without numbers, and without nothing else.
        match &played.result {
            Err(_) if actor != "stats" => {
                findings.goes_on_or_says_why(&strike, &played, &undisturbed);
            }
            result => findings.must(actor == "stats" && result.is_ok(), || format!("{result:?}")),
        }
    }
    findings.none();
}

/// A scenario with two panics over one message.
fn twice(scenario: &str, actor: &str, kind: &'static str) -> Played {
    let strike = Strike {
        actor: actor.to_owned(),
        when: When::kind(kind).times(2),
        fault: Fault::PanicBefore,
    };
    let played = play(named(scenario), std::slice::from_ref(&strike));
    assert_eq!(played.struck, 2);
    played
}

/// Nobody told a node again that it should stop, so one that was just being started again went on for ever.
#[test]
fn a_stop_that_is_dead_lettered_while_its_node_is_being_started_again_is_told_again() {
    let report = twice("stopped-in-between", "node 0", "Stop").result;
    assert_eq!(report.expect("a report").outcome, Outcome::Drained);
}

/// It was reported as a node that could not be brought up.
#[test]
fn a_node_that_has_ended_does_not_fail_because_of_a_message_that_came_after_its_end() {
    let report = twice("by-itself", "node 0", "OutputsDrained").result;
    assert_eq!(report.expect("a report").outcome, Outcome::Drained);
}

#[test]
#[ignore = "some minutes: every message in every scenario, to every actor"]
fn every_actor_may_panic_over_every_message_wherever_it_comes() {
    let survey = &*SURVEY;
    let mut findings = Findings::default();
    for (comes, places) in survey.places() {
        for place in places {
            strike_all(&survey.played[place], &comes, usize::MAX, &mut findings);
        }
    }
    findings.none();
}

#[test]
fn every_scenario_keeps_its_books_when_nothing_strikes() {
    let survey = &*SURVEY;
    let mut findings = Findings::default();
    for (scenario, played) in &survey.played {
        findings.case = scenario.name.to_owned();
        findings.books(played, played);
    }
    findings.none();
}
