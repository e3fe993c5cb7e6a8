//! What goes wrong on the way is gone on from, waited for, or told; and what comes wrong does not stay.

use std::time::{Duration, Instant, SystemTime};

use dataflow_runtime::models::ModelError;
use dataflow_testkit::hub::{Ending, FakeHub, Fault, Place, Request, RetryAfter, Stage};

use crate::support::{Site, content, detector, order, read};

const LARGE: usize = 2_000_000;
const FILE: &str = "model.safetensors";
/// So long a line may say nothing.
const SILENCE: Duration = Duration::from_secs(2);
/// Less than whoever asks to be left alone asks for, and more than all else takes.
const SOON: Duration = Duration::from_secs(300);

fn site() -> (FakeHub, Site) {
    let hub = FakeHub::start([detector(LARGE)]).unwrap();
    let site = Site::new(&hub);
    (hub, site)
}

fn starts(hub: &FakeHub) -> Vec<u64> {
    hub.transfers(FILE)
        .iter()
        .map(Request::range_start)
        .collect()
}

#[track_caller]
fn comes_right(hub: &FakeHub, site: &Site) {
    let snapshot = site.fetch(order()).unwrap();
    assert_eq!(read(&snapshot, FILE), content(LARGE));
    assert_eq!(site.names(".dataflow/partial"), [""; 0]);
    assert!(hub.violations().is_empty(), "{:?}", hub.violations());
}

#[test]
fn a_line_that_breaks_more_often_than_there_are_attempts_brings_the_file_in_the_end() {
    let (hub, site) = site();
    let cut = Fault::Cut {
        after_bytes: 200_000,
        ending: Ending::Fin,
    };
    hub.script(FILE, 1..=9, cut);
    comes_right(&hub, &site);
    let wanted: Vec<u64> = (0..10).map(|attempt| attempt * 200_000).collect();
    assert_eq!(starts(&hub), wanted, "no byte comes twice");
}

#[test]
fn a_line_that_breaks_at_the_same_place_each_time_is_given_up() {
    let (hub, site) = site();
    let cut = Fault::Cut {
        after_bytes: 0,
        ending: Ending::Rst,
    };
    hub.script(FILE, .., cut);
    let error = site.fetch(order()).unwrap_err();
    let ModelError::ServerGone { attempts, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(attempts, 4);
    assert!(!site.names("blobs").contains(&FILE.to_owned()));
    hub.clear_script();
    comes_right(&hub, &site);
}

#[test]
fn a_line_that_says_nothing_in_the_middle_is_left_and_gone_on_from() {
    let (hub, mut site) = site();
    site.limits.stall = SILENCE;
    hub.script(
        FILE,
        1,
        Fault::Stall {
            after_bytes: 700_000,
        },
    );
    comes_right(&hub, &site);
    assert_eq!(starts(&hub), [0, 700_000]);
}

#[test]
fn a_slow_line_is_no_dead_one() {
    let (hub, mut site) = site();
    site.limits.stall = SILENCE;
    // All of it takes twice as long as a silence may last, and each piece a quarter of that: the machine may be late by a
    // second and a half.
    let drip = Fault::Drip {
        bytes: 250_000,
        every: site.limits.stall / 4,
    };
    hub.script(FILE, 1, drip);
    let began = Instant::now();
    comes_right(&hub, &site);
    assert!(began.elapsed() > site.limits.stall);
    assert_eq!(starts(&hub), [0]);
}

#[test]
fn a_server_that_asks_to_wait_is_waited_for() {
    for retry_after in [RetryAfter::Seconds(1), RetryAfter::RateLimit(1)] {
        let (hub, site) = site();
        let fault = Fault::Status {
            status: 429,
            retry_after,
        };
        hub.script(Stage::Information, 1, fault);
        let began = Instant::now();
        comes_right(&hub, &site);
        assert!(began.elapsed() >= Duration::from_secs(1), "{retry_after:?}");
    }
}

#[test]
fn a_server_that_asks_to_wait_for_long_is_named_with_the_time() {
    for (stage, retry_after) in [
        (Place::from(Stage::Information), RetryAfter::RateLimit(600)),
        (Place::from(FILE), RetryAfter::Date(600)),
    ] {
        let (hub, site) = site();
        let fault = Fault::Status {
            status: 429,
            retry_after,
        };
        hub.script(stage, .., fault);
        let began = Instant::now();
        let error = site.fetch(order()).unwrap_err();
        let ModelError::RateLimited { until, .. } = error else {
            panic!("{error}");
        };
        let wait = until.duration_since(SystemTime::now()).unwrap();
        assert!((590..=600).contains(&wait.as_secs()), "{wait:?}");
        assert!(began.elapsed() < SOON);
    }
}

#[test]
fn a_page_for_people_is_not_taken_for_the_file() {
    let (hub, site) = site();
    hub.script(FILE, 1, Fault::ErrorPage { status: 200 });
    comes_right(&hub, &site);
    let (hub, site) = self::site();
    hub.script(FILE, .., Fault::ErrorPage { status: 200 });
    let error = site.fetch(order()).unwrap_err();
    assert!(
        ["mismatch", "bad-answer"].contains(&error.code()),
        "{error}"
    );
    let hash = detector(LARGE).hash(FILE).unwrap();
    assert!(!site.names("blobs").contains(&hash));
}

#[test]
fn a_wrong_bit_is_fetched_again_once_and_is_a_mismatch_the_second_time() {
    let hash = detector(LARGE).hash(FILE).unwrap();
    let (hub, site) = site();
    hub.script(FILE, 1, Fault::FlippedByte { at: 1_000_000 });
    comes_right(&hub, &site);
    assert_eq!(site.names(".dataflow/quarantine"), [format!("{hash}.1")]);
    let (hub, site) = self::site();
    hub.script(FILE, .., Fault::FlippedByte { at: 1_000_000 });
    let error = site.fetch(order()).unwrap_err();
    let ModelError::Mismatch { expected, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*expected, hash);
    assert_eq!(starts(&hub), [0, 0]);
    assert!(!site.names("blobs").contains(&hash));
}

#[test]
fn a_link_that_has_expired_is_asked_for_anew() {
    let (hub, site) = site();
    hub.script(FILE, 1, Fault::ExpiredLink);
    comes_right(&hub, &site);
    let asked = |stage| {
        let is_it =
            |request: &&Request| request.stage == stage && request.file.as_deref() == Some(FILE);
        hub.requests().iter().filter(is_it).count()
    };
    assert_eq!((asked(Stage::Resolve), asked(Stage::Content)), (2, 2));
}

#[test]
fn a_server_that_ignores_ranges_is_heard_from_the_start() {
    let (hub, site) = site();
    let cut = Fault::Cut {
        after_bytes: 900_000,
        ending: Ending::Fin,
    };
    hub.script(FILE, 1, cut);
    hub.script(FILE, 2, Fault::IgnoredRange);
    comes_right(&hub, &site);
    assert_eq!(starts(&hub), [0, 900_000]);
}

#[test]
fn redirects_in_a_circle_are_the_end_of_it() {
    let (hub, site) = site();
    hub.script(FILE, .., Fault::RedirectLoop);
    let error = site.fetch(order()).unwrap_err();
    assert_eq!(error.code(), "bad-answer", "{error}");
}
