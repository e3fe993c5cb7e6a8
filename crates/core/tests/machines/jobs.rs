//! What is fetched is what is wanted, and nobody's late word counts, whatever happens in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use dataflow_core::models::{
    FetchEpoch, FetchSaid, JobCommand, JobEvent, JobState, Jobs, Listing, SubscriberId,
};
use proptest::prelude::*;

type Order = u8;
type Failure = &'static str;

fn want(subscriber: u64, order: Order) -> JobEvent<Order, Failure> {
    let subscriber = SubscriberId(subscriber);
    JobEvent::Want { subscriber, order }
}

fn let_go(subscriber: u64) -> JobEvent<Order, Failure> {
    let subscriber = SubscriberId(subscriber);
    JobEvent::LetGo { subscriber }
}

fn said(epoch: FetchEpoch, said: FetchSaid<Failure>) -> JobEvent<Order, Failure> {
    JobEvent::Fetched { epoch, said }
}

fn resolved() -> FetchSaid<Failure> {
    FetchSaid::Resolved(Arc::new(Listing {
        commit: "c".repeat(40),
        files: Vec::new(),
    }))
}

fn finished(epoch: FetchEpoch) -> FetchSaid<Failure> {
    let snapshot = PathBuf::from(format!("/cache/{}", epoch.0));
    FetchSaid::Finished { snapshot }
}

/// The shell, the fetches and the subscribers, as far as the machine can see them.
#[derive(Default)]
struct Shell {
    jobs: Jobs<Order, Failure>,
    wanted: BTreeMap<u64, Order>,
    in_hand: BTreeMap<FetchEpoch, Order>,
    begun: BTreeSet<FetchEpoch>,
}

impl Shell {
    fn tell(&mut self, event: JobEvent<Order, Failure>) -> Vec<JobCommand<Order>> {
        let before = self.jobs.clone();
        let commands = self.jobs.handle(event.clone());
        for command in &commands {
            match command {
                JobCommand::Fetch { epoch, order } => {
                    assert!(self.begun.insert(*epoch), "an epoch is given once");
                    assert!(self.begun.last() == Some(epoch), "epochs grow");
                    self.in_hand.insert(*epoch, *order);
                }
                JobCommand::End { epoch } => {
                    self.in_hand.remove(epoch);
                }
                JobCommand::Publish { order } => {
                    assert!(self.jobs.job(order).is_some(), "what is told of is there");
                }
            }
        }
        // The shell panicked before it kept the new state, or was told twice.
        let mut again = before;
        assert_eq!(again.handle(event.clone()), commands);
        assert_eq!(again, self.jobs);
        let fetches = |commands: Vec<JobCommand<Order>>| {
            let is_fetch = |it: &JobCommand<Order>| matches!(it, JobCommand::Fetch { .. });
            commands.iter().filter(|it| is_fetch(it)).count()
        };
        assert_eq!(fetches(again.handle(event)), 0, "told twice");
        assert_eq!(again, self.jobs, "told twice");
        self.look();
        commands
    }

    /// What must be true after every event.
    fn look(&self) {
        let mut subscribed = BTreeMap::new();
        let mut in_hand = BTreeMap::new();
        for (order, job) in self.jobs.jobs() {
            assert!(!job.subscribers.is_empty(), "nothing is kept for nobody");
            for subscriber in &job.subscribers {
                subscribed.insert(subscriber.0, *order);
            }
            if job.state.is_in_hand() {
                in_hand.insert(job.epoch, *order);
            }
            if let JobState::Ready { snapshot } = &job.state {
                let its_own = PathBuf::from(format!("/cache/{}", job.epoch.0));
                assert_eq!(*snapshot, its_own, "what its own fetch has said");
            }
        }
        assert_eq!(subscribed, self.wanted);
        assert_eq!(in_hand, self.in_hand, "one fetch for each order in hand");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Want(Order),
    /// The how-manieth of those who want something.
    LetGo(usize),
    /// The how-manieth of all fetches that ever began.
    Said(usize, FetchSaid<Failure>),
}

fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        Just(resolved()),
        Just(finished(FetchEpoch(0))),
        Just(FetchSaid::Failed("gone")),
    ];
    prop_oneof![
        3 => (0..4_u8).prop_map(Step::Want),
        2 => any::<prop::sample::Index>().prop_map(|it| Step::LetGo(it.index(8))),
        4 => (0..40_usize, what).prop_map(|(fetch, said)| Step::Said(fetch, said)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn there_is_one_fetch_for_each_order_that_is_wanted_and_only_its_word_counts(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut shell = Shell::default();
        for (subscriber, step) in (0..).zip(steps) {
            match step {
                Step::Want(order) => {
                    shell.wanted.insert(subscriber, order);
                    shell.tell(want(subscriber, order));
                }
                Step::LetGo(place) => {
                    let Some(subscriber) = shell.wanted.keys().nth(place).copied() else {
                        continue;
                    };
                    shell.wanted.remove(&subscriber);
                    shell.tell(let_go(subscriber));
                }
                Step::Said(place, what) => {
                    let newest_first = shell.begun.iter().rev();
                    let Some(epoch) = newest_first.copied().nth(place % 4) else {
                        continue;
                    };
                    let what = match what {
                        FetchSaid::Finished { .. } => finished(epoch),
                        other => other,
                    };
                    if matches!(what, FetchSaid::Finished { .. } | FetchSaid::Failed(_)) {
                        shell.in_hand.remove(&epoch);
                    }
                    shell.tell(said(epoch, what));
                }
            }
        }
        let everybody: Vec<u64> = shell.wanted.keys().copied().collect();
        for subscriber in everybody {
            shell.wanted.remove(&subscriber);
            shell.tell(let_go(subscriber));
        }
        prop_assert!(shell.in_hand.is_empty(), "nothing is fetched for nobody");
    }
}

#[test]
fn two_who_want_the_same_are_served_by_one_fetch_which_ends_with_the_last_of_them() {
    let mut jobs = Jobs::new();
    let epoch = FetchEpoch(1);
    let publish = JobCommand::Publish { order: 7 };
    let fetch = JobCommand::Fetch { epoch, order: 7 };
    assert_eq!(jobs.handle(want(1, 7)), [fetch, publish.clone()]);
    assert_eq!(jobs.handle(want(2, 7)), [publish]);
    assert_eq!(jobs.handle(let_go(1)), []);
    assert_eq!(jobs.handle(let_go(2)), [JobCommand::End { epoch }]);
    assert_eq!(jobs.jobs().count(), 0);
}

#[test]
fn what_was_cancelled_and_is_wanted_again_is_fetched_anew_and_the_late_word_is_refused() {
    let mut jobs = Jobs::new();
    jobs.handle(want(1, 7));
    jobs.handle(let_go(1));
    let commands = jobs.handle(want(2, 7));
    let (old, new) = (FetchEpoch(1), FetchEpoch(2));
    assert!(commands.contains(&JobCommand::Fetch {
        epoch: new,
        order: 7
    }));
    assert_eq!(jobs.handle(said(old, finished(old))), []);
    assert_eq!(jobs.job(&7).unwrap().state, JobState::Resolving);
    jobs.handle(said(new, finished(new)));
    let snapshot = PathBuf::from("/cache/2");
    assert_eq!(jobs.job(&7).unwrap().state, JobState::Ready { snapshot });
}

#[test]
fn what_has_failed_is_tried_again_when_somebody_wants_it() {
    let mut jobs = Jobs::new();
    jobs.handle(want(1, 7));
    jobs.handle(said(FetchEpoch(1), FetchSaid::Failed("gone")));
    assert_eq!(jobs.job(&7).unwrap().state, JobState::Failed("gone"));
    jobs.handle(want(1, 7));
    assert_eq!(
        jobs.job(&7).unwrap().state,
        JobState::Failed("gone"),
        "a fact that is told twice is no new want"
    );
    jobs.handle(want(2, 7));
    assert_eq!(jobs.job(&7).unwrap().state, JobState::Resolving);
    assert_eq!(jobs.job(&7).unwrap().epoch, FetchEpoch(2));
}

#[test]
fn what_a_fetch_consists_of_may_be_heard_after_its_end() {
    let mut jobs = Jobs::new();
    jobs.handle(want(1, 7));
    let epoch = FetchEpoch(1);
    jobs.handle(said(epoch, finished(epoch)));
    jobs.handle(said(epoch, resolved()));
    let job = jobs.job(&7).unwrap();
    assert!(job.listing.is_some());
    assert!(matches!(job.state, JobState::Ready { .. }));
}
