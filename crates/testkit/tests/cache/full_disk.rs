//! A disk that is full, and one that may only be read: known before the first byte, and nothing is half done.

use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Stdio};

use dataflow_core::models::{ContentHash, FilePlan};
use dataflow_ids::RepoKind;
use dataflow_runtime::models::ModelError;
use dataflow_runtime::models::cache::{BlobState, Cache, RepoCache};

use crate::together::{COMMIT, lock, plan, put};

/// The disk has as much room as this.
const DISK_BYTES: u64 = 1024 * 1024;
/// Tells the process that has the disk where it is.
const PLACE: &str = "DATAFLOW_TEST_DISK";

/// Runs a test of this file in a process that has a small disk to itself.
fn on_a_small_disk(test: &str) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let begin = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--map-root-user", "/bin/sh", "-c", script, "sh"])
            .arg(folder.path())
            .arg(std::env::current_exe().expect("this program"))
            .arg(format!("full_disk::{test}"))
            .env(PLACE, folder.path())
            .stdin(Stdio::null());
        command
    };
    let mount = format!("mount -t tmpfs -o size={DISK_BYTES} none \"$1\"");
    let may = begin(&mount).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!(
            "SKIPPED: this user may not mount a small file system (`unshare --mount --map-root-user`)"
        );
        return;
    }
    let run = format!("{mount} && exec \"$2\" --exact --ignored --nocapture \"$3\"");
    let output = begin(&run).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{error}"
    );
}

fn disk() -> RepoCache {
    let place = std::env::var(PLACE).expect("it runs on a small disk");
    let cache = Cache::new(Path::new(&place).join("hub"));
    cache
        .repo(RepoKind::Model, "acme/tiny")
        .expect("a good name")
}

fn large(path: &str, kind: u8, size: u64) -> FilePlan {
    FilePlan {
        path: path.to_owned(),
        size,
        hash: ContentHash::Sha256([kind; 32]),
    }
}

fn expect_no_space(error: ModelError, needed: u64, repo: &RepoCache) -> u64 {
    assert!(
        error.remedy().contains("dataflow models rm"),
        "{}",
        error.remedy()
    );
    match error {
        ModelError::NoSpace {
            needed_bytes,
            free_bytes,
            place,
        } => {
            assert_eq!(needed_bytes, needed);
            assert!(
                free_bytes < needed && free_bytes <= DISK_BYTES,
                "{free_bytes}"
            );
            assert!(
                repo.partial(ContentHash::Sha256([0; 32]))
                    .starts_with(place)
            );
            free_bytes
        }
        error => panic!("{error}"),
    }
}

#[test]
fn a_full_disk_is_known_before_the_first_byte() {
    on_a_small_disk("full");
}

#[test]
#[ignore = "not a test of its own: it runs on a small disk"]
fn full() {
    let repo = disk();
    let [one, two, three] = [1, 2, 3].map(|kind| large("x", kind, 600_000));
    // All of a model's files together.
    let both = repo
        .reserve(&[one.clone(), two.clone()])
        .expect_err("more than the disk");
    expect_no_space(both, 1_200_000, &repo);
    // One content under two paths is one.
    let copy = FilePlan {
        path: "copy".to_owned(),
        ..one.clone()
    };
    let reserved = repo.reserve(&[one.clone(), copy]).expect("there is room");
    // And what others of this process have been promised.
    let error = repo
        .reserve(std::slice::from_ref(&two))
        .expect_err("that room is promised");
    let free = expect_no_space(error, 600_000, &repo);
    assert!((300_000..450_000).contains(&free), "{free}");

    // The room is taken when the file is begun, and what is promised is not counted twice then.
    let guard = lock(&repo, one.hash);
    let partial = repo.open_partial(&guard, &one).expect("there is room");
    let facts = partial.file().metadata().expect("it is open");
    assert_eq!(facts.len(), 0);
    assert!(facts.blocks() * 512 >= 600_000, "{facts:?}");
    let small = large("small", 4, 300_000);
    drop(
        repo.reserve(std::slice::from_ref(&small))
            .expect("there is room beside it"),
    );

    // Who has reserved nothing finds out too, and takes nothing from the others.
    let other = lock(&repo, three.hash);
    let error = repo
        .open_partial(&other, &three)
        .expect_err("there is no room");
    expect_no_space(error, 600_000, &repo);
    let left = std::fs::metadata(repo.partial(three.hash)).expect("it was begun");
    assert_eq!((left.len(), left.blocks()), (0, 0));

    // Cancelled after some bytes: the rest of the room is free again.
    partial
        .file()
        .write_all_at(&[1; 100_000], 0)
        .expect("its room is its own");
    drop(partial);
    drop(reserved);
    let kept = std::fs::metadata(repo.partial(one.hash)).expect("it is kept");
    assert_eq!(kept.len(), 100_000);
    assert!(kept.blocks() * 512 < 120_000, "{kept:?}");
    drop(
        repo.reserve(std::slice::from_ref(&three))
            .expect("there is room again"),
    );
    // To go on with it needs the rest only.
    drop(
        repo.reserve(&[large("x", 1, 1_000_000)])
            .expect("100,000 of it are there"),
    );

    // To the last byte: what is small says so too, and what was there stays.
    repo.write_ref("main", COMMIT).expect("there is room");
    let filler = repo.folder().join("filler");
    let file = std::fs::File::create(&filler).expect("there is room");
    let written = (0..).find(|page| file.write_all_at(&[1; 4096], page * 4096).is_err());
    assert!(written.is_some_and(|pages| pages > 10));
    let other = COMMIT.replace('0', "1");
    let error = repo
        .write_ref("main", &other)
        .expect_err("there is no room");
    assert_eq!(error.code(), "no-space", "{error}");
    let main = repo.resolve_ref("main").expect("it is readable");
    assert_eq!(main.as_deref(), Some(COMMIT));
}

#[test]
fn a_cache_that_may_only_be_read_is_read() {
    on_a_small_disk("read_only");
}

#[test]
#[ignore = "not a test of its own: it runs on a small disk"]
fn read_only() {
    let repo = disk();
    let sha256 = ContentHash::Sha256([0; 32]);
    let marked = plan("marked", b"marked", &sha256);
    let unmarked = plan("unmarked", b"unmarked", &sha256);
    for (plan, content) in [(&marked, &b"marked"[..]), (&unmarked, b"unmarked")] {
        put(&repo, plan, content);
        repo.link(COMMIT, plan).expect("it is linked");
    }
    repo.write_ref("main", COMMIT).expect("it is written");
    let mark = repo
        .folder()
        .join(".dataflow/verified")
        .join(unmarked.hash.to_string());
    std::fs::remove_file(mark).expect("it is there");
    let place = std::env::var(PLACE).expect("it runs on a small disk");
    let status = Command::new("mount")
        .args(["-o", "remount,ro", &place])
        .status();
    assert!(status.is_ok_and(|status| status.success()));

    assert_eq!(
        repo.blob(&marked).expect("it is readable"),
        BlobState::Verified
    );
    let path = repo.blob_path(unmarked.hash);
    let state = BlobState::Unverified { path };
    assert_eq!(repo.blob(&unmarked).expect("it is readable"), state);
    repo.mark_verified(&unmarked)
        .expect("it cannot be marked, and that is no error");
    repo.link(COMMIT, &unmarked).expect("it is linked");
    repo.write_ref("main", COMMIT).expect("it says so already");
    let main = repo.resolve_ref("main").expect("it is readable");
    assert_eq!(main.as_deref(), Some(COMMIT));
    let scan = repo.scan().expect("it is readable").expect("it is there");
    assert_eq!((scan.files, scan.verified_files), (2, 1));

    let new = plan("new", b"new", &sha256);
    for error in [
        repo.try_lock(new.hash)
            .map(drop)
            .expect_err("it is read-only"),
        repo.write_ref("other", COMMIT)
            .expect_err("it is read-only"),
        repo.link(
            COMMIT,
            &FilePlan {
                path: "copy".to_owned(),
                ..marked.clone()
            },
        )
        .expect_err("it is read-only"),
        repo.remove().map(drop).expect_err("it is read-only"),
    ] {
        assert_eq!(error.code(), "disk", "{error}");
        assert!(
            error.to_string().contains("Read-only file system"),
            "{error}"
        );
        assert!(error.to_string().contains(&place), "{error}");
    }
    assert_eq!(
        repo.blob(&marked).expect("it is readable"),
        BlobState::Verified
    );
}
