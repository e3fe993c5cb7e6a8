//! Stops: delivered after what counts, ahead of the queues with `now`, and never in the middle of a send.

use std::thread;
use std::time::{Duration, Instant};

use dataflow_ids::StopMode;
use dataflow_node::{Event, Metadata, Polled, SendError};
use dataflow_testkit::node::{Queue, TestRuntime};
use dataflow_wire::node::ToRuntime;

use crate::support::{message, pattern};

fn stop_delivered(runtime: &TestRuntime, node: &str) {
    runtime.hears(node, |said| {
        (*said == ToRuntime::StopDelivered).then_some(())
    });
}

#[test]
fn a_source_that_receives_gets_the_stop_at_once_and_may_still_send() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .timer("source", "tick", Duration::from_secs(3600))
        .edge("source/out", "sink/in", Queue::block(4));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    let receiver = thread::spawn(move || {
        assert!(matches!(source.recv(), Ok(Some(Event::Stop))));
        source.send("out", b"last", Metadata::new()).unwrap();
        assert!(matches!(source.recv(), Ok(None)), "nothing follows");
    });
    runtime.hears("source", |said| (*said == ToRuntime::Ready).then_some(()));
    runtime.stop("source", StopMode::Graceful, &[]);
    receiver.join().unwrap();
    assert_eq!(message(&mut sink).payload(), b"last");
    stop_delivered(&runtime, "source");
}

#[test]
fn a_source_that_never_receives_learns_of_the_stop_from_its_next_send_or_loan() {
    for by_loan in [false, true] {
        let runtime = TestRuntime::new()
            .node("source", &["out"])
            .node("sink", &[])
            .edge("source/out", "sink/in", Queue::drop_oldest(4));
        let sink = runtime.connect("sink");
        sink.ready();
        let mut source = runtime.connect("source");
        source.send("out", b"before", Metadata::new()).unwrap();
        runtime.stop("source", StopMode::Graceful, &[]);
        let error = loop {
            let result = if by_loan {
                source.loan("out", 1000).map(drop)
            } else {
                source.send("out", b"again", Metadata::new())
            };
            if let Err(error) = result {
                break error;
            }
        };
        assert!(matches!(error, SendError::Stopped { written: 0, .. }));
        stop_delivered(&runtime, "source");
        let sent = runtime.read(0).counts.sent;
        source.send("out", b"after", Metadata::new()).unwrap();
        assert_eq!(
            runtime.read(0).counts.sent,
            sent + 1,
            "the refused one was not counted"
        );
        assert!(
            matches!(source.recv(), Ok(None)),
            "it was delivered already"
        );
    }
}

#[test]
fn a_graceful_stop_does_not_interrupt_a_send_that_has_begun() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(1));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    let sender = thread::spawn(move || {
        for number in 0.. {
            if let Err(error) = source.send("out", pattern(number, 1000), Metadata::new()) {
                return (number, error);
            }
        }
        unreachable!("the stop ends it")
    });
    runtime.until_blocked(0);
    // The send that waits now has begun before the stop: it goes through.
    runtime.stop("source", StopMode::Graceful, &[]);
    let mut received = 0;
    while !sender.is_finished() {
        if let Polled::Event(Event::Input(input)) = sink.try_recv().unwrap() {
            assert!(input.payload() == pattern(received, 1000));
            received += 1;
        }
        thread::yield_now();
    }
    let (sent, error) = sender.join().unwrap();
    assert!(
        matches!(error, SendError::Stopped { written: 0, .. }),
        "{error}"
    );
    assert!(sent >= 2, "the one that waited was interrupted");
    for number in received..sent {
        assert!(message(&mut sink).payload() == pattern(number, 1000));
    }
    assert_eq!(runtime.read(0).counts.sent, sent as u64);
}

#[test]
fn a_stop_now_ends_a_send_that_waits_and_what_was_refused_is_not_counted() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("slow", &[])
        .node("quick", &[])
        .edge("source/out", "slow/in", Queue::block(1))
        .edge("source/out", "quick/in", Queue::block(4));
    let mut slow = runtime.connect("slow");
    slow.ready();
    let mut quick = runtime.connect("quick");
    quick.ready();
    let mut source = runtime.connect("source");
    let sender = thread::spawn(move || {
        source
            .send("out", pattern(0, 1000), Metadata::new())
            .unwrap();
        let result = source.send("out", pattern(1, 1000), Metadata::new());
        (result, source)
    });
    runtime.until_blocked(0);
    runtime.stop("source", StopMode::Now, &[]);
    let (result, mut source) = sender.join().unwrap();
    assert!(
        matches!(
            &result,
            Err(SendError::Stopped {
                written: 1,
                edges: 2,
                ..
            })
        ),
        "{result:?}"
    );
    stop_delivered(&runtime, "source");
    assert_eq!(runtime.read(0).counts.sent, 1);
    assert_eq!(runtime.read(1).counts.sent, 2);
    // The memory of the refused message is not lost: everything can still be released.
    for number in 0..2 {
        assert!(message(&mut quick).payload() == pattern(number, 1000));
    }
    assert!(message(&mut slow).payload() == pattern(0, 1000));
    source.send("out", b"room again", Metadata::new()).unwrap();
}

#[test]
fn a_stop_now_comes_ahead_of_the_queue() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(4));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    source.send("out", b"unread", Metadata::new()).unwrap();
    runtime.stop("sink", StopMode::Now, &[]);
    // The order may still be on its way: then the message comes first, and the stop after it.
    let first = sink.recv().unwrap().unwrap();
    if matches!(first, Event::Input(_)) {
        assert!(matches!(sink.recv(), Ok(Some(Event::Stop))));
    } else {
        assert!(matches!(first, Event::Stop));
        assert_eq!(runtime.read(0).counts.queued, 1);
    }
    assert!(matches!(sink.recv(), Ok(None)));
}

#[test]
fn a_stop_now_wakes_a_receiver_that_sleeps() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(4));
    let mut sink = runtime.connect("sink");
    let receiver = thread::spawn(move || matches!(sink.recv(), Ok(Some(Event::Stop))));
    runtime.until_idle(0);
    runtime.stop("sink", StopMode::Now, &[]);
    assert!(receiver.join().unwrap());
    stop_delivered(&runtime, "sink");
}

#[test]
fn a_member_of_a_cycle_gets_what_was_sent_before_the_stop_and_then_the_stop() {
    let runtime = TestRuntime::new()
        .node("a", &["out"])
        .node("b", &["out"])
        .edge("a/out", "b/in", Queue::block(8))
        .edge("b/out", "a/in", Queue::block(8));
    let mut a = runtime.connect("a");
    let mut b = runtime.connect("b");
    b.ready();
    for number in 0..5 {
        a.send("out", pattern(number, 300), Metadata::new())
            .unwrap();
    }
    assert!(message(&mut b).payload() == pattern(0, 300));
    runtime.stop("b", StopMode::Graceful, &[(0, 3)]);
    // The rest up to the limit, then the stop; what was sent after it stays in the queue.
    let mut seen = 1;
    loop {
        match b.recv().unwrap().unwrap() {
            Event::Input(input) => {
                seen += 1;
                assert_eq!(input.sequence().0, seen);
            }
            Event::Stop => break,
            other => panic!("{other:?}"),
        }
    }
    // The order travels beside the messages, so it may come late; it never comes early.
    assert!(seen >= 3, "{seen}");
    assert_eq!(runtime.read(0).counts.queued, 5 - seen);
    stop_delivered(&runtime, "b");
}

#[test]
fn edges_that_the_stop_does_not_name_are_delivered_whole() {
    let runtime = TestRuntime::new()
        .node("outer", &["out"])
        .node("loop", &["out"])
        .edge("outer/out", "loop/outer", Queue::block(8))
        .edge("loop/out", "loop/inner", Queue::block(8));
    let mut member = runtime.connect("loop");
    member.ready();
    let mut outer = runtime.connect("outer");
    runtime.stop("loop", StopMode::Graceful, &[(1, 0)]);
    for number in 0..3 {
        outer
            .send("out", pattern(number, 10), Metadata::new())
            .unwrap();
    }
    for number in 0..3 {
        assert!(message(&mut member).payload() == pattern(number, 10));
    }
    assert!(matches!(member.try_recv(), Ok(Polled::Nothing)));
    runtime.close(0);
    assert!(matches!(member.recv(), Ok(Some(Event::InputClosed(_)))));
    assert!(matches!(member.recv(), Ok(Some(Event::Stop))));
}

#[test]
fn who_receives_no_more_learns_of_the_stop_from_the_next_send() {
    for closed in [false, true] {
        let runtime = TestRuntime::new()
            .node("first", &["out"])
            .node("second", &["out"])
            .node("sink", &[])
            .edge("first/out", "second/in", Queue::block(4))
            .edge("second/out", "sink/in", Queue::drop_oldest(4));
        let sink = runtime.connect("sink");
        sink.ready();
        let (sends, mut receives) = runtime.connect("second").split();
        // It has received, and goes on as a source: without its receiving half, or past the end of its inputs.
        assert!(matches!(receives.try_recv(), Ok(Polled::Nothing)));
        let receives = if closed {
            runtime.close(0);
            assert!(matches!(receives.recv(), Ok(Some(Event::InputClosed(_)))));
            assert!(matches!(receives.recv(), Ok(Some(Event::AllInputsClosed))));
            Some(receives)
        } else {
            drop(receives);
            None
        };
        sends.send("out", b"before", Metadata::new()).unwrap();
        runtime.stop("second", StopMode::Graceful, &[]);
        let until = Instant::now() + Duration::from_secs(20);
        let error = loop {
            match sends.send("out", b"again", Metadata::new()) {
                Ok(()) => assert!(Instant::now() < until, "it never learns"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, SendError::Stopped { .. }), "{error}");
        stop_delivered(&runtime, "second");
        drop(receives);
    }
}
