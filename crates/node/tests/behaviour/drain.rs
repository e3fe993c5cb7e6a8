//! The conversation about drop tokens: answered at once whatever the user's code does, and unasked at the last
//! release.

use std::thread;

use dataflow_ids::{EdgeId, Epoch, SegmentId, Sequence};
use dataflow_node::Metadata;
use dataflow_wire::node::{ToNode, ToRuntime};

use crate::world::{Edge, World, message};

/// One acknowledgement, without its times.
#[derive(Debug, PartialEq, Eq)]
struct Ack {
    released_upto: u64,
    queued: u64,
    held: Vec<u64>,
}

fn acks(world: &World, node: &str) -> Vec<Ack> {
    world.heard(node).iter().filter_map(ack).collect()
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

fn until_acks(world: &World, node: &str, count: usize) {
    let mut seen = 0;
    world.hears(node, |said| {
        // Called for each thing said, from the first one on, at every look.
        if matches!(said, ToRuntime::Ready) {
            seen = 0;
        }
        seen += usize::from(ack(said).is_some());
        (seen >= count).then_some(())
    });
}

fn held_dataflow() -> World {
    World::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Edge::block(8))
}

#[test]
fn a_request_is_answered_while_the_users_code_runs_and_again_unasked_at_the_last_release() {
    let world = held_dataflow();
    let mut sink = world.connect("sink");
    sink.ready();
    let mut source = world.connect("source");
    for number in 0..4 {
        source.send("out", [number; 5000], Metadata::new()).unwrap();
    }
    let (first, second) = (message(&mut sink), message(&mut sink));
    assert_eq!(world.close(0), 4);
    // From here on this thread is "the user's code": it does not call the library.
    world.tell("sink", &request(0, 1, 4));
    until_acks(&world, "sink", 1);
    assert_eq!(
        acks(&world, "sink"),
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
    assert_eq!(acks(&world, "sink").len(), 1, "one is still held");
    // The last one goes on a thread that never had to do with the library.
    thread::spawn(move || drop(fourth)).join().unwrap();
    until_acks(&world, "sink", 2);
    assert_eq!(
        acks(&world, "sink")[1],
        Ack {
            released_upto: 4,
            queued: 0,
            held: vec![]
        }
    );
    assert!(world.read(0).counts.balances());
}

#[test]
fn a_request_for_what_is_released_already_is_answered_once() {
    let world = held_dataflow();
    let mut sink = world.connect("sink");
    sink.ready();
    let mut source = world.connect("source");
    source.send("out", [1; 5000], Metadata::new()).unwrap();
    drop(message(&mut sink));
    world.close(0);
    for repeat in 1..=3 {
        world.tell("sink", &request(0, 1, 1));
        until_acks(&world, "sink", repeat);
    }
    for ack in acks(&world, "sink") {
        assert_eq!((ack.released_upto, ack.queued), (1, 0));
        assert!(ack.held.is_empty());
    }
}

#[test]
fn a_request_for_another_incarnation_is_ignored() {
    let world = held_dataflow();
    let sink = world.connect("sink");
    sink.ready();
    world.tell("sink", &request(0, 7, 1));
    world.tell("sink", &request(0, 1, 0));
    until_acks(&world, "sink", 1);
    assert_eq!(acks(&world, "sink").len(), 1);
}

#[test]
fn a_node_that_was_dropped_still_answers_for_what_is_held() {
    let world = held_dataflow();
    let mut sink = world.connect("sink");
    sink.ready();
    let mut source = world.connect("source");
    source.send("out", [1; 5000], Metadata::new()).unwrap();
    let held = message(&mut sink);
    drop(sink);
    drop(source);
    world.close(0);
    world.tell("sink", &request(0, 1, 1));
    until_acks(&world, "sink", 1);
    assert_eq!(held.payload(), [1; 5000], "it is still there");
    drop(held);
    until_acks(&world, "sink", 2);
    assert_eq!(acks(&world, "sink")[1].released_upto, 1);
}

#[test]
fn a_retired_segment_is_unmapped_when_its_last_message_goes_and_that_is_said() {
    let world = held_dataflow();
    let mut sink = world.connect("sink");
    sink.ready();
    let mut source = world.connect("source");
    source.send("out", [1; 5000], Metadata::new()).unwrap();
    let held = message(&mut sink);
    let segment: SegmentId = world.hears("source", |said| match said {
        ToRuntime::SegmentCreated { segment, .. } => Some(*segment),
        _ => None,
    });
    world.tell("sink", &ToNode::SegmentRetire { segment });
    // Answered after the retirement, so it has been handled by then.
    world.tell("sink", &request(0, 1, 1));
    until_acks(&world, "sink", 1);
    let unmapped = ToRuntime::SegmentUnmapped { segment };
    assert!(!world.heard("sink").contains(&unmapped));
    assert_eq!(held.payload(), [1; 5000]);
    drop(held);
    world.hears("sink", |said| (*said == unmapped).then_some(()));
    until_acks(&world, "sink", 2);
}
