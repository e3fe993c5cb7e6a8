//! With a Hub that speaks https: it is trusted by what `SSL_CERT_FILE` says, and nobody is led away to plain http.

use std::path::Path;
use std::process::Command;

use dataflow_testkit::hub::{Encryption, FakeHub, Fault, Listener, Settings, Stage};

use crate::support::{Site, content, detector, order, read};

const LARGE: usize = 100_000;
/// Tells the process that fetches where the Hub is.
const ENDPOINT: &str = "DATAFLOW_TEST_ENDPOINT";

fn hub() -> FakeHub {
    let settings = Settings {
        encryption: Encryption::Tls,
        ..Settings::default()
    };
    FakeHub::start_with(settings, [detector(LARGE)]).unwrap()
}

/// Whom to trust is looked up in the environment of a process, so one of its own fetches: how it ends.
fn fetched(hub: &FakeHub, authority: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "encrypted::fetches_what_it_is_told",
            "--ignored",
            "--nocapture",
        ])
        .env("SSL_CERT_FILE", &file)
        .env_remove("SSL_CERT_DIR")
        .env(ENDPOINT, hub.endpoint())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let told = text.split("outcome: ").nth(1);
    let told = told.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    told.lines().next().unwrap().to_owned()
}

#[test]
#[ignore = "the tests here run it in a process of its own, with another environment"]
fn fetches_what_it_is_told() {
    let endpoint = std::env::var(ENDPOINT).unwrap();
    let outcome = match Site::at(&endpoint).with_token("secret").fetch(order()) {
        Ok(snapshot) => right(&snapshot).to_owned(),
        Err(error) => format!("{}: {error}", error.code()),
    };
    println!("outcome: {outcome}");
}

fn right(snapshot: &Path) -> &'static str {
    match read(snapshot, "model.safetensors") == content(LARGE) {
        true => "file",
        false => "another file",
    }
}

/// A Hub whose repository is for who has the token: it must arrive there, and nowhere else.
fn private() -> FakeHub {
    let hub = hub();
    hub.put(detector(LARGE).private_for("secret"));
    hub
}

#[test]
fn a_model_comes_over_https_from_who_is_trusted() {
    let hub = private();
    assert_eq!(fetched(&hub, hub.authority().unwrap()), "file");
    assert_eq!(hub.violations(), [""; 0]);
}

#[test]
fn who_is_not_trusted_gets_no_request() {
    let (hub, other) = (private(), private());
    let outcome = fetched(&hub, other.authority().unwrap());
    assert!(outcome.starts_with("server-gone: "), "{outcome}");
    assert!(outcome.contains("certificate"), "{outcome}");
    assert_eq!(hub.requests(), []);
}

#[test]
fn nobody_is_led_from_https_to_plain_http() {
    for stage in [Stage::Information, Stage::Resolve, Stage::Content] {
        let hub = private();
        hub.script(stage, .., Fault::RedirectToPlain);
        let outcome = fetched(&hub, hub.authority().unwrap());
        assert!(outcome.starts_with("bad-answer: "), "{outcome}");
        assert!(outcome.contains("plain http"), "{outcome}");
        assert_eq!(hub.connections(Listener::Plain), 0);
        assert_eq!(hub.violations(), [""; 0]);
    }
}
