//! Many processes that want the same files at once: each file is written by one of them.

use std::path::Path;
use std::process::{Command, Stdio};

use dataflow_core::models::{ContentHash, FilePlan};
use dataflow_ids::RepoKind;
use dataflow_runtime::models::cache::{BlobLock, BlobState, Cache, Hasher, RepoCache};

use crate::together::{COMMIT, plan};

/// Tells a process where the cache is.
const PLACE: &str = "DATAFLOW_TEST_SHARED_CACHE";

fn repo(root: &Path) -> RepoCache {
    let cache = Cache::new(root.to_path_buf());
    cache
        .repo(RepoKind::Model, "acme/tiny")
        .expect("a good name")
}

fn files() -> Vec<(FilePlan, Vec<u8>)> {
    let file = |number: u8| {
        let content = vec![number; 50_000];
        let path = format!("part-{number}");
        (
            plan(&path, &content, &ContentHash::Sha256([0; 32])),
            content,
        )
    };
    (0..20).map(file).collect()
}

#[test]
#[ignore = "not a test of its own: one of the processes"]
fn worker() {
    let place = std::env::var(PLACE).expect("it is told where");
    let repo = repo(Path::new(&place));
    let mut admitted = 0;
    for (plan, content) in files() {
        // It waits as a fetch does: until the lock is free, or the file is there.
        while repo.blob(&plan).expect("it is readable") != BlobState::Verified {
            let BlobLock::Held(guard) = repo.try_lock(plan.hash).expect("it can be asked") else {
                std::thread::yield_now();
                continue;
            };
            if repo.blob(&plan).expect("it is readable") == BlobState::Verified {
                break;
            }
            let partial = repo.open_partial(&guard, &plan).expect("there is room");
            assert_eq!(partial.have_bytes(), 0, "nobody has left one behind");
            for (piece, at) in content.chunks(10_000).zip((0..).step_by(10_000)) {
                std::os::unix::fs::FileExt::write_all_at(partial.file(), piece, at)
                    .expect("it is written");
            }
            drop(partial);
            repo.admit(&guard, &plan).expect("it is complete");
            admitted += 1;
        }
        repo.link(COMMIT, &plan).expect("it is linked");
    }
    repo.write_ref("main", COMMIT).expect("it is written");
    println!("admitted {admitted} files");
}

#[test]
fn each_file_is_written_by_one_process_and_linked_by_all() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let root = folder.path().join("hub");
    let processes: Vec<_> = (0..6)
        .map(|_| {
            Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", "--ignored", "--nocapture", "processes::worker"])
                .env(PLACE, &root)
                .stdout(Stdio::piped())
                .spawn()
                .expect("it starts")
        })
        .collect();
    let mut admitted = 0;
    for process in processes {
        let output = process.wait_with_output().expect("it ends");
        assert!(output.status.success());
        let said = String::from_utf8(output.stdout).expect("it is UTF-8");
        let number = said
            .split("admitted ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let number: usize = number
            .and_then(|number| number.parse().ok())
            .expect("a number");
        admitted += number;
    }
    assert_eq!(admitted, 20);
    let repo = repo(&root);
    for (plan, _) in files() {
        let content = std::fs::read(repo.snapshot(COMMIT).join(&plan.path)).expect("it is there");
        let mut hasher = Hasher::new(&plan.hash, plan.size);
        hasher.update(&content);
        assert_eq!(hasher.finish(), plan.hash);
    }
}
