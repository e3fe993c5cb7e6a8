//! A process is killed before each single change that it makes to the cache (I-11).

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dataflow_core::models::{ContentHash, FilePlan, Listing};
use dataflow_ids::RepoKind;

use super::super::steps::{count_steps, die_at_step};
use super::super::*;
use super::admitting::{COMMIT, fetch, lock, plan};

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
    let (step, root) = order.split_once(' ').unwrap();
    let repo = repo(Path::new(root));
    die_at_step(step.parse().unwrap());
    work(&repo);
}

#[test]
fn killed_at_any_step_the_cache_holds_only_right_files_and_the_next_attempt_goes_on() {
    let whole = tempfile::tempdir().unwrap();
    let steps = count_steps(|| work(&repo(whole.path())));
    assert!(steps > 40, "{steps} steps are counted");
    for step in 1..=steps {
        let folder = tempfile::tempdir().unwrap();
        let module = module_path!().split_once("::").unwrap().1;
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", &format!("{module}::worker")])
            .env(ORDER, format!("{step} {}", folder.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(9), "at step {step}: {status}");
        assert_only_right_files(folder.path());

        let repo = repo(folder.path());
        work(&repo);
        assert_only_right_files(folder.path());
        for (plan, content) in contents() {
            assert_eq!(repo.blob(&plan).unwrap(), BlobState::Verified);
            let file = repo.snapshot(COMMIT).join(&plan.path);
            assert_eq!(fs::read(file).unwrap(), content);
        }
        let commit = repo.resolve_ref("main").unwrap();
        assert_eq!(commit.as_deref(), Some(COMMIT));
    }
}
