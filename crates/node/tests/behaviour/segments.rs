//! Segments that do not come to a receiver: the input ends with an error, and nothing stays owed.

use std::thread;

use dataflow_ids::{EdgeId, Epoch, Sequence, StopMode};
use dataflow_node::{Event, Metadata, Node, Polled};
use dataflow_testkit::node::{Handing, Queue, TestRuntime};
use dataflow_wire::node::{ToNode, ToRuntime};

fn dataflow(handing: Handing) -> (TestRuntime, Node) {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(4));
    runtime.hand(handing);
    let sink = runtime.connect("sink");
    sink.ready();
    runtime
        .connect("source")
        .send("out", [1; 5000], Metadata::new())
        .unwrap();
    (runtime, sink)
}

fn ends(runtime: &TestRuntime, sink: thread::JoinHandle<(Node, Option<Event>)>, why: &str) {
    let what = runtime.hears("sink", |said| match said {
        ToRuntime::EdgeDamaged { what, .. } => Some(what.clone()),
        _ => None,
    });
    assert!(what.contains(why), "{what}");
    let (_sink, event) = sink.join().unwrap();
    assert!(matches!(event, Some(Event::InputClosed(_))), "{event:?}");
    let counts = runtime.read(0).counts;
    assert_eq!((counts.delivered, counts.released), (1, 1));
}

fn receive(mut sink: Node) -> thread::JoinHandle<(Node, Option<Event>)> {
    thread::spawn(move || {
        let event = sink.recv().unwrap();
        (sink, event)
    })
}

#[test]
fn a_message_whose_segment_never_came_ends_its_input_once_its_sender_has_ended() {
    let (runtime, sink) = dataflow(Handing::Nothing);
    let sink = receive(sink);
    assert_eq!(runtime.close(0), 1);
    runtime.reaped("source");
    ends(&runtime, sink, "never handed over");
    // The runtime hears that nothing is owed any more.
    let request = ToNode::ReleaseRequest {
        edge: EdgeId(0),
        epoch: Epoch(1),
        upto: Sequence(1),
        attempt: 1,
    };
    runtime.tell("sink", &request);
    runtime.hears("sink", |said| match said {
        ToRuntime::ReleaseAck {
            released_upto: Sequence(1),
            queued: 0,
            held,
            ..
        } if held.is_empty() => Some(()),
        _ => None,
    });
}

#[test]
fn a_segment_that_cannot_be_taken_ends_the_input_that_needs_it() {
    let (runtime, sink) = dataflow(Handing::Garbled);
    ends(&runtime, receive(sink), "refused");
}

#[test]
fn a_stop_that_comes_ahead_of_the_queue_waits_for_the_message_that_was_taken() {
    let (runtime, sink) = dataflow(Handing::Nothing);
    let sink = receive(sink);
    // Taken from the queue; its segment is on its way.
    while runtime.read(0).counts.delivered == 0 {
        thread::yield_now();
    }
    runtime.stop("sink", StopMode::Now, &[]);
    runtime.close(0);
    runtime.reaped("source");
    // It does not come; had it come, the message would have. Only then the stop.
    let (mut sink, first) = sink.join().unwrap();
    assert!(matches!(first, Some(Event::InputClosed(_))), "{first:?}");
    assert!(matches!(sink.recv(), Ok(Some(Event::Stop))));
}

#[test]
fn a_message_whose_segment_never_came_ends_its_input_once_its_incarnation_has_ended() {
    let (runtime, mut sink) = dataflow(Handing::Nothing);
    assert!(matches!(sink.try_recv(), Ok(Polled::Nothing)), "it waits");
    runtime.reaped("source");
    // The next incarnation sends, and has no segment to hand over.
    let mut source = runtime.connect("source");
    source.send("out", b"inline", Metadata::new()).unwrap();
    ends(&runtime, receive(sink), "never handed over");
}

#[test]
fn who_connects_after_that_incarnation_does_not_wait_for_its_segments_either() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(4));
    runtime.hand(Handing::Nothing);
    runtime.connect("sink").ready();
    let mut source = runtime.connect("source");
    source.send("out", [1; 5000], Metadata::new()).unwrap();
    drop(source);
    runtime.reaped("sink");
    runtime.reaped("source");
    ends(
        &runtime,
        receive(runtime.connect("sink")),
        "never handed over",
    );
}
