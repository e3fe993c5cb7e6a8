//! How a file comes to stand in the cache.

use std::fs;
use std::io::Write;

use dataflow_core::models::{ContentHash, FilePlan, Listing};
use dataflow_ids::RepoKind;
use tempfile::TempDir;

use super::super::*;
use crate::models::ModelError;

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A cache in a folder of its own.
pub(super) fn cache() -> (TempDir, RepoCache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().join("hub"));
    let repo = cache.repo(RepoKind::Model, "acme/tiny").unwrap();
    (folder, repo)
}

/// What a listing would say of a file in large file storage.
pub(super) fn plan(path: &str, content: &[u8]) -> FilePlan {
    let any = ContentHash::Sha256([0; 32]);
    let mut hasher = Hasher::new(&any, content.len() as u64);
    hasher.update(content);
    FilePlan {
        path: path.to_owned(),
        size: content.len() as u64,
        hash: hasher.finish(),
    }
}

/// Another test that begins a process holds what we have let go of, until that process runs its program.
pub(super) fn lock(repo: &RepoCache, plan: &FilePlan) -> BlobGuard {
    for _ in 0..1_000_000 {
        if let BlobLock::Held(guard) = repo.try_lock(plan.hash).unwrap() {
            return guard;
        }
        std::thread::yield_now();
    }
    panic!("somebody holds the lock");
}

/// Removes something whose locks we have let go of: as `lock`.
pub(super) fn as_soon_as_free<T>(remove: impl Fn() -> Result<T, ModelError>) -> T {
    loop {
        match remove() {
            Err(ModelError::InUse { .. }) => std::thread::yield_now(),
            done => return done.unwrap(),
        }
    }
}

/// Everything that a fetch does, without the network.
pub(super) fn fetch(repo: &RepoCache, plan: &FilePlan, content: &[u8]) {
    let guard = lock(repo, plan);
    let _room = repo.reserve(std::slice::from_ref(plan)).unwrap();
    let partial = repo.open_partial(&guard, plan).unwrap();
    let have = usize::try_from(partial.have_bytes()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(partial.file(), &content[have..], have as u64)
        .unwrap();
    drop(partial);
    repo.admit(&guard, plan).unwrap();
    repo.link(COMMIT, plan).unwrap();
}

#[test]
fn what_is_admitted_is_verified_and_linked_and_what_python_put_there_is_not() {
    let (_folder, repo) = cache();
    let content = b"weights".repeat(1000);
    let plan = plan("deep/down/model.bin", &content);
    assert_eq!(repo.blob(&plan).unwrap(), BlobState::Missing);
    fetch(&repo, &plan, &content);
    assert_eq!(repo.blob(&plan).unwrap(), BlobState::Verified);
    let file = repo.snapshot(COMMIT).join("deep/down/model.bin");
    assert_eq!(fs::read(&file).unwrap(), content);
    let target = fs::read_link(&file).unwrap();
    let expected = format!("../../../../blobs/{}", plan.hash);
    assert_eq!(target.to_str(), Some(expected.as_str()));

    // Somebody writes to it: the mark is of what it was.
    let blob = repo.blob_path(plan.hash);
    let mut file = fs::File::options().write(true).open(&blob).unwrap();
    file.write_all(b"W").unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    let unverified = BlobState::Unverified { path: blob };
    assert_eq!(repo.blob(&plan).unwrap(), unverified);
    repo.mark_verified(&plan).unwrap();
    assert_eq!(repo.blob(&plan).unwrap(), BlobState::Verified);
}

#[test]
fn what_takes_the_place_of_a_file_while_it_is_hashed_is_not_verified_by_that() {
    let (_folder, repo) = cache();
    let plan = plan("x", b"right");
    fetch(&repo, &plan, b"right");
    let path = repo.blob_path(plan.hash);
    let hashed = repo.open(&plan).unwrap().unwrap();
    let other = path.with_extension("other");
    fs::write(&other, b"wrong").unwrap();
    fs::rename(&other, &path).unwrap();
    assert!(repo.mark_as_hashed(plan.hash, &hashed).unwrap());
    assert!(!repo.is_still(plan.hash, &hashed).unwrap());
    let unverified = BlobState::Unverified { path: path.clone() };
    assert_eq!(repo.blob(&plan).unwrap(), unverified);

    // And so is what somebody writes into it.
    fs::write(&path, b"right").unwrap();
    let hashed = repo.open(&plan).unwrap().unwrap();
    assert!(repo.is_still(plan.hash, &hashed).unwrap());
    let file = fs::File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"wrong", 0).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    repo.mark_as_hashed(plan.hash, &hashed).unwrap();
    assert!(!repo.is_still(plan.hash, &hashed).unwrap());
    assert_eq!(repo.blob(&plan).unwrap(), unverified);
}

#[test]
fn room_that_a_killed_process_has_kept_is_taken_back_and_that_of_a_living_one_is_not() {
    use std::os::unix::fs::MetadataExt;
    const SIZE: u64 = 4 << 20;
    let (_folder, repo) = cache();
    let any = |number: u8| FilePlan {
        path: "x".to_owned(),
        size: SIZE,
        hash: ContentHash::Sha256([number; 32]),
    };
    let taken = |plan: &FilePlan| {
        let facts = fs::metadata(repo.partial(plan.hash)).unwrap();
        (facts.len(), facts.blocks() * 512)
    };
    let (killed, living) = (any(1), any(2));
    for plan in [&killed, &living] {
        let guard = lock(&repo, plan);
        let partial = repo.open_partial(&guard, plan).unwrap();
        partial.file().write_all(b"0123").unwrap();
        std::mem::forget(partial);
    }
    if taken(&killed).1 < SIZE {
        eprintln!("SKIPPED: this file system keeps no room");
        return;
    }
    let _guard = lock(&repo, &living);
    // Nobody has it.
    drop(lock(&repo, &killed));
    drop(repo.reserve(&[any(3)]).unwrap());
    assert_eq!(taken(&living), (4, SIZE));
    let (length, room) = taken(&killed);
    assert_eq!(length, 4);
    assert!(room <= 64 << 10, "{room} bytes are taken");
    let scan = repo.scan().unwrap().unwrap();
    assert_eq!(scan.partial_bytes, 8);
}

#[test]
fn a_partial_file_is_gone_on_with_and_only_a_complete_one_is_admitted() {
    let (_folder, repo) = cache();
    let content = b"0123456789".to_vec();
    let plan = plan("x", &content);
    let guard = lock(&repo, &plan);
    let partial = repo.open_partial(&guard, &plan).unwrap();
    assert_eq!(partial.have_bytes(), 0);
    partial.file().write_all(b"0123").unwrap();
    drop(partial);
    repo.admit(&guard, &plan).unwrap_err();
    assert_eq!(repo.blob(&plan).unwrap(), BlobState::Missing);
    repo.link(COMMIT, &plan).unwrap_err();
    drop(guard);
    fetch(&repo, &plan, &content);
    assert_eq!(fs::read(repo.snapshot(COMMIT).join("x")).unwrap(), content);
}

#[test]
fn a_lock_is_held_once() {
    let (_folder, repo) = cache();
    let plan = plan("x", b"");
    let guard = lock(&repo, &plan);
    assert!(matches!(repo.try_lock(plan.hash).unwrap(), BlobLock::Busy));
    drop(guard);
    lock(&repo, &plan);
}

#[test]
fn references_and_listings_come_back_as_they_were_written() {
    let (_folder, repo) = cache();
    for revision in ["main", "refs/pr/1"] {
        assert_eq!(repo.resolve_ref(revision).unwrap(), None);
        repo.write_ref(revision, COMMIT).unwrap();
        let commit = repo.resolve_ref(revision).unwrap();
        assert_eq!(commit.as_deref(), Some(COMMIT));
    }
    assert_eq!(repo.listing(COMMIT).unwrap(), None);
    let mut files = vec![plan("b", b"two"), plan("a/c", b"one")];
    files.sort();
    let listing = Listing {
        commit: COMMIT.to_owned(),
        files,
    };
    repo.write_listing(&listing).unwrap();
    assert_eq!(repo.listing(COMMIT).unwrap(), Some(listing));
}

#[test]
fn a_wrong_file_is_kept_aside_and_is_known_to_be_missing() {
    let (_folder, repo) = cache();
    let plan = plan("x", b"right");
    fetch(&repo, &plan, b"right");
    let guard = lock(&repo, &plan);
    for _ in 0..4 {
        let kept = repo.quarantine(&guard, Which::Blob, plan.hash).unwrap();
        assert_eq!(fs::read(kept).unwrap(), b"right");
        assert_eq!(repo.blob(&plan).unwrap(), BlobState::Missing);
        assert!(fs::read(repo.snapshot(COMMIT).join("x")).is_err());
        fs::write(repo.blob_path(plan.hash), "right").unwrap();
    }
    let kept = fs::read_dir(repo.folder().join(".dataflow/quarantine")).unwrap();
    assert_eq!(kept.count(), 2);
}
