//! In processes of their own: several that want the same, and one that trusts the fake Hub's authority.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use dataflow_testkit::hub::{Encryption, FakeHub, Fault, Listener, Settings};

use crate::support::{Site, content, detector, order, read};

const LARGE: usize = 2_000_000;
const FILE: &str = "model.safetensors";

/// Fetches in another process: this program once more, with one test.
fn fetch(hub: &FakeHub, cache: &Path, certificate: Option<&Path>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "processes::the_other_process"])
        .args(["--ignored", "--nocapture"])
        .env("FETCHING_ENDPOINT", hub.endpoint())
        .env("FETCHING_CACHE", cache)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(certificate) = certificate {
        command.env("SSL_CERT_FILE", certificate);
    }
    command.spawn().unwrap()
}

/// How it ended there: `file`, or the code of an error.
fn end(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let end = said.lines().find_map(|line| line.split_once("end: "));
    end.unwrap_or_else(|| panic!("it said {said}")).1.to_owned()
}

#[test]
#[ignore = "what the other tests here start"]
fn the_other_process() {
    let mut site = Site::at(&std::env::var("FETCHING_ENDPOINT").unwrap());
    site.settings.cache = std::env::var_os("FETCHING_CACHE").unwrap().into();
    match site.fetch(order()) {
        Ok(snapshot) => {
            assert_eq!(read(&snapshot, FILE), content(LARGE));
            println!("end: file");
        }
        Err(error) => println!("end: {}", error.code()),
    }
}

#[test]
fn processes_that_want_the_same_at_once_make_one_transfer() {
    let hub = FakeHub::start([detector(LARGE)]).unwrap();
    hub.throttle(Some(4_000_000));
    let cache = tempfile::tempdir().unwrap();
    let children: Vec<Child> = (0..4).map(|_| fetch(&hub, cache.path(), None)).collect();
    for child in children {
        assert_eq!(end(child), "file");
    }
    assert_eq!(hub.transfers(FILE).len(), 1);
}

#[test]
fn over_tls_a_file_comes_and_nobody_is_led_down_to_plain_http() {
    let settings = Settings {
        encryption: Encryption::Tls,
        ..Settings::default()
    };
    let hub = FakeHub::start_with(settings, [detector(LARGE)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("authority.pem");
    std::fs::write(&certificate, hub.authority().unwrap()).unwrap();
    let one = folder.path().join("one");
    assert_eq!(end(fetch(&hub, &one, Some(&certificate))), "file");
    hub.script(FILE, .., Fault::RedirectToPlain);
    let two = folder.path().join("two");
    assert_eq!(end(fetch(&hub, &two, Some(&certificate))), "bad-answer");
    let three = folder.path().join("three");
    assert_eq!(end(fetch(&hub, &three, None)), "server-gone", "not trusted");
    let is_plain = |request: &&dataflow_testkit::hub::Request| request.listener == Listener::Plain;
    assert_eq!(hub.requests().iter().filter(is_plain).count(), 0);
}
