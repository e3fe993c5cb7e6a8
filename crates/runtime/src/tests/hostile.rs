//! Nodes that do not keep to the conversation: refused by name, never believed, and nobody waits for them.

use dataflow_ids::{EdgeId, Epoch, LifeCycle, NodeIndex, SegmentId, Sequence, StopMode};
use dataflow_wire::frame::encode_frame;
use dataflow_wire::node::{NODE_PROTOCOL, ToRuntime};
use dataflow_wire::status::Outcome;

use super::support::Project;
use crate::RunEvent;
use crate::logs::LogStream;

/// A node that says what is in the file `words`, and then lives on and reads nothing.
const YAML: &str = "name: hostile\nnodes:\n  - id: liar\n    path: ./liar.sh\n    outputs: [out]\n";
const SAY: &str = "cat words >&$DATAFLOW_CONTROL_FD; echo said; exec sleep 1000";

fn project(words: &[u8]) -> Project {
    let project = Project::new();
    project.bash("liar.sh", SAY);
    std::fs::write(project.path("words"), words).unwrap();
    project
}

fn hello(protocol: u32) -> Vec<u8> {
    encode_frame(&ToRuntime::Hello {
        protocol,
        library: "a test".to_owned(),
        pid: 1,
    })
    .unwrap()
}

/// The dataflow fails, and the node's log says why.
fn is_refused(words: &[u8], why: &str) {
    let project = project(words);
    let started = project.start(YAML);
    let line = started.wait(|event| match event {
        RunEvent::Log {
            stream: LogStream::Runtime,
            line,
            ..
        } => Some(line.clone()),
        _ => None,
    });
    assert!(line.contains("liar") && line.contains(why), "{line}");
    let report = started.report();
    assert_eq!(report.outcome, Outcome::Failed, "{report:?}");
    assert!(report.because.contains("liar"), "{}", report.because);
}

#[test]
fn bytes_that_are_no_frame_are_refused() {
    is_refused(&[0xff; 64], "frame");
    is_refused(&[0, 0, 0, 0, 0, 1, 0, 0], "garbled");
}

#[test]
fn descriptors_that_do_not_come_are_refused() {
    let mut words = hello(NODE_PROTOCOL);
    words[4] = 2;
    is_refused(&words, "descriptors");
}

#[test]
fn another_version_is_refused_with_both_numbers() {
    is_refused(
        &hello(NODE_PROTOCOL + 1),
        "version 2 of the control protocol",
    );
}

#[test]
fn who_does_not_begin_with_hello_or_says_it_twice_is_refused() {
    is_refused(&encode_frame(&ToRuntime::Ready).unwrap(), "hello first");
    let twice = [hello(NODE_PROTOCOL), hello(NODE_PROTOCOL)].concat();
    is_refused(&twice, "hello twice");
}

#[test]
fn nobody_speaks_for_others() {
    let say = |frame: ToRuntime| [hello(NODE_PROTOCOL), encode_frame(&frame).unwrap()].concat();
    let segment = |node| SegmentId {
        node: NodeIndex(node),
        epoch: Epoch(1),
        number: 0,
    };
    let length = 4096;
    is_refused(
        &say(ToRuntime::SegmentCreated {
            segment: segment(7),
            length,
        }),
        "belongs to another",
    );
    is_refused(
        &say(ToRuntime::SegmentCreated {
            segment: segment(0),
            length,
        }),
        "without its descriptor",
    );
    is_refused(
        &say(ToRuntime::ReleaseAck {
            edge: EdgeId(3),
            epoch: Epoch(1),
            released_upto: Sequence(9),
            queued: 0,
            held: Vec::new(),
            busy_for: std::time::Duration::ZERO,
        }),
        "not its own",
    );
}

#[test]
fn a_node_that_never_reads_keeps_nobody_waiting() {
    let ready = encode_frame(&ToRuntime::Ready).unwrap();
    let project = project(&[hello(NODE_PROTOCOL), ready].concat());
    let started = project.start(YAML);
    started.wait(|event| match event {
        RunEvent::State { to, .. } if *to == LifeCycle::Ready => Some(()),
        _ => None,
    });
    started.controls.stop(StopMode::Graceful, None);
    let waiting = started.wait(|event| match event {
        RunEvent::Waiting(waiting) => Some(waiting[0].node.clone()),
        _ => None,
    });
    assert_eq!(waiting.as_str(), "liar");
    let client = crate::client::Client::connect(&project.found()[0]);
    let request = dataflow_wire::client::ClientRequest::Status;
    client.unwrap().request(&request).unwrap();
    started.controls.force(dataflow_ids::Forcer::DownForce);
    assert_eq!(started.report().outcome, Outcome::Forced);
}
