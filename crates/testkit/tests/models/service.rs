//! The service: one fetch for all who want the same, whatever its actor does.

use std::rc::Rc;
use std::time::Duration;

use dataflow_runtime::models::{FetchEpoch, LocalModels, ModelError, Models};
use dataflow_testkit::models::{Ending, FakeFetcher, FetchEnd, Script};
use dataflow_testkit::virtual_time;
use dataflow_wire::status::ModelState;

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
