//! `dataflow peers id` and `peers pin`: the keys by which machines know each other.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use crate::agent::Agent;
use crate::ground::{Ground, Running, said};

fn id(ground: &Ground) -> String {
    let output = ground.dataflow(["peers", "id"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_key_is_made_once_and_for_nobody_else_to_read() {
    let ground = Ground::new();
    let first = id(&ground);
    assert!(first.starts_with("sha256:") && first.len() == 71, "{first}");
    assert_eq!(id(&ground), first);
    let key = ground.config_folder().join("dataflow/identity.pem");
    assert_eq!(fs::metadata(&key).unwrap().mode() & 0o7777, 0o600);
    let output = ground.dataflow(["peers", "id", "--json"]).output().unwrap();
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["fingerprint"], first);
    assert_eq!(object["file"], key.to_str().unwrap());
}

#[test]
fn the_key_that_a_peer_shows_is_recorded_and_everything_else_in_the_file_stays() {
    // One machine has the agent, the other asks it.
    let (there, here) = (Ground::new(), Ground::new());
    let agent = Agent::start(&there);
    let address = agent.address;
    let file = here.project().join("mine.yaml");
    let text = format!("# ours\npeers:\n  - id: a   # the lab\n    address: \"{address}\"\n");
    fs::write(&file, &text).unwrap();
    let pin = |arguments: &[&str]| {
        let mut command = here.dataflow(["peers", "pin", "--peers", "mine.yaml"]);
        let output = command.args(arguments).output().unwrap();
        (output.status.code(), said(&output))
    };
    // Nobody can be asked.
    let (code, said) = pin(&["a"]);
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let (code, said) = pin(&["c", "--yes"]);
    assert_eq!(code, Some(2), "{said}");

    let (code, said) = pin(&["a", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let key = id(&there);
    assert!(said.contains(&key), "{said}");
    let written = fs::read_to_string(&file).unwrap();
    assert!(
        written.starts_with("# ours\npeers:\n  - id: a   # the lab\n"),
        "{written}"
    );
    assert!(written.contains(&key), "{written}");
    let (code, said) = pin(&["--all", "--yes", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        serde_json::from_str::<Value>(&said).unwrap()["result"],
        "recorded-before"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), written);
}

#[test]
fn during_a_rotation_both_keys_are_there_and_afterwards_the_new_one() {
    let (there, here) = (Ground::new(), Ground::new());
    let agent = Agent::start(&there);
    let old = id(&here);
    let file = here.project().join("peers.yaml");
    let address = agent.address;
    let text = format!("peers:\n  - {{ id: a, address: \"{address}\", fingerprint: \"{old}\" }}\n");
    fs::write(&file, text).unwrap();
    let pin = |arguments: &[&str]| {
        let output = here
            .dataflow(["peers", "pin", "a", "--yes", "--json"])
            .args(arguments)
            .output();
        let object: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        object["fingerprints"].clone()
    };
    let new = id(&there);
    assert_eq!(pin(&["--rotate"]), serde_json::json!([new, old]));
    assert_eq!(pin(&[]), serde_json::json!([new]));
}

#[test]
fn a_peer_that_does_not_answer_is_said_and_the_others_are_recorded() {
    let (there, here) = (Ground::new(), Ground::new());
    let agent = Agent::start(&there);
    let address = agent.address;
    // Bound, and never read: nobody answers there, and nobody else gets the port.
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = nobody.local_addr().unwrap();
    let text = format!(
        "peers:\n  - {{ id: b, address: \"{silent}\" }}\n  - {{ id: a, address: \"{address}\" }}\n"
    );
    fs::write(here.project().join("peers.yaml"), text).unwrap();
    let output = here
        .dataflow(["peers", "pin", "--all", "--yes"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains(&format!("b at {silent} could not be asked")),
        "{}",
        said(&output)
    );
    assert!(
        said(&output).contains("a: recorded sha256:"),
        "{}",
        said(&output)
    );
}

/// What is shown at a terminal of its own to which this is typed.
fn at_a_terminal(mut command: Command, typed: &str) -> (Option<i32>, String) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = || {
        let mut options = fs::File::options();
        options.read(true).write(true).open(name.to_str().unwrap())
    };
    command
        .stdin(theirs().unwrap())
        .stdout(theirs().unwrap())
        .stderr(theirs().unwrap());
    let mut running = Running::start(&mut command);
    // It has the only other ends: they are closed when it ends.
    drop(command);
    let mut ours = fs::File::from(ours);
    ours.write_all(typed.as_bytes()).unwrap();
    let (mut shown, mut bytes) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = ours.read(&mut bytes) {
        shown.extend_from_slice(&bytes[..read]);
    }
    (running.wait(), String::from_utf8(shown).unwrap())
}

#[test]
fn at_a_terminal_the_key_is_shown_and_recorded_only_after_a_yes() {
    let (there, here) = (Ground::new(), Ground::new());
    let agent = Agent::start(&there);
    let address = agent.address;
    let file = here.project().join("peers.yaml");
    let text = format!("peers:\n  - {{ id: a, address: \"{address}\" }}\n");
    fs::write(&file, &text).unwrap();
    let key = id(&there);
    let pin = |typed| at_a_terminal(here.dataflow(["peers", "pin", "a"]), typed);
    for no in ["\n", "n\n", "yesterday\n", "\u{4}"] {
        let (code, shown) = pin(no);
        assert_eq!(code, Some(1), "{shown}");
        assert!(shown.contains(&key) && shown.contains("[y/N]"), "{shown}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "after {no:?}");
    }
    let (code, shown) = pin("y\n");
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains(&format!("a: recorded {key}")), "{shown}");
    assert!(fs::read_to_string(&file).unwrap().contains(&key));
}
