//! What cannot be had says so, with its own error, and says what to do.

use dataflow_runtime::models::{ModelError, ModelOrder};
use dataflow_testkit::hub::{FakeHub, Settings};

use crate::support::{Site, detector, order};

/// An order of another repository.
fn of(repo: &str) -> ModelOrder {
    let mut order = order();
    order.spec.repo = repo.to_owned();
    order
}

#[track_caller]
fn refused(site: &Site, order: ModelOrder) -> ModelError {
    let error = site.fetch(order).unwrap_err();
    assert!(!error.remedy().is_empty());
    assert_eq!(site.names("snapshots"), [""; 0]);
    error
}

#[test]
fn a_repository_that_is_not_there_is_not_found() {
    let hub = FakeHub::start([detector(10)]).unwrap();
    let error = refused(&Site::new(&hub), of("acme/nothing"));
    assert_eq!(error.code(), "not-found", "{error}");
    assert!(error.remedy().contains("HF_TOKEN"), "{}", error.remedy());
}

#[test]
fn a_private_repository_is_there_only_for_its_token() {
    let private = detector(10).private_for("hf_good");
    let settings = Settings {
        tokens: vec!["hf_other".to_owned()],
        ..Settings::default()
    };
    let hub = FakeHub::start_with(settings, [private]).unwrap();
    let without = refused(&Site::new(&hub), order());
    assert_eq!(without.code(), "not-found", "{without}");
    let other = refused(&Site::new(&hub).with_token("hf_other"), order());
    assert_eq!(other.code(), "not-found", "{other}");
    let bad = refused(&Site::new(&hub).with_token("hf_bad"), order());
    assert_eq!(bad.code(), "token-refused", "{bad}");
    assert!(bad.remedy().contains("HF_TOKEN"), "{}", bad.remedy());
    let good = Site::new(&hub).with_token("hf_good");
    good.fetch(order()).unwrap();
    assert!(hub.violations().is_empty(), "{:?}", hub.violations());
}

#[test]
fn a_gated_repository_says_where_its_terms_are() {
    let hub = FakeHub::start([detector(10).gated_for("hf_good")]).unwrap();
    let error = refused(&Site::new(&hub), order());
    assert_eq!(error.code(), "gated", "{error}");
    let url = format!("{}/acme/tiny-detector", hub.endpoint());
    assert!(error.remedy().contains(&url), "{}", error.remedy());
    let good = Site::new(&hub).with_token("hf_good");
    good.fetch(order()).unwrap();
}

#[test]
fn a_revision_or_a_pattern_that_means_nothing_is_named() {
    let hub = FakeHub::start([detector(10)]).unwrap();
    let site = Site::new(&hub);
    let mut branch = order();
    branch.spec.revision = "feature/no-such".to_owned();
    let error = refused(&site, branch);
    assert_eq!(error.code(), "revision-not-found", "{error}");
    assert!(error.to_string().contains("feature/no-such"), "{error}");
    let mut files = order();
    files.spec.files = vec!["*.json".to_owned(), "*.onnx".to_owned()];
    let error = refused(&site, files);
    assert_eq!(error.code(), "file-not-found", "{error}");
    assert!(error.to_string().contains("*.onnx"), "{error}");
}

#[test]
fn a_hub_that_is_not_there_is_gone_after_some_attempts() {
    // A port that nothing else is given: the port of a hub that has gone may be the next test's.
    let endpoint = "http://127.0.0.1:1";
    let error = refused(&Site::at(endpoint), order());
    let ModelError::ServerGone { attempts, host, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*attempts, 4);
    assert!(endpoint.ends_with(host), "{host}");
}

#[test]
fn names_that_lead_elsewhere_are_refused_before_anybody_is_asked() {
    let hub = FakeHub::start([detector(10)]).unwrap();
    for name in ["../x", "a/b/c", "a/../b", "", "/etc"] {
        let error = refused(&Site::new(&hub), of(name));
        assert_eq!(error.code(), "bad-name", "{name}: {error}");
    }
    let mut revision = order();
    revision.spec.revision = "../../x".to_owned();
    assert_eq!(refused(&Site::new(&hub), revision).code(), "bad-name");
    assert_eq!(hub.requests().len(), 0);
}

#[test]
fn offline_says_what_is_missing_and_uses_what_is_there() {
    let hub = FakeHub::start([detector(1_000)]).unwrap();
    let mut site = Site::new(&hub);
    site.settings.is_offline = true;
    let error = refused(&site, order());
    assert_eq!(error.code(), "offline", "{error}");
    assert!(error.to_string().contains("acme/tiny-detector@main"));
    assert_eq!(hub.requests().len(), 0);

    site.settings.is_offline = false;
    let mut some = order();
    some.spec.files = vec!["*.json".to_owned()];
    let snapshot = site.fetch(some.clone()).unwrap();
    let asked = hub.requests().len();
    site.settings.is_offline = true;
    assert_eq!(site.fetch(some).unwrap(), snapshot);
    let error = site.fetch(order()).unwrap_err();
    let ModelError::OfflineAndMissing { missing, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(missing, &["model.safetensors", "tokenizer/vocab.txt"]);
    assert_eq!(hub.requests().len(), asked, "nobody is asked");
}

#[test]
fn offline_a_snapshot_without_a_listing_is_what_its_symlinks_lead_to() {
    let hub = FakeHub::start([detector(1_000)]).unwrap();
    let mut site = Site::new(&hub);
    let snapshot = site.fetch(order()).unwrap();
    std::fs::remove_dir_all(site.repo().join(".dataflow")).unwrap();
    let asked = hub.requests().len();
    site.settings.is_offline = true;
    let mut fetch = site.begin(order());
    assert_eq!(fetch.end().unwrap(), snapshot);
    assert_eq!(fetch.progress.borrow().files.len(), 3);
    assert_eq!(site.names(".dataflow/verified").len(), 3, "all were hashed");
    assert_eq!(hub.requests().len(), asked);
}

#[test]
fn a_disk_that_is_too_small_is_told_before_the_first_byte() {
    let hub = FakeHub::start([detector(10)]).unwrap();
    let site = Site::new(&hub);
    // A listing from the cache, as hostile as any: it says that the file has four exabytes.
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let listing = dataflow_core::models::Listing {
        commit: commit.to_owned(),
        files: vec![dataflow_core::models::FilePlan {
            path: "a.bin".to_owned(),
            size: 1 << 62,
            hash: "ce013625030ba8dba906f756967f9e9ca394464a".parse().unwrap(),
        }],
    };
    let cache = dataflow_runtime::models::cache::Cache::new(site.settings.cache.clone());
    let repo = cache
        .repo(dataflow_ids::RepoKind::Model, "acme/tiny-detector")
        .unwrap();
    repo.write_listing(&listing).unwrap();
    let mut order = order();
    order.spec.revision = commit.to_owned();
    let error = site.fetch(order).unwrap_err();
    let ModelError::NoSpace {
        needed_bytes,
        free_bytes,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(needed_bytes, 1 << 62);
    assert!(free_bytes < 1 << 62 && free_bytes > 0);
    assert_eq!(hub.transfers("a.bin").len(), 0);
}
