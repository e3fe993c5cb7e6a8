//! The service: one fetch for all who want the same, whatever its actor does.

use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use dataflow_runtime::actor::{Counts, Fault, Injected, When};
use dataflow_runtime::models::{
    ActorFault, FetchEpoch, FetchEvent, FetchSink, Fetcher, Fetching, LocalModels, ModelError,
    ModelOrder, ModelService, Models,
};
use dataflow_testkit::models::{Ending, FakeFetcher, FetchEnd, Script};
use dataflow_testkit::virtual_time;
use dataflow_wire::status::{ModelState, ModelView};

use super::support::{order, until_state};

const MINUTE: Duration = Duration::from_secs(60);

fn service(script: Script) -> (LocalModels, FakeFetcher) {
    let fetcher = FakeFetcher::new(move |_| script.clone());
    (LocalModels::new(Rc::new(fetcher.clone())), fetcher)
}

#[test]
fn two_who_want_the_same_are_served_by_one_fetch() {
    virtual_time::run(async {
        let (models, fetcher) = service(Script::finishes_after(MINUTE));
        let (mut one, mut other) = (models.want(order("acme/x")), models.want(order("acme/x")));
        until_state(&mut one, ModelState::Ready).await;
        until_state(&mut other, ModelState::Ready).await;
        assert_eq!(one.view(), other.view());
        assert_eq!(fetcher.fetches().len(), 1);
        let mut late = models.want(order("acme/x"));
        until_state(&mut late, ModelState::Ready).await;
        assert_eq!(fetcher.fetches().len(), 1, "it is there");
    });
}

#[test]
fn a_fetch_ends_with_the_last_who_wants_it_and_its_late_word_is_not_heard() {
    virtual_time::run(async {
        let script = Script {
            says_late: Some(MINUTE),
            ..Script::ends_after(MINUTE, Ending::Hangs)
        };
        let (models, fetcher) = service(script);
        let (one, other) = (models.want(order("acme/x")), models.want(order("acme/x")));
        virtual_time::settle().await;
        drop(one);
        virtual_time::settle().await;
        assert_eq!(fetcher.fetches()[0].end, None);
        drop(other);
        virtual_time::settle().await;
        assert_eq!(fetcher.fetches()[0].end, Some(FetchEnd::Cancelled));
        let again = models.want(order("acme/x"));
        virtual_time::advance(MINUTE * 2).await;
        assert_eq!(fetcher.fetches()[0].end, Some(FetchEnd::SaidLate));
        assert_eq!(fetcher.fetches()[1].epoch, FetchEpoch(2));
        assert_eq!(again.view().state, ModelState::Resolving);
    });
}

#[test]
fn progress_is_told_with_a_rate_and_the_time_that_is_left() {
    virtual_time::run(async {
        let (models, _fetcher) = service(Script::finishes_after(MINUTE));
        let wanted = models.want(order("acme/x"));
        virtual_time::advance(MINUTE / 2 + Duration::from_secs(1)).await;
        let view = wanted.view();
        assert_eq!(view.state, ModelState::Fetching);
        assert_eq!((view.bytes_done, view.bytes_total), (5_000, 10_000));
        assert_eq!(view.files.len(), 2);
        assert!(
            view.bytes_per_second.is_some() && view.time_left.is_some(),
            "{view:?}"
        );
    });
}

#[test]
fn a_fetch_that_fails_or_vanishes_or_panics_is_told_as_a_failure_and_may_be_tried_again() {
    let error = ModelError::RevisionNotFound {
        repo: "acme/x".to_owned(),
        revision: "main".to_owned(),
    };
    let endings = [
        (Ending::Fails(error), "revision-not-found"),
        (Ending::Vanishes, "internal"),
        (Ending::Panics, "internal"),
    ];
    for (ending, code) in endings {
        virtual_time::run(async {
            let (models, fetcher) = service(Script::ends_after(MINUTE, ending));
            for attempt in 1..=2 {
                let mut wanted = models.want(order("acme/x"));
                until_state(&mut wanted, ModelState::Failed).await;
                assert_eq!(wanted.view().failure.expect("why").code, code);
                assert_eq!(fetcher.fetches().len(), attempt);
            }
        });
    }
}

#[test]
fn who_wants_something_of_a_service_that_is_gone_learns_that_nothing_comes() {
    virtual_time::run(async {
        let (models, fetcher) = service(Script::ends_after(MINUTE, Ending::Hangs));
        let mut wanted = models.want(order("acme/x"));
        virtual_time::settle().await;
        drop(models);
        while wanted.changed().await {}
        let view = wanted.view();
        assert_eq!(view.state, ModelState::Failed);
        assert_eq!(view.failure.expect("why").code, "internal");
        virtual_time::settle().await;
        assert_eq!(fetcher.fetches()[0].end, Some(FetchEnd::Cancelled));
    });
}

/// What came of a play: how the one model stands, and how the fetches ended.
#[derive(Debug, PartialEq)]
struct Came {
    view: ModelView,
    fetches: Vec<(String, Option<FetchEnd>)>,
}

/// What the statistics say of the messages to the actor.
fn shown(models: &LocalModels) -> Counts {
    let row = models.actor_row().expect("it has an actor");
    Counts {
        sent: row.sent.get(),
        handled: row.handled.get(),
        returned: row.returned.get(),
        dead_lettered: row.dead_lettered.get(),
        waiting: row.waiting.get(),
    }
}

/// Two want one model, and somebody wants another and lets go of it.
fn play(strike: impl FnOnce(&LocalModels) -> Option<Injected>) -> Came {
    virtual_time::run(async {
        let fetcher = FakeFetcher::new(|order| match order.spec.repo.as_str() {
            "acme/x" => Script::finishes_after(MINUTE),
            _ => Script::ends_after(MINUTE, Ending::Hangs),
        });
        let models = LocalModels::new(Rc::new(fetcher.clone()));
        let injected = strike(&models);
        let (one, other) = (models.want(order("acme/x")), models.want(order("acme/x")));
        let stranger = models.want(order("acme/y"));
        virtual_time::advance(MINUTE / 2).await;
        // Whatever it has not heard, it hears of when it is built again.
        models.strike(ActorFault::Panic);
        virtual_time::advance(MINUTE / 4).await;
        drop((other, stranger));
        virtual_time::advance(MINUTE).await;
        models.strike(ActorFault::Panic);
        virtual_time::advance(MINUTE).await;
        assert!(injected.is_none_or(|fault| fault.struck() > 0));
        let counts = models.actor().counts();
        assert!(counts.balances(), "{counts:?}");
        assert_eq!(shown(&models), counts, "who looks from another thread");
        let row = models.actor_row().expect("it has an actor");
        assert_eq!((row.actor.as_str(), row.actors.get()), ("download", 1));
        assert_eq!(row.rebuilt.get(), 2, "it has panicked twice");
        let fetches = fetcher.fetches().into_iter();
        Came {
            view: one.view(),
            fetches: fetches.map(|it| (it.order.spec.repo, it.end)).collect(),
        }
    })
}

#[test]
fn what_gets_lost_or_comes_twice_or_late_or_in_another_order_changes_nothing_about_the_end() {
    let undisturbed = play(|_| None);
    assert_eq!(undisturbed.view.state, ModelState::Ready);
    assert_eq!(undisturbed.view.files.len(), 2);
    let ends = [FetchEnd::Said, FetchEnd::Cancelled];
    let repos = ["acme/x", "acme/y"].map(str::to_owned);
    let fetches: Vec<_> = repos.into_iter().zip(ends.map(Some)).collect();
    assert_eq!(undisturbed.fetches, fetches);
    let late = Fault::Delay(Duration::from_secs(2));
    for kind in ["Want", "LetGo", "Fetched"] {
        for nth in 1..=2 {
            let when = When::kind(kind).nth(nth);
            for fault in [Fault::Drop, Fault::Reorder, late] {
                let came = play(|models| Some(models.actor().inject(when, fault)));
                // A fetch that begins later ends later, and is told later.
                assert_eq!(came.view, undisturbed.view, "{kind} {nth}: {fault:?}");
                let mut ends = came.fetches;
                ends.sort();
                assert_eq!(ends, undisturbed.fetches, "{kind} {nth}: {fault:?}");
            }
            let came = play(|models| Some(models.actor().duplicate(when)));
            assert_eq!(came, undisturbed, "{kind} {nth} twice");
        }
    }
}

#[test]
fn an_actor_that_cannot_be_rebuilt_fails_what_is_wanted_and_the_fetches_end() {
    virtual_time::run(async {
        let (models, fetcher) = service(Script::ends_after(MINUTE, Ending::Hangs));
        let mut wanted = models.want(order("acme/x"));
        virtual_time::settle().await;
        let when = When::any().times(u64::MAX);
        models.actor().inject(when, Fault::Kill);
        let other = models.want(order("acme/y"));
        until_state(&mut wanted, ModelState::Failed).await;
        virtual_time::settle().await;
        for wanted in [&wanted, &other, &models.want(order("acme/z"))] {
            assert_eq!(wanted.view().failure.expect("why").code, "internal");
        }
        assert_eq!(fetcher.fetches()[0].end, Some(FetchEnd::Cancelled));
    });
}

/// Says nothing, and knows on which thread it was asked.
struct Silent(mpsc::Sender<Option<String>>);

#[derive(Debug)]
struct Silence(#[expect(dead_code, reason = "the sink is open as long as the fetch is")] FetchSink);

impl Fetching for Silence {}

impl Fetcher for Silent {
    fn fetch(&self, _: ModelOrder, sink: FetchSink) -> Box<dyn Fetching> {
        let name = std::thread::current().name().map(str::to_owned);
        self.0.send(name).expect("the test listens");
        Box::new(Silence(sink))
    }
}

#[test]
fn whoever_wants_a_model_does_not_wait_for_an_actor_that_is_blocked() {
    let blocked_for = Duration::from_secs(3600);
    let (to_test, asked) = mpsc::channel();
    let service = ModelService::start(move || Silent(to_test)).unwrap();
    let first = service.want(order("acme/x"));
    let thread = asked.recv().unwrap();
    assert_eq!(thread.as_deref(), Some("dataflow-models"));
    service.strike(ActorFault::Block(blocked_for));
    let second = service.want(order("acme/y"));
    assert_ne!(first.view().state, ModelState::Failed);
    assert_eq!(second.view().state, ModelState::Waiting);
    // Neither letting go nor the end of the service waits for it.
    drop((first, second, service));
}

#[test]
fn a_service_ends_its_thread_and_lets_go_of_its_fetches_when_it_is_dropped() {
    let (to_test, asked) = mpsc::channel();
    let service = ModelService::start(move || Silent(to_test)).unwrap();
    let wanted = service.want(order("acme/x"));
    asked.recv().unwrap();
    drop(service);
    // The fetcher goes with its thread.
    assert_eq!(asked.recv(), Err(mpsc::RecvError));
    assert_eq!(wanted.view().state, ModelState::Failed);
}

/// Says how far it is as often as it can, for a while in which it is looked at several times, and then that it has failed.
struct Hasty;

#[derive(Debug)]
struct Haste;

impl Fetching for Haste {}

impl Fetcher for Hasty {
    fn fetch(&self, _: ModelOrder, sink: FetchSink) -> Box<dyn Fetching> {
        std::thread::spawn(move || {
            let until = Instant::now() + Duration::from_secs(1);
            while Instant::now() < until {
                sink.progress.send_modify(|now| now.received_bytes += 1);
            }
            let failed = FetchEvent::Failed(ModelError::Cancelled);
            let _ = sink.events.send((sink.epoch, failed));
        });
        Box::new(Haste)
    }
}

#[test]
fn whoever_says_all_the_time_how_far_it_is_and_who_looks_never_wait_for_each_other() {
    let service = ModelService::start(|| Hasty).unwrap();
    let wanted = service.want(order("acme/x"));
    let deadline = Instant::now() + MINUTE;
    while wanted.view().state != ModelState::Failed {
        assert!(Instant::now() < deadline, "they wait for each other");
        std::thread::sleep(Duration::from_millis(10));
    }
}
