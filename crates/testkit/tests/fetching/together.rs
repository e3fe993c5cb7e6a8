//! Several fetches at once: one transfer for all, and the limits hold over all of them.

use std::time::{Duration, Instant};

use dataflow_runtime::models::{FetchProgress, ModelOrder};
use dataflow_testkit::hub::{FakeHub, Fault, Repository, Request, Stage};

use crate::support::{Site, begin, content, detector, order, read, wait_for_one};

const LARGE: usize = 2_000_000;

#[test]
fn two_fetchers_on_one_cache_make_one_transfer_and_the_other_shows_its_progress() {
    let hub = FakeHub::start([detector(LARGE)]).unwrap();
    let mut site = Site::new(&hub);
    // Silent in the middle until both have looked, however late one of them is.
    site.limits.stall = Duration::from_secs(3600);
    hub.script(
        "model.safetensors",
        1,
        Fault::Stall {
            after_bytes: 1_000_000,
        },
    );
    let (one, two) = (site.fetcher(), site.fetcher());
    let mut fetches = [begin(&one, order()), begin(&two, order())];
    let is_far = |progress: &FetchProgress| {
        let large = progress.files.get(1);
        large.is_some_and(|file| file.done_bytes > 600_000)
    };
    // Of this file alone: who fetches it may have to wait for another one that the other fetches.
    let is_waiting = |progress: &FetchProgress| {
        let because = progress.because.as_deref();
        because == Some("another process fetches model.safetensors")
    };
    let waiting = wait_for_one(&mut fetches, |progress| {
        is_far(progress) && is_waiting(progress)
    });
    let fetching = fetches[1 - waiting].wait_for(is_far);
    assert!(!is_waiting(&fetching), "one fetches it: {fetching:?}");
    hub.release();
    for fetch in &mut fetches {
        let snapshot = fetch.end().unwrap();
        assert_eq!(read(&snapshot, "model.safetensors"), content(LARGE));
    }
    assert_eq!(hub.transfers("model.safetensors").len(), 1);
}

#[test]
fn when_the_one_that_fetches_goes_the_other_goes_on_from_there() {
    let hub = FakeHub::start([detector(LARGE)]).unwrap();
    let mut site = Site::new(&hub);
    site.limits.stall = Duration::from_secs(3600);
    // Silent in the middle until the one that fetches has gone, however late the other is.
    hub.script(
        "model.safetensors",
        1,
        Fault::Stall {
            after_bytes: 1_000_000,
        },
    );
    let (one, two) = (site.fetcher(), site.fetcher());
    let mut first = begin(&one, order());
    first.wait_for(|progress| {
        progress
            .files
            .get(1)
            .is_some_and(|file| file.done_bytes > 600_000)
    });
    let mut second = begin(&two, order());
    second.wait_for(|progress| progress.because.is_some());
    drop(first);
    second.end().unwrap();
    let transfers = hub.transfers("model.safetensors");
    assert_eq!(transfers.len(), 2);
    assert!(transfers[1].range_start() > 0, "it goes on");
}

/// A model of so many large files, none like the other.
fn many(files: u8, bytes: usize) -> Repository {
    (0..files).fold(
        Repository::model("acme/tiny-detector"),
        |repository, number| {
            let mut content = content(bytes);
            content[0] = number;
            repository.large_file(&format!("part-{number}.bin"), content)
        },
    )
}

#[track_caller]
fn takes_at_least(site: &Site, order: ModelOrder, least: Duration) {
    let began = Instant::now();
    site.fetch(order).unwrap();
    let took = began.elapsed();
    assert!(took >= least, "{took:?} and not {least:?}");
}

/// Fetches six files with such limits: so many transfers were on their way at the same time, at most.
fn at_once(files: usize, connections: usize) -> usize {
    const SIZE: usize = 200_000;
    let hub = FakeHub::start([many(6, SIZE)]).unwrap();
    let mut site = Site::new(&hub);
    (site.limits.files, site.limits.connections) = (files, connections);
    // So slowly that nobody is done before as many have begun as may, and then still so slowly that one too many is seen.
    hub.throttle(Some(20_000));
    let mut fetch = site.begin(order());
    let have_begun = |requests: &[Request]| {
        let begun = requests.iter().filter(|request| request.sent_bytes > 0);
        let contents = begun.filter(|request| request.stage == Stage::Content);
        contents.count() >= files.min(connections)
    };
    assert!(hub.wait_until(Duration::from_secs(60), have_begun));
    hub.throttle(Some(1_000_000));
    fetch.end().unwrap();
    hub.transfers_at_once_max()
}

#[test]
fn so_many_files_come_at_once_and_no_more() {
    assert_eq!(at_once(1, 8), 1);
    assert_eq!(at_once(2, 8), 2);
    assert_eq!(at_once(4, 8), 4);
}

#[test]
fn so_many_connections_are_used_and_no_more() {
    assert_eq!(at_once(6, 1), 1);
    assert_eq!(at_once(6, 3), 3);
}

#[test]
fn the_cap_of_the_bandwidth_holds_over_all_transfers() {
    let hub = FakeHub::start([many(4, 500_000)]).unwrap();
    let mut site = Site::new(&hub);
    site.limits.bytes_per_second = Some(2_000_000);
    takes_at_least(&site, order(), Duration::from_millis(850));
}

#[test]
fn progress_is_told_at_most_five_times_a_second() {
    let hub = FakeHub::start([detector(LARGE)]).unwrap();
    // So slowly that it is told several times before the end, however late whoever listens is.
    hub.throttle(Some(100_000));
    let site = Site::new(&hub);
    let began = Instant::now();
    let mut fetch = site.begin(order());
    let mut told = 0;
    fetch.wait_for(|progress| {
        told += 1;
        if told > 3 {
            hub.throttle(None);
        }
        progress.files.len() == 3 && progress.files.iter().all(|file| file.is_verified)
    });
    let most = began.elapsed().as_millis() / 200 + 3;
    assert!(
        u128::from(told as u32) <= most,
        "{told} times, at most {most}"
    );
    assert!(told > 4);
}

#[test]
fn a_content_with_two_paths_comes_once_and_stands_at_both() {
    let repository = Repository::model("acme/tiny-detector")
        .large_file("a.bin", content(5_000))
        .large_file("b/c.bin", content(5_000))
        .file("empty.txt", b"");
    let hub = FakeHub::start([repository]).unwrap();
    let site = Site::new(&hub);
    let mut fetch = site.begin(order());
    let snapshot = fetch.end().unwrap();
    assert_eq!(read(&snapshot, "a.bin"), content(5_000));
    assert_eq!(read(&snapshot, "b/c.bin"), content(5_000));
    assert_eq!(read(&snapshot, "empty.txt"), b"");
    assert!(
        fetch
            .progress
            .borrow()
            .files
            .iter()
            .all(|file| file.is_verified)
    );
    let both = hub.transfers("a.bin").len() + hub.transfers("b/c.bin").len();
    assert_eq!(both, 1);
}
