//! Runtimes that do not answer, or end without a last word.

use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use dataflow_ids::DataflowName;
use dataflow_wire::client::{CLIENT_PROTOCOL, ClientReply, ClientRequest};
use dataflow_wire::frame::{FrameReader, send};
use dataflow_wire::status::{Outcome, Report};
use rustix::process::Signal;

use crate::ground::{Ground, PlayedRun, Running, said};

/// The process of a played runtime.
fn process() -> Running {
    Running::start(Command::new("sleep").arg("1000"))
}

/// Waits for the next request.
fn next(reader: &mut FrameReader, socket: &UnixStream) -> ClientRequest {
    loop {
        if let Some((request, _)) = reader.next().unwrap() {
            return request;
        }
        reader.receive(socket).unwrap();
    }
}

/// Every conversation begins with it.
fn hear_hello(socket: &UnixStream) -> FrameReader {
    let mut reader = FrameReader::new();
    let hello = next(&mut reader, socket);
    assert!(matches!(hello, ClientRequest::Hello { .. }));
    reader
}

#[test]
fn a_runtime_that_does_not_answer_hides_no_other() {
    let ground = Ground::with_shell("sleep 1000");
    let mut up = Running::start(ground.dataflow(["up", "flow.yml"]).stdout(Stdio::null()));
    ground.wait_for_phase("running");
    // A connection is taken by the kernel, and nobody ever reads from it, as with a stopped process.
    let _silent = PlayedRun::begin(&ground, "silent", 4711);
    let output = ground.dataflow(["ps"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("flow running for"), "{text}");
    let line = text
        .lines()
        .find(|line| line.starts_with("silent"))
        .unwrap();
    assert!(
        line.contains("does not answer (pid 4711, run silent-1"),
        "{line}"
    );

    let output = ground.dataflow(["ps", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let runs: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(runs.len(), 2);
    assert!(
        runs.iter()
            .any(|run| run["name"] == "silent" && run["error"].is_string())
    );
    assert!(
        runs.iter()
            .any(|run| run["name"] == "flow" && run["phase"] == "running")
    );

    let down = ground.dataflow(["down", "flow"]).output().unwrap();
    assert!(down.status.success(), "{}", said(&down));
    assert_eq!(up.wait(), Some(0));
}

#[test]
fn a_runtime_of_another_version_hides_no_other_and_says_why() {
    let ground = Ground::with_shell("sleep 1000");
    let mut up = Running::start(ground.dataflow(["up", "flow.yml"]).stdout(Stdio::null()));
    ground.wait_for_phase("running");
    let played = PlayedRun::begin(&ground, "old", 4711);
    let runtime = std::thread::spawn(move || {
        let (socket, _) = played.listener.accept().unwrap();
        hear_hello(&socket);
        let reason = "this is another version".to_owned();
        send(&socket, &ClientReply::Refused { reason }, &[]).unwrap();
        played
    });
    let output = ground.dataflow(["ps"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("another version"),
        "{}",
        said(&output)
    );
    assert!(
        said(&output).contains("flow running for"),
        "{}",
        said(&output)
    );
    drop(runtime.join().unwrap());
    up.signal(Signal::TERM);
    assert_eq!(up.wait(), Some(0));
}

#[test]
fn down_takes_the_report_from_the_disk_when_it_was_not_told() {
    for (outcome, code) in [
        (Outcome::Drained, 0),
        (Outcome::Failed, 1),
        (Outcome::Forced, 3),
    ] {
        let ground = Ground::new();
        let process = process();
        let pid = u32::try_from(process.pid().as_raw_nonzero().get()).unwrap();
        let played = PlayedRun::begin(&ground, "flow", pid);
        let runtime = std::thread::spawn(move || {
            let (socket, _) = played.listener.accept().unwrap();
            let mut reader = hear_hello(&socket);
            let protocol = CLIENT_PROTOCOL;
            let is_agent = false;
            let welcome = ClientReply::Welcome {
                protocol,
                pid,
                is_agent,
            };
            send(&socket, &welcome, &[]).unwrap();
            let asked = next(&mut reader, &socket);
            assert!(matches!(asked, ClientRequest::Stop { .. }));
            // As when the report is too long for a frame: the conversation ends, then the report is written.
            drop(socket);
            let report = Report {
                name: DataflowName::new("flow").unwrap(),
                run: "flow-1".to_owned(),
                up_for: Duration::from_secs(1),
                stop_took: None,
                outcome,
                because: "stopped by `dataflow down`".to_owned(),
                forced: None,
                nodes: Vec::new(),
                edges: Vec::new(),
            };
            let text = serde_json::to_string(&report).unwrap();
            std::fs::write(played.folder.join("report.json"), text).unwrap();
            drop(process);
        });
        let output = ground.dataflow(["down", "flow"]).output().unwrap();
        runtime.join().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(
            said(&output).contains("flow ended after 1.0 s"),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn down_says_so_when_there_is_no_report() {
    let ground = Ground::new();
    let process = process();
    let pid = u32::try_from(process.pid().as_raw_nonzero().get()).unwrap();
    let played = PlayedRun::begin(&ground, "flow", pid);
    let runtime = std::thread::spawn(move || {
        let (socket, _) = played.listener.accept().unwrap();
        hear_hello(&socket);
        let protocol = CLIENT_PROTOCOL;
        let is_agent = false;
        let welcome = ClientReply::Welcome {
            protocol,
            pid,
            is_agent,
        };
        send(&socket, &welcome, &[]).unwrap();
        drop((socket, process));
    });
    let output = ground.dataflow(["down", "flow"]).output().unwrap();
    runtime.join().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("ended without a report"),
        "{}",
        said(&output)
    );
}
