//! What lies in the cache may be anything: rubbish, folders, pipes, symlinks to precious files.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;

use dataflow_core::models::{FilePlan, Listing};
use rustix::fs::{CWD, FileType, Mode};

use super::super::*;
use super::admitting::{COMMIT, cache, fetch, lock, plan};

/// Puts each odd thing where a file should be, and does something with each.
fn with_each_odd_thing(place: &Path, precious: &Path, mut check: impl FnMut(&str)) {
    let parent = place.parent().unwrap();
    for odd in [
        "folder",
        "full folder",
        "symlink",
        "dangling symlink",
        "pipe",
        "socket",
        "hard link",
    ] {
        fs::create_dir_all(parent).unwrap();
        fs::write(precious, "precious").unwrap();
        match odd {
            "folder" => fs::create_dir(place).unwrap(),
            "full folder" => fs::create_dir_all(place.join("deep/down")).unwrap(),
            "symlink" => symlink(precious, place).unwrap(),
            "dangling symlink" => symlink("/no/such/file", place).unwrap(),
            "pipe" | "socket" => {
                let kind = match odd {
                    "pipe" => FileType::Fifo,
                    _ => FileType::Socket,
                };
                let mode = Mode::from_raw_mode(0o666);
                rustix::fs::mknodat(CWD, place, kind, mode, 0).unwrap();
            }
            _ => fs::hard_link(precious, place).unwrap(),
        }
        check(odd);
        assert_eq!(fs::read(precious).unwrap(), b"precious", "{odd}");
        match fs::symlink_metadata(place) {
            Ok(facts) if facts.is_dir() => fs::remove_dir_all(place).unwrap(),
            Ok(_) => fs::remove_file(place).unwrap(),
            Err(_) => {}
        }
    }
}

#[test]
fn a_blob_that_is_no_file_is_none_and_makes_way() {
    let (folder, repo) = cache();
    let precious = folder.path().join("precious");
    let plan = plan("x", b"12345");
    with_each_odd_thing(&repo.blob_path(plan.hash), &precious, |odd| {
        assert_eq!(repo.blob(&plan).unwrap(), BlobState::Missing, "{odd}");
        repo.mark_verified(&plan).unwrap_err();
        fetch(&repo, &plan, b"12345");
        assert_eq!(repo.blob(&plan).unwrap(), BlobState::Verified, "{odd}");
        assert!(
            fs::symlink_metadata(repo.blob_path(plan.hash))
                .unwrap()
                .is_file()
        );
    });
}

#[test]
fn a_partial_file_that_is_no_part_of_the_file_makes_way() {
    let (folder, repo) = cache();
    let precious = folder.path().join("precious");
    let plan = plan("x", b"12345");
    with_each_odd_thing(&repo.partial(plan.hash), &precious, |odd| {
        let guard = lock(&repo, &plan);
        let admitted = repo.admit(&guard, &plan);
        assert!(admitted.is_err(), "{odd}");
        drop(guard);
        fetch(&repo, &plan, b"12345");
        assert_eq!(repo.blob(&plan).unwrap(), BlobState::Verified, "{odd}");
        fs::remove_file(repo.blob_path(plan.hash)).unwrap();
    });
    let guard = lock(&repo, &plan);
    fs::write(repo.partial(plan.hash), "123456").unwrap();
    repo.admit(&guard, &plan).unwrap_err();
    let partial = repo.open_partial(&guard, &plan).unwrap();
    assert_eq!(partial.have_bytes(), 0, "longer than the file is rubbish");
}

#[test]
fn a_lock_file_may_hold_anything_and_must_be_a_file() {
    let (folder, repo) = cache();
    let plan = plan("x", b"12345");
    let locks = folder.path().join("hub/.locks/models--acme--tiny");
    let name = format!("{}.lock", plan.hash);
    fs::create_dir_all(&locks).unwrap();
    fs::write(locks.join(&name), [0xff; 100_000]).unwrap();
    fetch(&repo, &plan, b"12345");
    fs::remove_file(locks.join(&name)).unwrap();
    fs::create_dir(locks.join(&name)).unwrap();
    let error = repo.try_lock(plan.hash).unwrap_err();
    assert_eq!(error.code(), "disk");
    assert!(error.to_string().contains(&name), "{error}");
    fs::remove_dir(locks.join(&name)).unwrap();
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(CWD, locks.join(&name), FileType::Fifo, mode, 0).unwrap();
    let error = repo.try_lock(plan.hash).unwrap_err();
    assert_eq!(error.code(), "disk", "a pipe is nobody's lock: {error}");
    fs::remove_file(locks.join(&name)).unwrap();
    // What has another name too is somebody's.
    let precious = folder.path().join("precious");
    fs::write(&precious, "").unwrap();
    fs::set_permissions(&precious, fs::Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(&precious, locks.join(&name)).unwrap();
    drop(lock(&repo, &plan));
    let facts = fs::metadata(&precious).unwrap();
    assert_eq!(facts.permissions().mode() & 0o777, 0o600);
    fs::remove_dir_all(&locks).unwrap();
    symlink("/etc", &locks).unwrap();
    assert_eq!(repo.try_lock(plan.hash).unwrap_err().code(), "disk");
}

#[test]
fn marks_references_and_listings_that_are_rubbish_are_none_and_are_replaced() {
    let (_folder, repo) = cache();
    let file = plan("a/x", b"12345");
    fetch(&repo, &file, b"12345");
    let listing = Listing {
        commit: COMMIT.to_owned(),
        files: vec![file.clone()],
    };
    let ours = repo.folder().join(".dataflow");
    let mark = ours.join("verified").join(file.hash.to_string());
    let listed = ours.join("listings").join(format!("{COMMIT}.json"));
    let tree = repo.folder().join("trees").join(format!("{COMMIT}.json"));
    let main = repo.folder().join("refs/main");
    for path in [&listed, &tree, &main] {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
    }
    let one = |path: &str, hash: &str| {
        format!(
            "{{\"version\": 1, \"files\": [{{\"path\": \"{path}\", \"size\": 1, \"hash\": \"{hash}\"}}]}}"
        )
    };
    let hash = file.hash.to_string();
    for rubbish in [
        String::new(),
        "\0\0\0".to_owned(),
        "é".repeat(10),
        "[".repeat(1_000_000),
        COMMIT.to_uppercase(),
        "../../../etc/passwd".to_owned(),
        "9".repeat(200),
        "{\"version\": 2, \"files\": []}".to_owned(),
        "{\"version\": 1, \"files\": [{}]}".to_owned(),
        "{\"version\": 1, \"files\": [{\"path\": \"x\", \"size\": -1, \"hash\": \"\"}]}".to_owned(),
        one("../x", &hash),
        one("/etc/passwd", &hash),
        one("a//b", &hash),
        one("x", "../../x"),
        one("x", &hash[1..]),
        "{\"format_version\": 1, \"files\": {\"../x\": {\"size\": 1, \"blob_id\": \"\"}}}"
            .to_owned(),
        format!(
            "{{\"format_version\": 1, \"files\": {{\"../x\": {{\"size\": 1, \"blob_id\": \"{COMMIT}\"}}}}}}"
        ),
        format!(
            "{{\"format_version\": 1, \"files\": {{\"x\": {{\"size\": 1, \"blob_id\": \"{hash}\"}}}}}}"
        ),
    ] {
        for path in [&mark, &listed, &tree, &main] {
            fs::write(path, &rubbish).unwrap();
        }
        let what: String = rubbish.chars().take(80).collect();
        assert!(
            matches!(repo.blob(&file).unwrap(), BlobState::Unverified { .. }),
            "{what}"
        );
        assert_eq!(repo.listing(COMMIT).unwrap(), None, "{what}");
        assert_eq!(repo.resolve_ref("main").unwrap(), None, "{what}");
        let found = repo.scan().unwrap().unwrap();
        assert_eq!((found.files, found.verified_files), (1, 0), "{what}");

        repo.mark_verified(&file).unwrap();
        repo.write_listing(&listing).unwrap();
        repo.write_ref("main", COMMIT).unwrap();
        assert_eq!(repo.blob(&file).unwrap(), BlobState::Verified, "{what}");
        assert_eq!(
            repo.listing(COMMIT).unwrap().as_ref(),
            Some(&listing),
            "{what}"
        );
        assert_eq!(
            repo.resolve_ref("main").unwrap().as_deref(),
            Some(COMMIT),
            "{what}"
        );
    }
    // Larger than any listing: it is not read into memory.
    let huge = File::create(&listed).unwrap();
    huge.set_len(1 << 40).unwrap();
    fs::remove_file(&tree).unwrap();
    assert_eq!(repo.listing(COMMIT).unwrap(), None);
}

#[test]
fn a_listing_of_hundred_thousand_files_is_kept() {
    let (_folder, repo) = cache();
    let file = |number: u32| FilePlan {
        path: format!("shards/{number:06}.bin"),
        ..plan("", b"")
    };
    let listing = Listing {
        commit: COMMIT.to_owned(),
        files: (0..100_000).map(file).collect(),
    };
    repo.write_listing(&listing).unwrap();
    assert_eq!(repo.listing(COMMIT).unwrap(), Some(listing));
}

#[test]
fn symlinks_are_followed_into_the_store_that_python_shares_and_nowhere_else() {
    let (folder, repo) = cache();
    let content = b"shared by all repositories";
    let plan = plan("x", content);
    let name = plan.hash.to_string();
    let shared = folder.path().join("hub/blobs/ab");
    let xet = format!("ab{}", "0".repeat(62));
    fs::create_dir_all(&shared).unwrap();
    fs::create_dir_all(repo.folder().join("blobs")).unwrap();
    fs::write(shared.join(&xet), content).unwrap();
    let blob = repo.blob_path(plan.hash);
    symlink(format!("../../blobs/ab/{xet}"), &blob).unwrap();
    let unverified = BlobState::Unverified { path: blob.clone() };
    assert_eq!(repo.blob(&plan).unwrap(), unverified);
    let checked = repo
        .verify(&mut |_| std::ops::ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(
        (checked[0].path.as_str(), &checked[0].verdict),
        (name.as_str(), &Verdict::Right)
    );
    assert_eq!(repo.blob(&plan).unwrap(), BlobState::Verified);
    repo.link(COMMIT, &plan).unwrap();
    assert_eq!(fs::read(repo.snapshot(COMMIT).join("x")).unwrap(), content);

    let outside = folder.path().join("outside");
    fs::write(&outside, content).unwrap();
    for target in [
        outside.to_str().unwrap().to_owned(),
        "../../../outside".to_owned(),
        "../../blobs/ab/../../../outside".to_owned(),
        format!("../../blobs/cd/{xet}"),
        "../../blobs/ab/short".to_owned(),
        format!("../blobs/{name}"),
    ] {
        fs::remove_file(&blob).unwrap();
        symlink(&target, &blob).unwrap();
        assert_eq!(repo.blob(&plan).unwrap(), BlobState::Missing, "{target}");
    }
    // Nor further on from there.
    fs::remove_file(&blob).unwrap();
    symlink(format!("../../blobs/ab/{xet}"), &blob).unwrap();
    fs::remove_file(shared.join(&xet)).unwrap();
    symlink(&outside, shared.join(&xet)).unwrap();
    repo.blob(&plan).unwrap_err();
    // A removal takes the symlink, and not what all share.
    fs::remove_file(shared.join(&xet)).unwrap();
    fs::write(shared.join(&xet), content).unwrap();
    repo.remove().unwrap().unwrap();
    assert_eq!(fs::read(shared.join(&xet)).unwrap(), content);
}

#[test]
fn what_stands_in_a_links_place_is_replaced_and_no_folder_is_left_through_a_symlink() {
    let (folder, repo) = cache();
    let file = plan("deep/x", b"12345");
    fetch(&repo, &file, b"12345");
    let place = repo.snapshot(COMMIT).join("deep/x");
    fs::remove_file(&place).unwrap();
    let precious = folder.path().join("precious");
    with_each_odd_thing(&place, &precious, |odd| match odd {
        "folder" | "full folder" => {
            let error = repo.link(COMMIT, &file).unwrap_err();
            assert!(error.to_string().contains("deep/x"), "{error}");
        }
        _ => {
            repo.link(COMMIT, &file).unwrap();
            assert_eq!(fs::read(&place).unwrap(), b"12345");
        }
    });
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::remove_dir(repo.snapshot(COMMIT).join("deep")).unwrap();
    symlink(&outside, repo.snapshot(COMMIT).join("deep")).unwrap();
    let error = repo.link(COMMIT, &file).unwrap_err();
    assert!(error.to_string().contains("symlink"), "{error}");
    for name in [
        "refs",
        ".dataflow/partial",
        ".dataflow/listings",
        ".dataflow/quarantine",
    ] {
        let planted = repo.folder().join(name);
        let _ = fs::remove_dir_all(&planted);
        symlink(&outside, &planted).unwrap();
    }
    let other = plan("other", b"other");
    let guard = lock(&repo, &other);
    repo.write_ref("main", COMMIT).unwrap_err();
    repo.open_partial(&guard, &other).unwrap_err();
    repo.admit(&guard, &other).unwrap_err();
    let listing = Listing {
        commit: COMMIT.to_owned(),
        files: Vec::new(),
    };
    repo.write_listing(&listing).unwrap_err();
    let guard = lock(&repo, &file);
    repo.quarantine(&guard, Which::Blob, file.hash).unwrap_err();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_lock_is_good_for_its_own_file_only() {
    let (_folder, repo) = cache();
    let (one, other) = (plan("one", b"1"), plan("other", b"2"));
    let guard = lock(&repo, &one);
    repo.open_partial(&guard, &other).unwrap_err();
    repo.admit(&guard, &other).unwrap_err();
    repo.quarantine(&guard, Which::Partial, other.hash)
        .unwrap_err();
    let partial = repo.open_partial(&guard, &one).unwrap();
    partial.file().write_all_at(b"1", 0).unwrap();
    repo.admit(&guard, &one).unwrap();
}

#[test]
fn a_cache_that_cannot_be_made_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let hub = Cache::new(file.join("hub"));
    let repo = hub
        .repo(dataflow_ids::RepoKind::Model, "acme/tiny")
        .unwrap();
    let plan = plan("x", b"1");
    for error in [
        repo.try_lock(plan.hash).unwrap_err(),
        repo.reserve(std::slice::from_ref(&plan)).unwrap_err(),
        repo.blob(&plan).unwrap_err(),
        repo.write_ref("main", COMMIT).unwrap_err(),
        hub.scan().unwrap_err(),
    ] {
        assert_eq!(error.code(), "disk");
        assert!(
            error.to_string().contains(file.to_str().unwrap()),
            "{error}"
        );
        assert!(error.remedy().contains("HF_HOME"), "{}", error.remedy());
    }
}
