//! One cache, two programs: what one has fetched, the other finds and does not fetch again.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;

use dataflow_core::models::{ContentHash, FilePlan, Listing};
use dataflow_ids::RepoKind;
use dataflow_runtime::models::cache::{
    BlobGuard, BlobLock, BlobState, Cache, Hasher, RepoCache, Verdict, Which,
};
use dataflow_testkit::hub::{FakeHub, Repository};
use serde_json::{Value, json};

use crate::python::{MAJORS, command, run};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Says what the library finds in the cache without a network, and what it thinks of the cache.
const LOOK: &str = "
import json, os, sys
from huggingface_hub import scan_cache_dir, snapshot_download
found = {}
for repo_type, repo, revision in json.load(sys.stdin):
    folder = snapshot_download(repo, repo_type=repo_type, revision=revision, local_files_only=True)
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with open(path, 'rb') as file:
                found[repo + '@' + revision + ':' + os.path.relpath(path, folder)] = len(file.read())
scan = scan_cache_dir()
json.dump({
    'found': found,
    'warnings': [str(warning) for warning in scan.warnings],
    'repos': sorted([repo.repo_type, repo.repo_id, repo.size_on_disk, repo.nb_files] for repo in scan.repos),
    'refs': sorted([ref, revision.commit_hash] for repo in scan.repos for ref, revision in repo.refs.items()),
}, sys.stdout)
";

pub(crate) fn plan(path: &str, content: &[u8], like: &ContentHash) -> FilePlan {
    let mut hasher = Hasher::new(like, content.len() as u64);
    hasher.update(content);
    FilePlan {
        path: path.to_owned(),
        size: content.len() as u64,
        hash: hasher.finish(),
    }
}

pub(crate) fn lock(repo: &RepoCache, hash: ContentHash) -> BlobGuard {
    // A process that another test begins holds what we have let go of for a moment.
    for _ in 0..1_000_000 {
        if let BlobLock::Held(guard) = repo.try_lock(hash).expect("it can be locked") {
            return guard;
        }
        std::thread::yield_now();
    }
    panic!("somebody holds the lock");
}

pub(crate) fn put(repo: &RepoCache, plan: &FilePlan, content: &[u8]) {
    let guard = lock(repo, plan.hash);
    let partial = repo.open_partial(&guard, plan).expect("there is room");
    partial
        .file()
        .write_all_at(content, 0)
        .expect("it is written");
    drop(partial);
    repo.admit(&guard, plan).expect("it is complete");
}

pub(crate) fn look(major: &str, cache: &Path, wanted: &Value) -> Value {
    let cache = cache.to_str().expect("it is UTF-8");
    let variables = [("HF_HUB_CACHE", cache), ("HOME", "/nowhere")];
    run(major, LOOK, &variables, &wanted.to_string())
}

#[test]
fn python_finds_what_we_have_put_there_and_has_nothing_to_say_about_it() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let cache = Cache::new(folder.path().join("hub"));
    let large = vec![7; 200_000];
    let sha256 = ContentHash::Sha256([0; 32]);
    let git = ContentHash::GitSha1([0; 20]);
    let mut wanted = Vec::new();
    for (kind, name, revision) in [
        (RepoKind::Model, "acme/tiny-detector", "main"),
        (RepoKind::Dataset, "alone", "refs/pr/1"),
        (RepoKind::Space, "acme/demo", COMMIT),
    ] {
        let repo = cache.repo(kind, name).expect("a good name");
        let files = [
            (plan("config.json", b"{}", &git), &b"{}"[..]),
            (plan("deep/down/model.safetensors", &large, &sha256), &large),
            (plan("empty", b"", &git), b""),
        ];
        let mut listing = Listing {
            commit: COMMIT.to_owned(),
            files: files.iter().map(|(plan, _)| plan.clone()).collect(),
        };
        listing.files.sort();
        repo.write_listing(&listing).expect("it is written");
        for (plan, content) in &files {
            put(&repo, plan, content);
            repo.link(COMMIT, plan).expect("it is linked");
        }
        repo.write_ref(revision, COMMIT).expect("it is written");
        // What is ours beside it disturbs nobody.
        let wrong = plan("wrong", b"right", &sha256);
        let guard = lock(&repo, wrong.hash);
        for _ in 0..2 {
            let partial = repo.open_partial(&guard, &wrong).expect("there is room");
            partial
                .file()
                .write_all_at(b"wr", 0)
                .expect("it is written");
            drop(partial);
            let kept = repo.quarantine(&guard, Which::Partial, wrong.hash);
            kept.expect("it is moved");
        }
        drop(repo.open_partial(&guard, &wrong).expect("there is room"));
        wanted.push(json!([kind.as_str(), name, revision]));
    }
    // A download that has only just begun.
    let begun = cache
        .repo(RepoKind::Model, "just-begun")
        .expect("a good name");
    let begun_plan = plan("x", &large, &sha256);
    let guard = lock(&begun, begun_plan.hash);
    let _partial = begun
        .open_partial(&guard, &begun_plan)
        .expect("there is room");

    for major in MAJORS {
        let seen = look(major, cache.root(), &Value::from(wanted.clone()));
        assert_eq!(seen["warnings"], json!([]), "huggingface_hub {major}");
        let files = |name: &str| {
            [
                ("config.json", 2),
                ("deep/down/model.safetensors", 200_000),
                ("empty", 0),
            ]
            .map(|(path, length)| (format!("{name}:{path}"), Value::from(length)))
        };
        let found: serde_json::Map<String, Value> = files("acme/tiny-detector@main")
            .into_iter()
            .chain(files("alone@refs/pr/1"))
            .chain(files(&format!("acme/demo@{COMMIT}")))
            .collect();
        assert_eq!(
            seen["found"],
            Value::Object(found),
            "huggingface_hub {major}"
        );
        let repos = json!([
            ["dataset", "alone", 200_002, 3],
            ["model", "acme/tiny-detector", 200_002, 3],
            ["model", "just-begun", 0, 0],
            ["space", "acme/demo", 200_002, 3],
        ]);
        assert_eq!(seen["repos"], repos, "huggingface_hub {major}");
        let refs = json!([["main", COMMIT], ["refs/pr/1", COMMIT]]);
        assert_eq!(seen["refs"], refs, "huggingface_hub {major}");
    }
}

#[test]
fn we_find_what_python_has_fetched_hash_it_once_and_take_it() {
    const FETCH: &str = "
import json, sys
from huggingface_hub import snapshot_download
json.dump(snapshot_download('acme/tiny-detector', max_workers=2), sys.stdout)
";
    let large = vec![7; 300_000];
    let repository = Repository::model("acme/tiny-detector")
        .file("config.json", b"{}")
        .file("deep/vocabulary.txt", b"a\nb\n")
        .large_file("model.safetensors", large.clone());
    let commit = repository.commit();
    let names = ["config.json", "deep/vocabulary.txt", "model.safetensors"];
    let hashes = names.map(|name| repository.hash(name).expect("it has it"));
    let hub = FakeHub::start([repository]).expect("it listens");
    for major in MAJORS {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let cache = Cache::new(folder.path().join("hub"));
        let root = cache.root().to_str().expect("it is UTF-8");
        let endpoint = hub.endpoint();
        let variables = [
            ("HF_HUB_CACHE", root),
            ("HF_ENDPOINT", endpoint.as_str()),
            ("HOME", "/nowhere"),
            ("HF_HUB_DISABLE_XET", "1"),
        ];
        let snapshot = run(major, FETCH, &variables, "");

        let repo = cache
            .repo(RepoKind::Model, "acme/tiny-detector")
            .expect("a good name");
        assert_eq!(
            repo.resolve_ref("main").expect("it is readable"),
            Some(commit.clone())
        );
        assert_eq!(snapshot.as_str(), repo.snapshot(&commit).to_str());
        let listing = repo.listing(&commit).expect("it is readable");
        let sizes = [2, 4, 300_000];
        let plans: Vec<FilePlan> = (0..3)
            .map(|index| FilePlan {
                path: names[index].to_owned(),
                size: sizes[index],
                hash: hashes[index].parse().expect("a hash"),
            })
            .collect();
        // It keeps the listing, too.
        let files = listing.map(|listing| listing.files);
        assert_eq!(files.as_ref(), Some(&plans), "huggingface_hub {major}");
        for plan in &plans {
            let path = repo.blob_path(plan.hash);
            let state = repo.blob(plan).expect("it is readable");
            assert_eq!(
                state,
                BlobState::Unverified { path },
                "huggingface_hub {major}"
            );
        }
        let scan = cache.scan().expect("it is readable");
        assert_eq!(scan.troubles, []);
        let found = &scan.repos[0];
        assert_eq!(
            (found.files, found.verified_files, found.size_bytes),
            (3, 0, 300_006)
        );
        assert_eq!(found.commits[0].refs, ["main"]);

        let checked = repo
            .verify(&mut |_| ControlFlow::Continue(()))
            .expect("it is readable");
        assert_eq!(checked.len(), 3);
        assert!(
            checked.iter().all(|file| file.verdict == Verdict::Right),
            "{checked:?}"
        );
        for plan in &plans {
            assert_eq!(
                repo.blob(plan).expect("it is readable"),
                BlobState::Verified
            );
            let link = repo.snapshot(&commit).join(&plan.path);
            let before = fs::symlink_metadata(&link).expect("it is there");
            repo.link(&commit, plan).expect("it is linked already");
            let after = fs::symlink_metadata(&link).expect("it is there");
            let facts = |facts: &fs::Metadata| std::os::unix::fs::MetadataExt::ino(facts);
            assert_eq!(facts(&before), facts(&after), "the same symlink");
        }
        let seen = look(
            major,
            cache.root(),
            &json!([["model", "acme/tiny-detector", "main"]]),
        );
        assert_eq!(seen["warnings"], json!([]), "huggingface_hub {major}");

        let removed = repo
            .remove()
            .expect("nobody uses it")
            .expect("it was there");
        assert_eq!((removed.files, removed.freed_bytes), (3, 300_006));
        let seen = look(major, cache.root(), &json!([]));
        assert_eq!(
            (&seen["warnings"], &seen["repos"]),
            (&json!([]), &json!([]))
        );
    }
    assert_eq!(hub.violations(), Vec::<String>::new());
}

#[test]
fn who_fetches_a_file_keeps_the_other_from_it() {
    const TRY: &str = "
import json, sys
from filelock import Timeout
from huggingface_hub.utils import WeakFileLock
try:
    with WeakFileLock(json.load(sys.stdin), timeout=0.2):
        print('\"free\"')
except Timeout:
    print('\"busy\"')
";
    const HOLD: &str = "
import sys
from huggingface_hub.utils import WeakFileLock
with WeakFileLock(sys.stdin.readline().rstrip('\\n')):
    print('held', flush=True)
    sys.stdin.readline()
print('free', flush=True)
sys.stdin.readline()
";
    let folder = tempfile::tempdir().expect("a folder can be made");
    let cache = Cache::new(folder.path().join("hub"));
    let repo = cache
        .repo(RepoKind::Model, "acme/tiny")
        .expect("a good name");
    let hash = ContentHash::Sha256([7; 32]);
    let locks = cache.root().join(".locks/models--acme--tiny");
    let path = locks.join(format!("{hash}.lock"));
    let path = path.to_str().expect("it is UTF-8");
    let home = [("HOME", "/nowhere")];
    for major in MAJORS {
        let guard = lock(&repo, hash);
        assert_eq!(run(major, TRY, &home, &json!(path).to_string()), "busy");
        drop(guard);
        assert_eq!(run(major, TRY, &home, &json!(path).to_string()), "free");

        let mut holder = command(major, HOLD, &home).spawn().expect("Python starts");
        let mut stdin = holder.stdin.take().expect("it is piped");
        let mut stdout = BufReader::new(holder.stdout.take().expect("it is piped")).lines();
        let mut says = || stdout.next().expect("it says it").expect("it is UTF-8");
        writeln!(stdin, "{path}").expect("it reads");
        assert_eq!(says(), "held");
        let busy = repo.try_lock(hash).expect("it can be asked");
        assert!(matches!(busy, BlobLock::Busy), "huggingface_hub {major}");
        writeln!(stdin).expect("it reads");
        assert_eq!(says(), "free");
        drop(lock(&repo, hash));
        drop(stdin);
        holder.wait().expect("it ends");
    }
}
