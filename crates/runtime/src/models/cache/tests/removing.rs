//! What is removed, and what never is.

use std::fs;
use std::os::unix::fs::symlink;

use dataflow_ids::RepoKind;

use super::super::*;
use super::admitting::{COMMIT, as_soon_as_free, cache, fetch, lock, plan};

const OTHER: &str = "ffffffffffffffffffffffffffffffffffffffff";

#[test]
fn removing_a_commit_keeps_what_another_one_uses() {
    let (_folder, repo) = cache();
    let (shared, own) = (plan("a/shared", b"12345"), plan("own", b"1234567"));
    fetch(&repo, &shared, b"12345");
    fetch(&repo, &own, b"1234567");
    repo.link(OTHER, &shared).unwrap();
    repo.write_ref("main", COMMIT).unwrap();
    repo.write_ref("v1", COMMIT).unwrap();
    repo.write_ref("other", OTHER).unwrap();

    assert_eq!(repo.remove_revision("nobody").unwrap(), None);
    let removed = as_soon_as_free(|| repo.remove_revision("v1"));
    let expected = Removed {
        commits: vec![COMMIT.to_owned()],
        files: 1,
        freed_bytes: 7,
    };
    assert_eq!(removed, Some(expected));
    assert!(!repo.snapshot(COMMIT).exists());
    assert!(!repo.blob_path(own.hash).exists());
    assert_eq!(
        fs::read(repo.snapshot(OTHER).join("a/shared")).unwrap(),
        b"12345"
    );
    assert_eq!(repo.resolve_ref("main").unwrap(), None);
    assert_eq!(repo.resolve_ref("other").unwrap().as_deref(), Some(OTHER));
    assert_eq!(repo.remove_revision(COMMIT).unwrap(), None);

    let removed = as_soon_as_free(|| repo.remove()).unwrap();
    assert_eq!((removed.files, removed.freed_bytes), (1, 5));
    assert!(!repo.folder().exists());
    assert_eq!(repo.remove().unwrap(), None);
}

#[test]
fn nothing_is_removed_while_somebody_fetches() {
    let (_folder, repo) = cache();
    let (done, coming) = (plan("done", b"12345"), plan("coming", b"1234567"));
    fetch(&repo, &done, b"12345");
    repo.write_ref("main", COMMIT).unwrap();
    let guard = lock(&repo, &coming);
    let _partial = repo.open_partial(&guard, &coming).unwrap();
    assert_eq!(repo.remove().unwrap_err().code(), "in-use");
    assert_eq!(repo.blob(&done).unwrap(), BlobState::Verified);
    assert_eq!(
        fs::read(repo.snapshot(COMMIT).join("done")).unwrap(),
        b"12345"
    );
    // A commit that does not have that file is nobody's.
    as_soon_as_free(|| repo.remove_revision("main")).unwrap();
}

#[test]
fn a_repository_of_more_files_than_a_process_may_open_is_removed() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const FILES: u64 = 1500;
    let (_folder, repo) = cache();
    let blobs = repo.folder().join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    let snapshot = repo.snapshot(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    for number in 0..FILES {
        let name = format!("{number:064x}");
        fs::write(blobs.join(&name), "12").unwrap();
        symlink(format!("../../blobs/{name}"), snapshot.join(&name)).unwrap();
    }
    let before = getrlimit(Resource::Nofile);
    let current = Some(before.current.unwrap_or(1024).min(1024));
    setrlimit(Resource::Nofile, Rlimit { current, ..before }).unwrap();
    let removed = repo.remove_revision(COMMIT);
    let rest = repo.remove();
    setrlimit(Resource::Nofile, before).unwrap();
    let removed = removed.unwrap().unwrap();
    assert_eq!((removed.files, removed.freed_bytes), (FILES, 2 * FILES));
    rest.unwrap().unwrap();
    assert!(!repo.folder().exists());
}

#[test]
fn no_name_leads_out_of_the_cache() {
    let (folder, repo) = cache();
    fetch(&repo, &plan("x", b"x"), b"x");
    let hub = Cache::new(folder.path().join("hub"));
    let outside = folder.path().join("outside");
    fs::create_dir_all(outside.join("snapshots").join(COMMIT)).unwrap();
    fs::write(outside.join("snapshots").join(COMMIT).join("precious"), "").unwrap();
    for name in [
        "..",
        "../outside",
        "/etc",
        "a/../../b",
        ".locks",
        "x/..",
        "",
        "a\0",
        "-x",
    ] {
        let error = hub.repo(RepoKind::Model, name).unwrap_err();
        assert_eq!(error.code(), "bad-name", "{name}");
    }
    for revision in [
        "..",
        "../../x",
        "../../../outside",
        "/etc/passwd",
        "a/../../b",
        "\0",
    ] {
        let error = repo.remove_revision(revision).unwrap_err();
        assert_eq!(error.code(), "bad-name", "{revision}");
        assert_eq!(repo.resolve_ref(revision).unwrap_err().code(), "bad-name");
        assert_eq!(
            repo.write_ref(revision, COMMIT).unwrap_err().code(),
            "bad-name"
        );
        assert_eq!(
            repo.write_ref("main", revision).unwrap_err().code(),
            "bad-name"
        );
        assert_eq!(repo.listing(revision).unwrap_err().code(), "bad-name");
        let file = plan(revision, b"x");
        assert_eq!(repo.link(COMMIT, &file).unwrap_err().code(), "bad-name");
        assert_eq!(
            repo.link(revision, &plan("x", b"x")).unwrap_err().code(),
            "bad-name"
        );
    }

    // And nothing that is planted does.
    symlink(&outside, hub.root().join("models--planted")).unwrap();
    let planted = hub.repo(RepoKind::Model, "planted").unwrap();
    assert_eq!(planted.remove().unwrap_err().code(), "disk");
    let whole = repo.folder();
    symlink(&outside, whole.join("snapshots").join(OTHER)).unwrap();
    symlink(
        outside.join("snapshots"),
        whole.join("snapshots").join(COMMIT).join("deep"),
    )
    .unwrap();
    symlink("/etc", whole.join("refs")).unwrap();
    symlink(&outside, whole.join("trees")).unwrap();
    repo.write_ref("main", COMMIT).unwrap_err();
    repo.remove().unwrap_err();
    fs::remove_file(whole.join("refs")).unwrap();
    fs::remove_file(whole.join("trees")).unwrap();
    as_soon_as_free(|| repo.remove()).unwrap();
    assert!(!whole.exists());
    assert!(
        outside
            .join("snapshots")
            .join(COMMIT)
            .join("precious")
            .exists()
    );
}
