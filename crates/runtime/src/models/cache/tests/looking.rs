//! What is said of a cache: its contents, and whether they are right.

use std::fs;
use std::ops::ControlFlow;

use dataflow_core::models::ContentHash;
use dataflow_ids::RepoKind;

use super::super::*;
use super::admitting::{COMMIT, cache, fetch, lock, plan};
use crate::models::ModelError;

const OTHER: &str = "ffffffffffffffffffffffffffffffffffffffff";

fn go_on(_: VerifyProgress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_scan_says_what_is_there_each_content_once() {
    let (folder, repo) = cache();
    let hub = Cache::new(folder.path().join("hub"));
    assert_eq!(hub.scan().unwrap(), CacheScan::default());
    let (one, two) = (plan("a/one", b"12345"), plan("two", b"1234567"));
    let copy = plan("copy", b"12345");
    fetch(&repo, &one, b"12345");
    fetch(&repo, &two, b"1234567");
    repo.link(COMMIT, &copy).unwrap();
    repo.link(OTHER, &one).unwrap();
    repo.write_ref("main", COMMIT).unwrap();
    repo.write_ref("refs/pr/1", COMMIT).unwrap();
    let unfinished = plan("three", &[0; 100]);
    let guard = lock(&repo, &unfinished);
    let partial = repo.open_partial(&guard, &unfinished).unwrap();
    std::io::Write::write_all(&mut partial.file(), &[0; 50]).unwrap();
    drop(partial);
    // What is no repository is none, and what is odd harms nobody.
    fs::create_dir(hub.root().join("blobs")).unwrap();
    fs::write(hub.root().join("CACHEDIR.TAG"), "").unwrap();
    fs::create_dir(hub.root().join("models--.--..")).unwrap();
    std::os::unix::fs::symlink("/etc", hub.root().join("datasets--planted")).unwrap();

    let scan = hub.scan().unwrap();
    let codes: Vec<&str> = scan.troubles.iter().map(ModelError::code).collect();
    assert_eq!(codes, ["disk", "bad-name"]);
    let [found] = &scan.repos[..] else {
        panic!("{scan:?}");
    };
    assert_eq!(
        (found.kind, found.repo.as_str()),
        (RepoKind::Model, "acme/tiny")
    );
    assert_eq!(
        (found.size_bytes, found.files, found.verified_files),
        (12, 2, 2)
    );
    assert!(found.partial_bytes > 0 && found.partial_bytes < 100_000);
    assert_eq!(found.quarantine_bytes, 0);
    assert!(found.last_used.is_some());
    let of = |commit: &str, refs: &[&str], files, size_bytes| CachedCommit {
        commit: commit.to_owned(),
        refs: refs.iter().map(|name| (*name).to_owned()).collect(),
        files,
        size_bytes,
    };
    let expected = [
        of(COMMIT, &["main", "refs/pr/1"], 3, 12),
        of(OTHER, &[], 1, 5),
    ];
    assert_eq!(found.commits, expected);
}

#[test]
fn verifying_finds_each_wrong_file_moves_it_away_and_marks_the_right_ones() {
    let (_folder, repo) = cache();
    let large = vec![3; 2_500_000];
    let (right, wrong) = (plan("right", &large), plan("deep/wrong", b"12345"));
    let gone = plan("gone", b"gone");
    for (plan, content) in [(&right, &large[..]), (&wrong, b"12345"), (&gone, b"gone")] {
        fetch(&repo, plan, content);
    }
    fs::write(repo.blob_path(wrong.hash), b"54321").unwrap();
    fs::remove_file(repo.blob_path(gone.hash)).unwrap();
    fs::remove_file(
        repo.folder()
            .join(".dataflow/verified")
            .join(right.hash.to_string()),
    )
    .unwrap();
    fs::write(repo.snapshot(COMMIT).join("copied"), "by who knows whom").unwrap();
    fs::write(repo.folder().join("blobs/what-is-this"), "").unwrap();

    // What is wrong is moved away when nobody has its lock.
    drop(lock(&repo, &wrong));
    let mut seen = Vec::new();
    let checked = repo
        .verify(&mut |progress| {
            seen.push((progress.done_bytes, progress.total_bytes));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(seen.len() > 3 && seen.is_sorted());
    assert_eq!(seen.last(), Some(&(2_500_005, 2_500_005)));
    let verdict = |path: &str| {
        let file = checked.iter().find(|file| file.path == path);
        file.unwrap_or_else(|| panic!("{path}: {checked:?}"))
            .verdict
            .clone()
    };
    assert_eq!(checked.len(), 5);
    assert_eq!(verdict("right"), Verdict::Right);
    assert_eq!(verdict("gone"), Verdict::Missing);
    assert_eq!(verdict("copied"), Verdict::Unknown);
    assert_eq!(verdict("what-is-this"), Verdict::Unknown);
    let Verdict::Wrong {
        expected,
        found,
        kept_aside: Some(kept_aside),
    } = verdict("deep/wrong")
    else {
        panic!("{checked:?}");
    };
    assert_eq!(expected, wrong.hash);
    assert_eq!(found, plan("", b"54321").hash);
    assert_eq!(fs::read(kept_aside).unwrap(), b"54321");
    assert_eq!(repo.blob(&wrong).unwrap(), BlobState::Missing);
    assert_eq!(repo.blob(&right).unwrap(), BlobState::Verified);
    let again = repo.verify(&mut go_on).unwrap();
    let missing = again.iter().filter(|file| file.verdict == Verdict::Missing);
    let missing: Vec<&str> = missing.map(|file| file.path.as_str()).collect();
    assert_eq!(missing, ["deep/wrong", "gone"]);
    fetch(&repo, &wrong, b"12345");
    let again = repo.verify(&mut go_on).unwrap();
    let is_wrong = |file: &&CheckedFile| matches!(file.verdict, Verdict::Wrong { .. });
    assert_eq!(again.iter().filter(is_wrong).count(), 0);
}

#[test]
fn a_wrong_file_stays_where_it_is_while_somebody_holds_its_lock() {
    let (_folder, repo) = cache();
    let wrong = plan("x", b"12345");
    fetch(&repo, &wrong, b"12345");
    // Within one tick of the clock that files are stamped with: it looks as it did.
    let blob = fs::File::options()
        .write(true)
        .open(repo.blob_path(wrong.hash))
        .unwrap();
    let stamp = blob.metadata().unwrap().modified().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&blob, b"54321", 0).unwrap();
    blob.set_modified(stamp).unwrap();
    let guard = lock(&repo, &wrong);
    let checked = repo.verify(&mut go_on).unwrap();
    let kept_aside = match &checked[0].verdict {
        Verdict::Wrong { kept_aside, .. } => kept_aside,
        verdict => panic!("{verdict:?}"),
    };
    assert_eq!(*kept_aside, None);
    drop(guard);
    // It is not used meanwhile, all the same: nothing says of it any more that it is right.
    assert!(matches!(
        repo.blob(&wrong).unwrap(),
        BlobState::Unverified { .. }
    ));
}

#[test]
fn verifying_ends_when_it_is_told_to() {
    let (_folder, repo) = cache();
    let large = vec![3; 5_000_000];
    fetch(&repo, &plan("x", &large), &large);
    let mut calls = 0;
    let ended = repo.verify(&mut |_| {
        calls += 1;
        ControlFlow::Break(())
    });
    assert_eq!(ended, Err(ModelError::Cancelled));
    assert_eq!(calls, 1);
}

#[test]
fn small_files_are_verified_as_git_names_them() {
    let (_folder, repo) = cache();
    let name = "ce013625030ba8dba906f756967f9e9ca394464a";
    fs::create_dir_all(repo.folder().join("blobs")).unwrap();
    fs::write(repo.folder().join("blobs").join(name), "hello\n").unwrap();
    let checked = repo.verify(&mut go_on).unwrap();
    assert_eq!(checked[0].verdict, Verdict::Right);
    assert!(matches!(name.parse(), Ok(ContentHash::GitSha1(_))));
}
