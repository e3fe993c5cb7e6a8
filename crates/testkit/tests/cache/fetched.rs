//! A fetch by us and a fetch by Python's `huggingface_hub`, one after the other: the second one brings no file again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dataflow_core::models::ModelSpec;
use dataflow_ids::RepoKind;
use dataflow_runtime::models::cache::{BlobState, Cache};
use dataflow_runtime::models::{
    FetchEpoch, FetchEvent, FetchLimits, FetchProgress, FetchSink, Fetcher, HubFetcher,
    HubSettings, ModelError, ModelOrder, pins,
};
use dataflow_runtime::pool::{Pool, PoolSettings};
use dataflow_testkit::hub::{FakeHub, Repository};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::python::{MAJORS, run};
use crate::together::look;

const NAME: &str = "acme/tiny-detector";
const FILES: [&str; 3] = ["config.json", "deep/vocabulary.txt", "model.safetensors"];

/// Fetches everything, and says where.
const FETCH: &str = "
import json, sys
from huggingface_hub import snapshot_download
repo_type, repo, revision = json.load(sys.stdin)
json.dump(snapshot_download(repo, repo_type=repo_type, revision=revision, max_workers=2), sys.stdout)
";

fn repository(kind: RepoKind) -> Repository {
    Repository::new(kind, NAME)
        .file(FILES[0], b"{}")
        .file(FILES[1], b"a\nb\n")
        .large_file(FILES[2], vec![7; 300_000])
}

fn order(kind: RepoKind, revision: &str, pins: Option<&Path>) -> ModelOrder {
    ModelOrder {
        spec: ModelSpec {
            kind,
            repo: NAME.to_owned(),
            revision: revision.to_owned(),
            files: Vec::new(),
        },
        pins: pins.map(Path::to_path_buf),
        is_update: false,
    }
}

fn fetch(settings: HubSettings, order: ModelOrder) -> Result<PathBuf, ModelError> {
    let pool = Pool::new(PoolSettings {
        name: "hashing",
        core: 1,
        max: 4,
        keep_alive: Duration::from_secs(1),
        queue_max: 64,
    });
    let pool = pool.expect("threads can be begun");
    let fetcher = HubFetcher::new(settings, FetchLimits::default(), pool);
    let fetcher = fetcher.expect("a runtime can be begun");
    let (events, mut heard) = mpsc::unbounded_channel();
    let sink = FetchSink {
        epoch: FetchEpoch(1),
        events,
        progress: watch::channel(FetchProgress::default()).0,
    };
    let _fetching = fetcher.fetch(order, sink);
    loop {
        match heard.blocking_recv().expect("it ends with a result").1 {
            FetchEvent::Finished { snapshot } => return Ok(snapshot),
            FetchEvent::Failed(error) => return Err(error),
            FetchEvent::Resolved(_) => {}
        }
    }
}

/// As a user with this cache and this Hub would have it from the environment.
fn settings(cache: &Cache, endpoint: &str) -> HubSettings {
    HubSettings {
        cache: cache.root().to_path_buf(),
        endpoint: endpoint.to_owned(),
        token: None,
        is_offline: false,
    }
}

fn offline(cache: &Cache) -> HubSettings {
    HubSettings {
        is_offline: true,
        ..settings(cache, "http://127.0.0.1:9")
    }
}

fn fetch_with_python(major: &str, cache: &Cache, hub: &FakeHub, wanted: &Value) -> String {
    let endpoint = hub.endpoint();
    let variables = [
        ("HF_HUB_CACHE", cache.root().to_str().expect("it is UTF-8")),
        ("HF_ENDPOINT", endpoint.as_str()),
        ("HOME", "/nowhere"),
        ("HF_HUB_DISABLE_XET", "1"),
    ];
    let snapshot = run(major, FETCH, &variables, &wanted.to_string());
    snapshot.as_str().expect("a path").to_owned()
}

fn sent(hub: &FakeHub) -> [u64; 3] {
    FILES.map(|file| hub.sent_bytes(file))
}

fn new_cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let cache = Cache::new(folder.path().join("hub"));
    (folder, cache)
}

#[test]
fn python_reads_what_we_have_fetched_and_fetches_nothing_again() {
    for kind in [RepoKind::Model, RepoKind::Dataset] {
        let hub = FakeHub::start([repository(kind)]).expect("it listens");
        for major in MAJORS {
            let (_folder, cache) = new_cache();
            let before = sent(&hub);
            let order = order(kind, "main", None);
            let snapshot = fetch(settings(&cache, &hub.endpoint()), order).expect("it comes");
            let after = sent(&hub);
            let came = [0, 1, 2].map(|index| after[index] - before[index]);
            assert_eq!(came, [2, 4, 300_000]);

            let wanted = json!([kind.as_str(), NAME, "main"]);
            let seen = look(major, cache.root(), &json!([wanted]));
            assert_eq!(seen["warnings"], json!([]), "huggingface_hub {major}");
            let file = |index: usize| format!("{NAME}@main:{}", FILES[index]);
            let found = json!({ file(0): 2, file(1): 4, file(2): 300_000 });
            assert_eq!(seen["found"], found, "huggingface_hub {major}");
            let repos = json!([[kind.as_str(), NAME, 300_006, 3]]);
            assert_eq!(seen["repos"], repos, "huggingface_hub {major}");

            let again = fetch_with_python(major, &cache, &hub, &wanted);
            assert_eq!(snapshot.to_str(), Some(again.as_str()));
            assert_eq!(sent(&hub), after, "huggingface_hub {major} has it already");
        }
        assert_eq!(hub.violations(), Vec::<String>::new());
    }
}

#[test]
fn we_take_what_python_has_fetched_with_a_network_and_without() {
    let hub = FakeHub::start([repository(RepoKind::Model)]).expect("it listens");
    let commit = repository(RepoKind::Model).commit();
    for major in MAJORS {
        for (keeps_listing, is_offline) in
            [(true, false), (true, true), (false, false), (false, true)]
        {
            let (folder, cache) = new_cache();
            let wanted = json!(["model", NAME, "main"]);
            let snapshot = fetch_with_python(major, &cache, &hub, &wanted);
            let repo = cache.repo(RepoKind::Model, NAME).expect("a good name");
            if !keeps_listing {
                // As older versions leave it.
                let _ = fs::remove_dir_all(repo.folder().join("trees"));
            }
            let before = sent(&hub);
            let settings = match is_offline {
                true => offline(&cache),
                false => settings(&cache, &hub.endpoint()),
            };
            let pins = folder.path().join("dataflow.lock");
            let ours = fetch(settings, order(RepoKind::Model, "main", Some(&pins)));
            assert_eq!(ours.expect("it is there").to_str(), Some(snapshot.as_str()));
            assert_eq!(sent(&hub), before, "it was there");
            let listing = repo.linked(&commit).expect("it is readable");
            let listing = listing.expect("it is there");
            assert_eq!(listing.files.len(), 3);
            for file in &listing.files {
                assert_eq!(
                    repo.blob(file).expect("it is readable"),
                    BlobState::Verified
                );
            }
            let pinned = pins::read(&pins).expect("it is readable");
            let pinned = pinned.commit(RepoKind::Model, NAME, "main");
            assert_eq!(pinned, Some(commit.as_str()));
        }
    }
}

#[test]
fn without_a_network_it_is_said_which_file_is_missing_or_wrong() {
    let hub = FakeHub::start([repository(RepoKind::Model)]).expect("it listens");
    let commit = repository(RepoKind::Model).commit();
    let (_folder, cache) = new_cache();
    fetch_with_python("2", &cache, &hub, &json!(["model", NAME, "main"]));
    let repo = cache.repo(RepoKind::Model, NAME).expect("a good name");
    fs::remove_dir_all(repo.folder().join("trees")).expect("it is there");
    let blob = fs::canonicalize(repo.snapshot(&commit).join(FILES[2])).expect("it is there");
    fs::write(&blob, vec![8; 300_000]).expect("it is writable");
    let missing_now = || match fetch(offline(&cache), order(RepoKind::Model, "main", None)) {
        Err(ModelError::OfflineAndMissing { missing, .. }) => missing,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing_now(), [FILES[2]], "it is wrong");
    assert_eq!(missing_now(), [FILES[2]], "it is gone");
    let blob = fs::canonicalize(repo.snapshot(&commit).join(FILES[1])).expect("it is there");
    fs::remove_file(&blob).expect("it is there");
    assert_eq!(missing_now(), [FILES[1], FILES[2]]);
}

#[test]
fn a_fetch_that_goes_on_after_a_crash_leaves_the_revision_for_python_too() {
    let hub = FakeHub::start([repository(RepoKind::Model)]).expect("it listens");
    let (folder, cache) = new_cache();
    let pins = folder.path().join("dataflow.lock");
    let pinned = || order(RepoKind::Model, "main", Some(&pins));
    fetch(settings(&cache, &hub.endpoint()), pinned()).expect("it comes");
    // What a process leaves that is killed before its end: the commit is pinned and listed, and some files are there.
    let repo = cache.repo(RepoKind::Model, NAME).expect("a good name");
    fs::remove_dir_all(repo.folder().join("refs")).expect("it is there");
    fs::remove_dir_all(repo.folder().join("snapshots")).expect("it is there");
    fetch(settings(&cache, &hub.endpoint()), pinned()).expect("it is there");
    for major in MAJORS {
        let seen = look(major, cache.root(), &json!([["model", NAME, "main"]]));
        assert_eq!(seen["warnings"], json!([]), "huggingface_hub {major}");
        let found = seen["found"].as_object().expect("an object");
        assert_eq!(found.len(), 3, "huggingface_hub {major}");
    }
}
