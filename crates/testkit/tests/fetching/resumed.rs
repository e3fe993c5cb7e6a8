//! What was fetched is not fetched again, whatever ended the fetch; and what turns out wrong does not stay.

use std::fs;
use std::time::Duration;

use dataflow_runtime::models::ModelError;
use dataflow_testkit::hub::{FakeHub, Fault, Request};

use crate::support::{Site, content, detector, order, read};

const LARGE: usize = 2_000_000;

/// Puts a partial file there, as an earlier fetch may have left it.
fn leave(site: &Site, hash: &str, part: &[u8]) {
    let folder = site.repo().join(".dataflow/partial");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(hash), part).unwrap();
}

fn starts(transfers: &[Request]) -> Vec<u64> {
    transfers.iter().map(Request::range_start).collect()
}

#[test]
fn a_partial_file_is_gone_on_from_where_it_ends() {
    let repository = detector(LARGE);
    let hash = repository.hash("model.safetensors").unwrap();
    let hub = FakeHub::start([repository]).unwrap();
    let site = Site::new(&hub);
    leave(&site, &hash, &content(LARGE)[..1_234_567]);
    let mut fetch = site.begin(order());
    let snapshot = fetch.end().unwrap();
    assert_eq!(read(&snapshot, "model.safetensors"), content(LARGE));
    assert_eq!(starts(&hub.transfers("model.safetensors")), [1_234_567]);
    let received = fetch.progress.borrow().received_bytes;
    assert!(
        received < (LARGE - 1_234_567) as u64 + 1_000,
        "only the rest comes from the network: {received}"
    );
}

#[test]
fn a_complete_partial_file_is_verified_and_not_asked_for() {
    let repository = detector(LARGE);
    let hash = repository.hash("model.safetensors").unwrap();
    let hub = FakeHub::start([repository]).unwrap();
    let site = Site::new(&hub);
    leave(&site, &hash, &content(LARGE));
    let snapshot = site.fetch(order()).unwrap();
    assert_eq!(read(&snapshot, "model.safetensors"), content(LARGE));
    assert_eq!(hub.transfers("model.safetensors").len(), 0);
}

#[test]
fn a_wrong_partial_file_is_put_aside_and_the_file_fetched_from_its_start() {
    let repository = detector(LARGE);
    let hash = repository.hash("model.safetensors").unwrap();
    let hub = FakeHub::start([repository]).unwrap();
    for part in [500_000, LARGE] {
        let site = Site::new(&hub);
        let mut wrong = content(LARGE);
        wrong[100] ^= 1;
        leave(&site, &hash, &wrong[..part]);
        let before = hub.transfers("model.safetensors").len();
        let snapshot = site.fetch(order()).unwrap();
        assert_eq!(read(&snapshot, "model.safetensors"), content(LARGE));
        assert_eq!(site.names(".dataflow/quarantine"), [format!("{hash}.1")]);
        let last = hub.transfers("model.safetensors").split_off(before);
        assert_eq!(starts(&last).last(), Some(&0));
    }
}

#[test]
fn a_partial_file_that_is_too_long_or_no_file_is_no_hindrance() {
    let repository = detector(LARGE);
    let hash = repository.hash("model.safetensors").unwrap();
    let hub = FakeHub::start([repository]).unwrap();
    let site = Site::new(&hub);
    leave(&site, &hash, &[content(LARGE), vec![1]].concat());
    site.fetch(order()).unwrap();
    let site = Site::new(&hub);
    fs::create_dir_all(site.repo().join(".dataflow/partial").join(&hash)).unwrap();
    site.fetch(order()).unwrap();
}

#[test]
fn what_is_cancelled_leaves_its_part_for_the_next_fetch_and_nothing_under_blobs() {
    let hub = FakeHub::start([detector(LARGE)]).unwrap();
    let mut site = Site::new(&hub);
    site.limits.stall = Duration::from_secs(3600);
    let mut slow = order();
    slow.spec.files = vec!["*.safetensors".to_owned()];
    // Silent in the middle: it does not come to its end before it is cancelled.
    hub.script(
        "model.safetensors",
        1,
        Fault::Stall {
            after_bytes: 1_000_000,
        },
    );
    let mut fetch = site.begin(slow.clone());
    // It has come far enough for a buffer to be written.
    let seen = fetch.wait_for(|progress| {
        progress
            .files
            .first()
            .is_some_and(|file| file.done_bytes > 600_000)
    });
    assert!(seen.files[0].done_bytes < LARGE as u64);
    drop(fetch);
    assert_eq!(site.names("blobs"), [""; 0]);
    assert_eq!(site.names("snapshots"), [""; 0]);
    let snapshot = site.fetch(slow).unwrap();
    assert_eq!(read(&snapshot, "model.safetensors"), content(LARGE));
    let starts = starts(&hub.transfers("model.safetensors"));
    assert_eq!(starts.len(), 2);
    assert!(
        starts[1] >= 500_000,
        "it goes on from what was written: {starts:?}"
    );
}

#[test]
fn what_python_has_put_there_is_hashed_once_and_what_is_wrong_of_it_is_fetched_anew() {
    let repository = detector(LARGE);
    let hash = repository.hash("model.safetensors").unwrap();
    let hub = FakeHub::start([repository]).unwrap();
    let site = Site::new(&hub);
    fs::create_dir_all(site.repo().join("blobs")).unwrap();
    let blob = site.repo().join("blobs").join(&hash);
    fs::write(&blob, content(LARGE)).unwrap();
    site.fetch(order()).unwrap();
    assert_eq!(hub.transfers("model.safetensors").len(), 0, "it is right");

    let mut wrong = content(LARGE);
    wrong[LARGE - 1] ^= 1;
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, wrong).unwrap();
    let snapshot = site.fetch(order()).unwrap();
    assert_eq!(read(&snapshot, "model.safetensors"), content(LARGE));
    assert_eq!(starts(&hub.transfers("model.safetensors")), [0]);
    assert_eq!(site.names(".dataflow/quarantine"), [format!("{hash}.1")]);
}

#[test]
fn a_file_that_comes_wrong_twice_is_a_mismatch_and_both_are_kept_aside() {
    let repository = detector(LARGE);
    let hash = repository.hash("model.safetensors").unwrap();
    let hub = FakeHub::start([repository]).unwrap();
    let site = Site::new(&hub);
    // A listing with another hash than that of the content: as if what serves files were spoiled.
    let other = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let cache = dataflow_runtime::models::cache::Cache::new(site.settings.cache.clone());
    site.fetch(order()).unwrap();
    let repo = cache
        .repo(dataflow_ids::RepoKind::Model, "acme/tiny-detector")
        .unwrap();
    let commit = repo.resolve_ref("main").unwrap().unwrap();
    let mut listing = repo.listing(&commit).unwrap().unwrap();
    let config = listing
        .files
        .iter_mut()
        .find(|file| file.path == "config.json");
    config.unwrap().hash = other[..40].parse().unwrap();
    repo.write_listing(&listing).unwrap();
    let mut pinned = order();
    pinned.spec.revision = commit;
    let error = site.fetch(pinned).unwrap_err();
    let ModelError::Mismatch {
        file, kept_aside, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(file, "config.json");
    assert_eq!(fs::read(kept_aside).unwrap(), b"{\"a\": 1}");
    assert_eq!(site.names(".dataflow/quarantine").len(), 2);
    assert!(site.names("blobs").contains(&hash));
    assert!(!site.names("blobs").contains(&other[..40].to_owned()));
}
