//! What is not there comes, once, and stands where the Hub's libraries look for it.

use dataflow_runtime::models::FetchEvent;
use dataflow_testkit::hub::FakeHub;

use crate::support::{Site, content, detector, order, read};

const LARGE: usize = 3_000_001;

#[test]
fn a_model_comes_into_an_empty_cache_verified_and_linked() {
    let repository = detector(LARGE);
    let commit = repository.commit();
    let hub = FakeHub::start([repository]).unwrap();
    let site = Site::new(&hub);
    let mut fetch = site.begin(order());
    let Some(FetchEvent::Resolved(listing)) = fetch.event() else {
        panic!("the listing comes first");
    };
    let paths: Vec<&str> = listing
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(
        paths,
        ["config.json", "model.safetensors", "tokenizer/vocab.txt"]
    );
    let snapshot = fetch.end().unwrap();

    assert_eq!(snapshot, site.repo().join("snapshots").join(&commit));
    assert_eq!(read(&snapshot, "config.json"), b"{\"a\": 1}");
    assert_eq!(read(&snapshot, "tokenizer/vocab.txt"), b"one\ntwo\n");
    assert_eq!(read(&snapshot, "model.safetensors"), content(LARGE));
    assert_eq!(read(&site.repo(), "refs/main"), commit.as_bytes());
    let progress = fetch.progress.borrow().clone();
    assert!(progress.files.iter().all(|file| file.is_verified));
    assert_eq!(progress.files[1].done_bytes, LARGE as u64);
    assert!(progress.received_bytes >= LARGE as u64);
    assert_eq!(site.names("blobs").len(), 3);
    assert_eq!(site.names(".dataflow/partial"), [""; 0]);
    assert_eq!(hub.transfers("model.safetensors").len(), 1);
    assert!(hub.violations().is_empty(), "{:?}", hub.violations());
}
