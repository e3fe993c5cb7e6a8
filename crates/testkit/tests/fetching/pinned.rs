//! With `dataflow.lock`, the same commit is used until somebody asks for another; and then nobody is asked at all.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use dataflow_core::models::{FilePlan, Listing};
use dataflow_ids::RepoKind;
use dataflow_runtime::models::cache::Cache;
use dataflow_runtime::models::{ModelOrder, pins};
use dataflow_testkit::hub::FakeHub;

use crate::support::{Site, detector, order};

fn pinned(site: &Site) -> (ModelOrder, PathBuf) {
    let path = site.cache.path().join("dataflow.lock");
    let mut order = order();
    order.pins = Some(path.clone());
    (order, path)
}

fn commit(path: &std::path::Path) -> Option<String> {
    let pins = pins::read(path).unwrap();
    pins.commit(RepoKind::Model, "acme/tiny-detector", "main")
        .map(str::to_owned)
}

#[test]
fn a_commit_is_pinned_and_stays_until_an_update_moves_it() {
    let first = detector(1_000);
    let second = detector(1_000).next_commit().file("new.txt", b"new");
    let (one, two) = (first.commit(), second.commit());
    assert_ne!(one, two);
    let hub = FakeHub::start([first]).unwrap();
    let site = Site::new(&hub);
    let (order, path) = pinned(&site);
    let snapshot = site.fetch(order.clone()).unwrap();
    assert_eq!(commit(&path).as_deref(), Some(one.as_str()));
    hub.put(second);
    assert_eq!(site.fetch(order.clone()).unwrap(), snapshot);
    assert_eq!(commit(&path).as_deref(), Some(one.as_str()));
    let update = ModelOrder {
        is_update: true,
        ..order.clone()
    };
    let moved = site.fetch(update).unwrap();
    assert!(moved.ends_with(&two));
    assert_eq!(commit(&path).as_deref(), Some(two.as_str()));
    assert_eq!(site.fetch(order).unwrap(), moved);
    assert_eq!(
        hub.transfers("model.safetensors").len(),
        1,
        "the same content does not come twice"
    );
}

#[test]
fn without_a_network_nothing_is_updated_and_the_pin_does_not_go_back() {
    let first = detector(1_000);
    let second = first.clone().next_commit().file("new.txt", b"new");
    let (one, two) = (first.commit(), second.commit());
    let hub = FakeHub::start([second]).unwrap();
    let mut site = Site::new(&hub);
    let (order, path) = pinned(&site);
    site.fetch(order.clone()).unwrap();
    // Python was here before the last update, and has said what it knew.
    let cache = Cache::new(site.settings.cache.clone());
    let repo = cache.repo(RepoKind::Model, "acme/tiny-detector").unwrap();
    let mut listing = repo.listing(&two).unwrap().unwrap();
    listing.commit.clone_from(&one);
    listing.files.retain(|file| file.path != "new.txt");
    repo.write_listing(&listing).unwrap();
    repo.write_ref("main", &one).unwrap();
    site.settings.is_offline = true;
    let update = ModelOrder {
        is_update: true,
        ..order
    };
    let error = site.fetch(update).unwrap_err();
    assert_eq!(error.code(), "offline", "{error}");
    assert_eq!(commit(&path), Some(two));
}

#[test]
fn what_is_pinned_and_there_needs_nobody() {
    let hub = FakeHub::start([detector(100_000)]).unwrap();
    let mut site = Site::new(&hub);
    let (order, _) = pinned(&site);
    let snapshot = site.fetch(order.clone()).unwrap();
    // Another one, which knows nobody: a connection to the first may still be on its way, begun and not needed.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    site.settings.endpoint = format!("http://{}", nobody.local_addr().unwrap());
    // Who asks it is not answered, and fails.
    site.limits.stall = Duration::from_millis(1);
    let again = site.fetch(order).unwrap();
    assert_eq!(again, snapshot);
    nobody.set_nonblocking(true).unwrap();
    let asked = nobody.accept().unwrap_err();
    assert_eq!(asked.kind(), ErrorKind::WouldBlock, "nobody has asked");
}

#[test]
fn a_pin_is_kept_on_another_machine_whose_cache_is_empty() {
    let first = detector(1_000);
    let one = first.commit();
    let both = first.next_commit().file("new.txt", b"new");
    let two = both.commit();
    let hub = FakeHub::start([both]).unwrap();
    let site = Site::new(&hub);
    let (order, path) = pinned(&site);
    pins::pin(&path, RepoKind::Model, "acme/tiny-detector", "main", &one).unwrap();
    let snapshot = site.fetch(order.clone()).unwrap();
    assert!(snapshot.ends_with(&one));
    assert!(!snapshot.join("new.txt").exists());
    // What the branch is today nobody here has asked: it is not what is pinned.
    let cache = Cache::new(site.settings.cache.clone());
    let repo = cache.repo(RepoKind::Model, "acme/tiny-detector").unwrap();
    assert_eq!(repo.resolve_ref("main").unwrap(), None);
    repo.write_ref("main", &two).unwrap();
    assert_eq!(site.fetch(order).unwrap(), snapshot);
    assert_eq!(repo.resolve_ref("main").unwrap(), Some(two));
}

#[test]
fn a_kept_listing_that_is_wrong_does_not_keep_a_pinned_model_away_for_ever() {
    let repository = detector(1_000);
    let commit = repository.commit();
    let hash = repository.hash("model.safetensors").unwrap();
    let hub = FakeHub::start([repository]).unwrap();
    for (path, size, hash, code) in [
        ("model.safetensors", 1_001, hash.clone(), "bad-answer"),
        ("model.safetensors", 1_000, "0".repeat(64), "bad-answer"),
        ("config.json", 8, "0".repeat(40), "mismatch"),
        ("nothing.json", 8, "0".repeat(40), "file-not-found"),
    ] {
        let site = Site::new(&hub);
        let (order, lock) = pinned(&site);
        pins::pin(
            &lock,
            RepoKind::Model,
            "acme/tiny-detector",
            "main",
            &commit,
        )
        .unwrap();
        let listing = Listing {
            commit: commit.clone(),
            files: vec![FilePlan {
                path: path.to_owned(),
                size,
                hash: hash.parse().unwrap(),
            }],
        };
        let cache = Cache::new(site.settings.cache.clone());
        let repo = cache.repo(RepoKind::Model, "acme/tiny-detector").unwrap();
        repo.write_listing(&listing).unwrap();
        let error = site.fetch(order.clone()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let snapshot = site.fetch(order).unwrap();
        assert_eq!(
            crate::support::read(&snapshot, "model.safetensors").len(),
            1_000
        );
    }
}

#[test]
fn what_the_hub_has_answered_is_remembered_over_a_fetch_that_was_broken_off() {
    let hub = FakeHub::start([detector(1_000)]).unwrap();
    let site = Site::new(&hub);
    let (order, path) = pinned(&site);
    hub.script(
        "model.safetensors",
        ..,
        dataflow_testkit::hub::Fault::NoHttp,
    );
    site.fetch(order.clone()).unwrap_err();
    let cache = Cache::new(site.settings.cache.clone());
    let repo = cache.repo(RepoKind::Model, "acme/tiny-detector").unwrap();
    assert_eq!(repo.resolve_ref("main").unwrap(), None);
    hub.clear_script();
    site.fetch(order).unwrap();
    assert_eq!(repo.resolve_ref("main").unwrap(), commit(&path));
}

#[test]
fn a_spoiled_lock_file_is_named_and_nobody_is_asked() {
    let hub = FakeHub::start([detector(10)]).unwrap();
    let site = Site::new(&hub);
    let (order, path) = pinned(&site);
    std::fs::write(&path, "{\n  <<<<<<< HEAD\n").unwrap();
    let error = site.fetch(order).unwrap_err();
    assert_eq!(error.code(), "bad-lock-file", "{error}");
    assert!(error.to_string().contains("dataflow.lock:2"), "{error}");
    assert_eq!(hub.requests().len(), 0);
}
