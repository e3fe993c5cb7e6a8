//! Stops: delivered after what counts, ahead of the queues with `now`, and never in the middle of a send.

use std::thread;
use std::time::{Duration, Instant};

use dataflow_ids::StopMode;
use dataflow_node::{Event, Metadata, Polled, SendError};
use dataflow_wire::node::ToRuntime;

use crate::world::{Edge, World, message, pattern};

fn stop_delivered(world: &World, node: &str) {
    world.hears(node, |said| {
        (*said == ToRuntime::StopDelivered).then_some(())
    });
}

#[test]
fn a_source_that_receives_gets_the_stop_at_once_and_may_still_send() {
    let world = World::new()
        .node("source", &["out"])
        .node("sink", &[])
        .timer("source", "tick", Duration::from_secs(3600))
        .edge("source/out", "sink/in", Edge::block(4));
    let mut sink = world.connect("sink");
    sink.ready();
    let mut source = world.connect("source");
    let receiver = thread::spawn(move || {
        assert!(matches!(source.recv(), Ok(Some(Event::Stop))));
        source.send("out", b"last", Metadata::new()).unwrap();
        assert!(matches!(source.recv(), Ok(None)), "nothing follows");
    });
    world.hears("source", |said| (*said == ToRuntime::Ready).then_some(()));
    world.stop("source", StopMode::Graceful, &[]);
    receiver.join().unwrap();
    assert_eq!(message(&mut sink).payload(), b"last");
    stop_delivered(&world, "source");
}

#[test]
fn a_source_that_never_receives_learns_of_the_stop_from_its_next_send_or_loan() {
    for by_loan in [false, true] {
        let world = World::new()
            .node("source", &["out"])
            .node("sink", &[])
            .edge("source/out", "sink/in", Edge::drop_oldest(4));
        let sink = world.connect("sink");
        sink.ready();
        let mut source = world.connect("source");
        source.send("out", b"before", Metadata::new()).unwrap();
        world.stop("source", StopMode::Graceful, &[]);
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
        stop_delivered(&world, "source");
        let sent = world.read(0).counts.sent;
        source.send("out", b"after", Metadata::new()).unwrap();
        assert_eq!(
            world.read(0).counts.sent,
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
    let world = World::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Edge::block(1));
    let mut sink = world.connect("sink");
    sink.ready();
    let mut source = world.connect("source");
    let sender = thread::spawn(move || {
        for number in 0.. {
            if let Err(error) = source.send("out", pattern(number, 1000), Metadata::new()) {
                return (number, error);
            }
        }
        unreachable!("the stop ends it")
    });
    world.until_blocked(0);
    // The send that waits now has begun before the stop: it goes through.
    world.stop("source", StopMode::Graceful, &[]);
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
    assert_eq!(world.read(0).counts.sent, sent as u64);
}

#[test]
fn a_stop_now_ends_a_send_that_waits_and_what_was_refused_is_not_counted() {
    let world = World::new()
        .node("source", &["out"])
        .node("slow", &[])
        .node("quick", &[])
        .edge("source/out", "slow/in", Edge::block(1))
        .edge("source/out", "quick/in", Edge::block(4));
    let mut slow = world.connect("slow");
    slow.ready();
    let mut quick = world.connect("quick");
    quick.ready();
    let mut source = world.connect("source");
    let sender = thread::spawn(move || {
        source
            .send("out", pattern(0, 1000), Metadata::new())
            .unwrap();
        let result = source.send("out", pattern(1, 1000), Metadata::new());
        (result, source)
    });
    world.until_blocked(0);
    world.stop("source", StopMode::Now, &[]);
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
    stop_delivered(&world, "source");
    assert_eq!(world.read(0).counts.sent, 1);
    assert_eq!(world.read(1).counts.sent, 2);
    // The memory of the refused message is not lost: everything can still be released.
    for number in 0..2 {
        assert!(message(&mut quick).payload() == pattern(number, 1000));
    }
    assert!(message(&mut slow).payload() == pattern(0, 1000));
    source.send("out", b"room again", Metadata::new()).unwrap();
}

#[test]
fn a_stop_now_comes_ahead_of_the_queue() {
    let world = World::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Edge::block(4));
    let mut sink = world.connect("sink");
    sink.ready();
    let mut source = world.connect("source");
    source.send("out", b"unread", Metadata::new()).unwrap();
    world.stop("sink", StopMode::Now, &[]);
    // The order may still be on its way: then the message comes first, and the stop after it.
    let first = sink.recv().unwrap().unwrap();
    if matches!(first, Event::Input(_)) {
        assert!(matches!(sink.recv(), Ok(Some(Event::Stop))));
    } else {
        assert!(matches!(first, Event::Stop));
        assert_eq!(world.read(0).counts.queued, 1);
    }
    assert!(matches!(sink.recv(), Ok(None)));
}

#[test]
fn a_stop_now_wakes_a_receiver_that_sleeps() {
    let world = World::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Edge::block(4));
    let mut sink = world.connect("sink");
    let receiver = thread::spawn(move || matches!(sink.recv(), Ok(Some(Event::Stop))));
    world.until_idle(0);
    world.stop("sink", StopMode::Now, &[]);
    assert!(receiver.join().unwrap());
    stop_delivered(&world, "sink");
}

#[test]
fn a_member_of_a_cycle_gets_what_was_sent_before_the_stop_and_then_the_stop() {
    let world = World::new()
        .node("a", &["out"])
        .node("b", &["out"])
        .edge("a/out", "b/in", Edge::block(8))
        .edge("b/out", "a/in", Edge::block(8));
    let mut a = world.connect("a");
    let mut b = world.connect("b");
    b.ready();
    for number in 0..5 {
        a.send("out", pattern(number, 300), Metadata::new())
            .unwrap();
    }
    assert!(message(&mut b).payload() == pattern(0, 300));
    world.stop("b", StopMode::Graceful, &[(0, 3)]);
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
    assert_eq!(world.read(0).counts.queued, 5 - seen);
    stop_delivered(&world, "b");
}

#[test]
fn edges_that_the_stop_does_not_name_are_delivered_whole() {
    let world = World::new()
        .node("outer", &["out"])
        .node("loop", &["out"])
        .edge("outer/out", "loop/outer", Edge::block(8))
        .edge("loop/out", "loop/inner", Edge::block(8));
    let mut member = world.connect("loop");
    member.ready();
    let mut outer = world.connect("outer");
    world.stop("loop", StopMode::Graceful, &[(1, 0)]);
    for number in 0..3 {
        outer
            .send("out", pattern(number, 10), Metadata::new())
            .unwrap();
    }
    for number in 0..3 {
        assert!(message(&mut member).payload() == pattern(number, 10));
    }
    assert!(matches!(member.try_recv(), Ok(Polled::Nothing)));
    world.close(0);
    assert!(matches!(member.recv(), Ok(Some(Event::InputClosed(_)))));
    assert!(matches!(member.recv(), Ok(Some(Event::Stop))));
}

#[test]
fn who_receives_no_more_learns_of_the_stop_from_the_next_send() {
    for closed in [false, true] {
        let world = World::new()
            .node("first", &["out"])
            .node("second", &["out"])
            .node("sink", &[])
            .edge("first/out", "second/in", Edge::block(4))
            .edge("second/out", "sink/in", Edge::drop_oldest(4));
        let sink = world.connect("sink");
        sink.ready();
        let (sends, mut receives) = world.connect("second").split();
        // It has received, and goes on as a source: without its receiving half, or past the end of its inputs.
        assert!(matches!(receives.try_recv(), Ok(Polled::Nothing)));
        let receives = if closed {
            world.close(0);
            assert!(matches!(receives.recv(), Ok(Some(Event::InputClosed(_)))));
            assert!(matches!(receives.recv(), Ok(Some(Event::AllInputsClosed))));
            Some(receives)
        } else {
            drop(receives);
            None
        };
        sends.send("out", b"before", Metadata::new()).unwrap();
        world.stop("second", StopMode::Graceful, &[]);
        let until = Instant::now() + Duration::from_secs(20);
        let error = loop {
            match sends.send("out", b"again", Metadata::new()) {
                Ok(()) => assert!(Instant::now() < until, "it never learns"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, SendError::Stopped { .. }), "{error}");
        stop_delivered(&world, "second");
        drop(receives);
    }
}
