//! The conversation about drop tokens: answered at once whatever the user's code does, and unasked at the last
//! release.

use std::thread;

use dataflow_ids::{EdgeId, Epoch, SegmentId, Sequence};
use dataflow_node::Metadata;
use dataflow_testkit::node::{Queue, TestRuntime};
use dataflow_wire::node::{ToNode, ToRuntime};

use crate::support::message;

/// One acknowledgement, without its times.
#[derive(Debug, PartialEq, Eq)]
struct Ack {
    released_upto: u64,
    queued: u64,
    held: Vec<u64>,
}

fn acks(runtime: &TestRuntime, node: &str) -> Vec<Ack> {
    runtime.heard(node).iter().filter_map(ack).collect()
}

fn ack(said: &ToRuntime) -> Option<Ack> {
    match said {
        ToRuntime::ReleaseAck {
            released_upto,
            queued,
            held,
            ..
        } => Some(Ack {
            released_upto: released_upto.0,
            queued: *queued,
            held: held.iter().map(|held| held.0).collect(),
        }),
        _ => None,
    }
}

fn request(edge: u32, epoch: u32, upto: u64) -> ToNode {
    ToNode::ReleaseRequest {
        edge: EdgeId(edge),
        epoch: Epoch(epoch),
        upto: Sequence(upto),
        attempt: 1,
    }
}

fn until_acks(runtime: &TestRuntime, node: &str, count: usize) {
    let mut seen = 0;
    runtime.hears(node, |said| {
        // Called for each thing said, from the first one on, at every look.
        if matches!(said, ToRuntime::Ready) {
            seen = 0;
        }
        seen += usize::from(ack(said).is_some());
        (seen >= count).then_some(())
    });
}

fn held_dataflow() -> TestRuntime {
    TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(8))
}

#[test]
fn a_request_is_answered_while_the_users_code_runs_and_again_unasked_at_the_last_release() {
    let runtime = held_dataflow();
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    for number in 0..4 {
        source.send("out", [number; 5000], Metadata::new()).unwrap();
    }
    let (first, second) = (message(&mut sink), message(&mut sink));
    assert_eq!(runtime.close(0), 4);
    // From here on this thread is "the user's code": it does not call the library.
    runtime.tell("sink", &request(0, 1, 4));
    until_acks(&runtime, "sink", 1);
    assert_eq!(
        acks(&runtime, "sink"),
        [Ack {
            released_upto: 0,
            queued: 2,
            held: vec![1, 2]
        }]
    );
    let (third, fourth) = (message(&mut sink), message(&mut sink));
    drop(first);
    drop(third);
    drop(second);
    assert_eq!(acks(&runtime, "sink").len(), 1, "one is still held");
    // The last one goes on a thread that never had to do with the library.
    thread::spawn(move || drop(fourth)).join().unwrap();
    until_acks(&runtime, "sink", 2);
    assert_eq!(
        acks(&runtime, "sink")[1],
        Ack {
            released_upto: 4,
            queued: 0,
            held: vec![]
        }
    );
    assert!(runtime.read(0).counts.balances());
}

#[test]
fn a_request_for_what_is_released_already_is_answered_once() {
    let runtime = held_dataflow();
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    source.send("out", [1; 5000], Metadata::new()).unwrap();
    drop(message(&mut sink));
    runtime.close(0);
    for repeat in 1..=3 {
        runtime.tell("sink", &request(0, 1, 1));
        until_acks(&runtime, "sink", repeat);
    }
    for ack in acks(&runtime, "sink") {
        assert_eq!((ack.released_upto, ack.queued), (1, 0));
        assert!(ack.held.is_empty());
    }
}

#[test]
fn a_request_for_another_incarnation_is_ignored() {
    let runtime = held_dataflow();
    let sink = runtime.connect("sink");
    sink.ready();
    runtime.tell("sink", &request(0, 7, 1));
    runtime.tell("sink", &request(0, 1, 0));
    until_acks(&runtime, "sink", 1);
    assert_eq!(acks(&runtime, "sink").len(), 1);
}

#[test]
fn a_node_that_was_dropped_still_answers_for_what_is_held() {
    let runtime = held_dataflow();
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    source.send("out", [1; 5000], Metadata::new()).unwrap();
    let held = message(&mut sink);
    drop(sink);
    drop(source);
    runtime.close(0);
    runtime.tell("sink", &request(0, 1, 1));
    until_acks(&runtime, "sink", 1);
    assert_eq!(held.payload(), [1; 5000], "it is still there");
    drop(held);
    until_acks(&runtime, "sink", 2);
    assert_eq!(acks(&runtime, "sink")[1].released_upto, 1);
}

#[test]
fn a_retired_segment_is_unmapped_when_its_last_message_goes_and_that_is_said() {
    let runtime = held_dataflow();
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    source.send("out", [1; 5000], Metadata::new()).unwrap();
    let held = message(&mut sink);
    let segment: SegmentId = runtime.hears("source", |said| match said {
        ToRuntime::SegmentCreated { segment, .. } => Some(*segment),
        _ => None,
    });
    runtime.tell("sink", &ToNode::SegmentRetire { segment });
    // Answered after the retirement, so it has been handled by then.
    runtime.tell("sink", &request(0, 1, 1));
    until_acks(&runtime, "sink", 1);
    let unmapped = ToRuntime::SegmentUnmapped { segment };
    assert!(!runtime.heard("sink").contains(&unmapped));
    assert_eq!(held.payload(), [1; 5000]);
    drop(held);
    runtime.hears("sink", |said| (*said == unmapped).then_some(()));
    until_acks(&runtime, "sink", 2);
}
