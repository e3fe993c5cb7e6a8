//! A process is killed before each single change that it makes to the cache (I-11).

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use dataflow_core::models::{ContentHash, FilePlan, Listing};
use dataflow_ids::RepoKind;

use super::super::steps::{count_steps, die_at_step};
use super::super::*;
use super::admitting::{COMMIT, as_soon_as_free, fetch, lock, plan};

/// Tells a process of this test where to work and at which step to die.
const ORDER: &str = "DATAFLOW_TEST_DIE_AT_STEP";

fn repo(root: &Path) -> RepoCache {
    let cache = Cache::new(root.to_path_buf());
    cache.repo(RepoKind::Model, "acme/tiny").unwrap()
}

fn contents() -> [(FilePlan, Vec<u8>); 3] {
    let shared = b"the same content under two paths".to_vec();
    let large = vec![7; 300_000];
    [
        (plan("config.json", &shared), shared.clone()),
        (plan("deep/copy.json", &shared), shared),
        (plan("model.bin", &large), large),
    ]
}

/// All that a fetch changes, and a wrong file that is put aside.
fn work(repo: &RepoCache) {
    let mut files: Vec<FilePlan> = contents().map(|(plan, _)| plan).into();
    files.sort();
    let listing = Listing {
        commit: COMMIT.to_owned(),
        files,
    };
    repo.write_listing(&listing).unwrap();
    let wrong = plan("wrong.bin", b"right");
    let guard = lock(repo, &wrong);
    let partial = repo.open_partial(&guard, &wrong).unwrap();
    std::os::unix::fs::FileExt::write_all_at(partial.file(), b"wrong", 0).unwrap();
    drop(partial);
    repo.quarantine(&guard, Which::Partial, wrong.hash).unwrap();
    for (plan, content) in contents() {
        match repo.blob(&plan).unwrap() {
            BlobState::Missing => fetch(repo, &plan, &content),
            BlobState::Unverified { .. } => {
                repo.mark_verified(&plan).unwrap();
                repo.link(COMMIT, &plan).unwrap();
            }
            BlobState::Verified => repo.link(COMMIT, &plan).unwrap(),
        }
    }
    repo.write_ref("main", COMMIT).unwrap();
}

/// I-11, by looking at what is there and at nothing else.
fn assert_only_right_files(root: &Path) {
    for place in ["blobs", "snapshots"] {
        let mut folders: Vec<PathBuf> = vec![root.join("models--acme--tiny").join(place)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if fs::symlink_metadata(&path).unwrap().is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = fs::canonicalize(&path).unwrap();
                let name = name.file_name().unwrap().to_str().unwrap();
                let expected: ContentHash = name.parse().unwrap();
                let content = fs::read(&path).unwrap();
                let mut hasher = Hasher::new(&expected, content.len() as u64);
                hasher.update(&content);
                assert_eq!(hasher.finish(), expected, "{}", path.display());
            }
        }
    }
}

#[test]
#[ignore = "not a test of its own: the process that is killed"]
fn worker() {
    let order = std::env::var(ORDER).unwrap();
    let mut words = order.splitn(3, ' ');
    let (step, what) = (words.next().unwrap(), words.next().unwrap());
    let repo = repo(Path::new(words.next().unwrap()));
    die_at_step(step.parse().unwrap());
    match what {
        "fetch" => work(&repo),
        "remove-commit" => drop(as_soon_as_free(|| repo.remove_revision("main"))),
        "remove" => drop(as_soon_as_free(|| repo.remove())),
        what => panic!("{what}"),
    }
}

/// One process is begun at a time: for a moment it holds what its parent has open, other tests' locks too.
static BEGINNING: Mutex<()> = Mutex::new(());

fn kill_at(step: u64, what: &str, root: &Path) {
    let module = module_path!().split_once("::").unwrap().1;
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", &format!("{module}::worker")])
        .env(ORDER, format!("{step} {what} {}", root.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(9), "{what} at step {step}: {status}");
}

fn assert_all_there(repo: &RepoCache, commit: &str) {
    for (plan, content) in contents() {
        assert_eq!(repo.blob(&plan).unwrap(), BlobState::Verified);
        let file = repo.snapshot(commit).join(&plan.path);
        assert_eq!(fs::read(file).unwrap(), content);
    }
}

#[test]
fn killed_at_any_step_the_cache_holds_only_right_files_and_the_next_attempt_goes_on() {
    let _alone = BEGINNING.lock().unwrap_or_else(PoisonError::into_inner);
    let whole = tempfile::tempdir().unwrap();
    let steps = count_steps(|| work(&repo(whole.path())));
    assert!(steps > 40, "{steps} steps are counted");
    for step in 1..=steps {
        let folder = tempfile::tempdir().unwrap();
        kill_at(step, "fetch", folder.path());
        assert_only_right_files(folder.path());

        let repo = repo(folder.path());
        work(&repo);
        assert_only_right_files(folder.path());
        assert_all_there(&repo, COMMIT);
        let commit = repo.resolve_ref("main").unwrap();
        assert_eq!(commit.as_deref(), Some(COMMIT));
    }
}

/// Another commit with the same files and one more.
fn work_twice(repo: &RepoCache) {
    work(repo);
    for (plan, _) in contents() {
        repo.link(OTHER, &plan).unwrap();
    }
    repo.write_ref("other", OTHER).unwrap();
    let more = plan("more.bin", b"of one commit alone");
    fetch(repo, &more, b"of one commit alone");
}

const OTHER: &str = "ffffffffffffffffffffffffffffffffffffffff";

#[test]
fn killed_at_any_step_a_removal_leaves_a_cache_that_is_right_and_is_finished_by_the_next_one() {
    let _alone = BEGINNING.lock().unwrap_or_else(PoisonError::into_inner);
    for what in ["remove-commit", "remove"] {
        let whole = tempfile::tempdir().unwrap();
        let cache = repo(whole.path());
        work_twice(&cache);
        let steps = count_steps(|| match what {
            "remove" => drop(as_soon_as_free(|| cache.remove())),
            _ => drop(as_soon_as_free(|| cache.remove_revision(COMMIT))),
        });
        assert!(steps > 5, "{steps} steps are counted");
        for step in 1..=steps {
            let folder = tempfile::tempdir().unwrap();
            let cache = repo(folder.path());
            work_twice(&cache);
            kill_at(step, what, folder.path());
            assert_only_right_files(folder.path());
            match what {
                "remove" => {
                    as_soon_as_free(|| cache.remove());
                    assert_eq!(cache.remove().unwrap(), None);
                    assert!(!cache.folder().exists());
                }
                _ => {
                    as_soon_as_free(|| cache.remove_revision(COMMIT));
                    assert_only_right_files(folder.path());
                    assert_all_there(&cache, OTHER);
                    assert!(!cache.snapshot(COMMIT).exists());
                    assert_eq!(cache.resolve_ref("main").unwrap(), None);
                }
            }
        }
    }
}
