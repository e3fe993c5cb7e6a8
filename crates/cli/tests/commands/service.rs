//! `dataflow agent` as a service: how it begins, and what it tells its supervisor.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::agent::Agent;
use crate::ground::{Ground, Running, said, wait_until};

/// How long anything is waited for before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a word of the agent that has a line with this beginning and this end.
fn hear(socket: &UnixDatagram, begins: &str, ends: &str) -> String {
    let begun = Instant::now();
    let mut bytes = [0; 4096];
    loop {
        // Its beats go on, so that a word that never comes is not told by silence.
        assert!(begun.elapsed() < PATIENCE, "never told: {begins}…{ends}");
        let length = socket.recv(&mut bytes).unwrap();
        let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
        if (text.lines()).any(|said| said.starts_with(begins) && said.ends_with(ends)) {
            return text;
        }
    }
}

#[test]
fn a_supervisor_is_told_that_the_agent_is_ready_how_it_stands_that_it_lives_and_that_it_stops() {
    let ground = Ground::with_shell("exec sleep 1000");
    let path = ground.runtime_folder().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut agent = Agent::start_with(&ground, |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    let ready = hear(&socket, "READY=1", "");
    assert!(
        ready.contains("STATUS=1 peer: 1 degraded; 0 dataflows"),
        "{ready}"
    );
    // Again and again, for as long as the control loop runs.
    for _ in 0..3 {
        hear(&socket, "WATCHDOG=1", "");
    }
    assert!(
        ground
            .dataflow(["up", "-d", "flow.yml"])
            .status()
            .unwrap()
            .success()
    );
    hear(&socket, "STATUS=1 peer: ", "; 1 dataflow");
    agent.process.signal(Signal::TERM);
    hear(&socket, "STOPPING=1", "");
    assert_eq!(agent.process.wait(), Some(0));
}

#[test]
fn a_supervisor_that_takes_nothing_keeps_the_agent_from_nothing() {
    let ground = Ground::new();
    let path = ground.runtime_folder().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    // Until nothing more goes in.
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send_to(b"x", &path).is_ok() {}
    let mut agent = Agent::start_with(&ground, |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    assert!(ground.dataflow(["peers"]).status().unwrap().success());
    agent.process.signal(Signal::TERM);
    assert_eq!(agent.process.wait(), Some(0));
    drop(socket);
}

#[test]
fn a_reader_that_takes_nothing_keeps_the_agent_from_nothing() {
    let ground = Ground::new();
    let peers = "peers:\n  - { id: a, address: \"127.0.0.1:9\" }\n";
    fs::write(ground.project().join("peers.yaml"), peers).unwrap();
    // Full, so that not one byte more goes in.
    let (_reader, full) = rustix::pipe::pipe().unwrap();
    rustix::io::ioctl_fionbio(&full, true).unwrap();
    while rustix::io::write(&full, &[b'x'; 4096]).is_ok() {}
    while rustix::io::write(&full, b"x").is_ok() {}
    rustix::io::ioctl_fionbio(&full, false).unwrap();
    let mut command = ground.dataflow(["agent", "--peers", "peers.yaml", "--node", "a"]);
    command.args(["--listen", "127.0.0.1:0", "--json"]);
    let mut agent = Running::start(command.stdout(full));
    wait_until("it answers", || {
        ground
            .dataflow(["peers"])
            .output()
            .unwrap()
            .status
            .success()
    });
    agent.signal(Signal::TERM);
    assert_eq!(agent.wait(), Some(0));
}

#[test]
fn a_second_agent_of_a_user_is_told_who_the_first_is() {
    let ground = Ground::new();
    let agent = Agent::start(&ground);
    let second = ground
        .dataflow(["agent", "--peers", "peers.yaml", "--node", "b"])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2), "{}", said(&second));
    assert!(
        said(&second).contains(&format!("pid {}", agent.pid())),
        "{}",
        said(&second)
    );
}

#[test]
fn an_agent_does_not_begin_with_a_wrong_file_a_wrong_id_or_a_key_that_others_can_read() {
    let ground = Ground::new();
    let file = ground.project().join("peers.yaml");
    let agent = |id: &str| {
        let output = ground
            .dataflow(["agent", "--peers", "peers.yaml", "--node", id])
            .output();
        let output = output.unwrap();
        (output.status.code(), said(&output))
    };
    let (code, text) = agent("a");
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("peers.yaml"), "{text}");
    fs::write(
        &file,
        "peers:\n  - { id: a, address: nowhere }\n  - { id: a, adress: x }\n",
    )
    .unwrap();
    let (code, text) = agent("a");
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("peers.yaml:2") && text.contains("peers.yaml:3"),
        "{text}"
    );
    fs::write(
        &file,
        "peers:\n  - { id: gpu-a, address: \"127.0.0.1:9\" }\n",
    )
    .unwrap();
    let (code, text) = agent("gpu-b");
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("did you mean `--node gpu-a`?"), "{text}");
    let key = ground.config_folder().join("dataflow/identity.pem");
    assert!(!key.exists(), "a key is made for an agent that can begin");
    assert!(ground.dataflow(["peers", "id"]).status().unwrap().success());
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (code, text) = agent("gpu-a");
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("chmod 600"), "{text}");
}

#[test]
fn who_asks_for_peers_without_an_agent_is_told_how_to_start_one() {
    let ground = Ground::new();
    for arguments in [&["peers"][..], &["peers", "--json"], &["graph", "--peers"]] {
        let output = ground.dataflow([]).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(
            said(&output).contains("dataflow agent --peers"),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn the_unit_that_is_in_the_repository_is_one_that_systemd_takes() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        // Not through `eprintln!`, which is shown for tests that fail alone.
        let skipped =
            "**** SKIPPED: systemd-analyze is not on this machine, the unit was not checked";
        let _ = writeln!(std::io::stderr(), "{skipped}");
        return;
    }
    let unit = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/systemd/dataflow-agent.service"
    );
    let text = fs::read_to_string(unit).unwrap();
    assert!(text.contains("Type=notify") && text.contains("WatchdogSec="));
    // It is looked whether the program is there.
    let text = text.replace("/usr/local/bin/dataflow", env!("CARGO_BIN_EXE_dataflow"));
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("dataflow-agent.service");
    fs::write(&copy, text).unwrap();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--user"])
        .arg(&copy)
        .env("XDG_RUNTIME_DIR", place.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        !said(&output).contains("dataflow-agent.service"),
        "{}",
        said(&output)
    );
}
