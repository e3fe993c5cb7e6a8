//! A cache that may only be read, and a disk that fills up while a file comes: each in a file system of its own.

use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use dataflow_testkit::hub::{FakeHub, Fault};
use rustix::fs::FallocateFlags;

use crate::support::{Site, content, detector, order, read};

const LARGE: usize = 2_000_000;
const FILE: &str = "model.safetensors";

/// Runs another test of this program where it may mount. Gives what it said, or `None` where nobody may.
fn mounted(script: &str, test: &str, hub: &FakeHub, folder: &std::path::Path) -> Option<String> {
    let run = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--map-root-user", "/bin/sh", "-c", script, "sh"])
            .arg(folder)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture"])
            .env("FETCHING_ENDPOINT", hub.endpoint())
            .env("FETCHING_CACHE", folder)
            .stdin(Stdio::null())
            .output()
    };
    if !run(script).is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: this user may not mount (`unshare --mount --map-root-user`)");
        return None;
    }
    let output = run(&format!("{script} && exec \"$@\"")).unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{}{}", said[0], said[1]);
    Some(said.concat())
}

fn site() -> Site {
    let mut site = Site::at(&std::env::var("FETCHING_ENDPOINT").unwrap());
    site.settings.cache = std::env::var_os("FETCHING_CACHE").unwrap().into();
    site
}

#[test]
fn a_cache_that_may_only_be_read_serves_what_is_right_in_it() {
    let hub = FakeHub::start([detector(LARGE)]).unwrap();
    let filled = Site::new(&hub);
    filled.fetch(order()).unwrap();
    // As Python leaves it: nobody says of the files that they are right.
    std::fs::remove_dir_all(filled.repo().join(".dataflow")).unwrap();
    let bind = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && shift";
    let there = "read_only::there_a_cache_may_only_be_read";
    if mounted(bind, there, &hub, filled.cache.path()).is_some() {
        assert_eq!(hub.transfers(FILE).len(), 1);
    }
}

#[test]
#[ignore = "what the test above starts"]
fn there_a_cache_may_only_be_read() {
    let mut site = site();
    let repo = site.settings.cache.join("models--acme--tiny-detector");
    std::fs::write(repo.join("x"), b"").expect_err("nothing can be written");
    let snapshot = site.fetch(order()).unwrap();
    assert_eq!(read(&snapshot, FILE), content(LARGE));
    site.settings.is_offline = true;
    assert_eq!(site.fetch(order()).unwrap(), snapshot);
    let mut other = order();
    other.spec.repo = "acme/other".to_owned();
    site.fetch(other).expect_err("it is not there");
}

#[test]
fn a_disk_that_fills_up_while_a_file_comes_is_said_and_what_has_come_stays() {
    let hub = FakeHub::start([]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=4m none \"$1\" && shift";
    mounted(
        mount,
        "read_only::there_a_disk_fills_up",
        &hub,
        folder.path(),
    );
}

#[test]
#[ignore = "what the test above starts"]
fn there_a_disk_fills_up() {
    let repository = detector(LARGE);
    let hash = repository.hash(FILE).unwrap();
    // A Hub of our own, which is silent in the middle until the disk is full, however late that is.
    let hub = FakeHub::start([repository]).unwrap();
    hub.script(
        FILE,
        1,
        Fault::Stall {
            after_bytes: 600_000,
        },
    );
    let mut site = site();
    site.settings.endpoint = hub.endpoint();
    site.limits.stall = Duration::from_secs(3600);
    let mut fetch = site.begin(order());
    fetch.wait_for(|progress| progress.files.iter().any(|file| file.done_bytes > 200_000));
    let partial = site
        .settings
        .cache
        .join("models--acme--tiny-detector/.dataflow/partial")
        .join(hash);
    // The room that was kept for it is lost, as on a file system that keeps none.
    let file = std::fs::File::options().write(true).open(&partial).unwrap();
    let (half, flags) = (
        LARGE as u64 / 2,
        FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
    );
    rustix::fs::fallocate(file.as_fd(), flags, half, LARGE as u64 - half).unwrap();
    let mut other = std::fs::File::create(site.settings.cache.join("other")).unwrap();
    while other.write_all(&[1; 4096]).is_ok() {}
    hub.release();
    let error = fetch.end().unwrap_err();
    assert_eq!(error.code(), "no-space", "{error}");
    let come = std::fs::read(&partial).unwrap();
    assert!(come.len() >= 200_000, "{} bytes stay", come.len());
    assert!(content(LARGE).starts_with(&come));
    drop(other);
    std::fs::remove_file(site.settings.cache.join("other")).unwrap();
    let snapshot = site.fetch(order()).unwrap();
    assert_eq!(read(&snapshot, FILE), content(LARGE));
}
