//! Messages: order, closing, the barrier at the start, loans, waiting for room.

use std::thread;
use std::time::Duration;

use dataflow_node::{Event, Metadata, PAYLOAD_ALIGNMENT, Polled, SendError, Source, Value};
use dataflow_testkit::node::{Queue, TestRuntime};
use dataflow_wire::node::ToRuntime;

use crate::support::{message, pattern};

#[test]
fn messages_of_every_size_arrive_in_order_and_closed_comes_last() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(4));
    let sizes = [0, 1, 24, 96, 97, 4096, 400_000, 4_000_000];
    let mut source = runtime.connect("source");
    let mut sink = runtime.connect("sink");
    let sender = thread::spawn(move || {
        for number in 0..80 {
            let length = sizes[number % sizes.len()];
            let metadata = Metadata::new()
                .with("number", number as i64)
                .with("text", "t".repeat(number * 3));
            source
                .send("out", pattern(number, length), &metadata)
                .unwrap();
        }
        source
    });
    for number in 0..80 {
        let input = message(&mut sink);
        let length = sizes[number % sizes.len()];
        assert_eq!(input.id().as_str(), "in");
        assert_eq!(input.source().to_string(), "source/out");
        assert_eq!(input.sequence().0, number as u64 + 1);
        assert_eq!(
            input.metadata().get("number"),
            Some(&Value::I64(number as i64))
        );
        assert_eq!(
            input.metadata().get("text").and_then(Value::as_str),
            Some(&*"t".repeat(number * 3))
        );
        assert!(
            input.payload() == pattern(number, length),
            "message {number}"
        );
        assert_eq!(
            input.payload().as_ptr().align_offset(PAYLOAD_ALIGNMENT),
            0,
            "message {number}"
        );
        assert!(input.sent_at_ns() <= dataflow_node::monotonic_now_ns());
    }
    drop(sender.join().unwrap());
    assert_eq!(runtime.close(0), 80);
    assert!(matches!(
        sink.recv().unwrap(),
        Some(Event::InputClosed(id)) if id.as_str() == "in"
    ));
    assert!(matches!(sink.recv().unwrap(), Some(Event::AllInputsClosed)));
    assert!(sink.recv().unwrap().is_none());
    assert!(sink.recv().unwrap().is_none(), "and for ever");
    let counts = runtime.read(0).counts;
    assert!(counts.balances(), "{counts:?}");
    assert_eq!((counts.sent, counts.released), (80, 80));
    runtime.hears("source", |said| (*said == ToRuntime::Running).then_some(()));
    runtime.hears("sink", |said| (*said == ToRuntime::Running).then_some(()));
}

#[test]
fn what_was_sent_before_the_end_is_delivered_after_it() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(8));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    for number in 0..5 {
        source
            .send("out", pattern(number, 1000), Metadata::new())
            .unwrap();
    }
    drop(source);
    runtime.close(0);
    for number in 0..5 {
        assert!(message(&mut sink).payload() == pattern(number, 1000));
    }
    assert!(matches!(sink.recv(), Ok(Some(Event::InputClosed(_)))));
    assert!(matches!(sink.recv(), Ok(Some(Event::AllInputsClosed))));
}

#[test]
fn the_first_send_waits_until_every_receiver_is_ready_and_is_ready_itself_before() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("quick", &[])
        .node("slow", &[])
        .edge("source/out", "quick/in", Queue::block(4))
        .edge("source/out", "slow/in", Queue::block(4));
    let mut source = runtime.connect("source");
    let mut quick = runtime.connect("quick");
    quick.ready();
    let mut slow = runtime.connect("slow");
    let sender = thread::spawn(move || source.send("out", b"first", Metadata::new()));
    runtime.hears("source", |said| (*said == ToRuntime::Ready).then_some(()));
    assert_eq!(runtime.read(0).counts.sent, 0);
    assert_eq!(runtime.read(1).counts.sent, 0);
    assert!(!sender.is_finished());
    slow.ready();
    sender.join().unwrap().unwrap();
    assert_eq!(message(&mut slow).payload(), b"first");
    assert_eq!(message(&mut quick).payload(), b"first");
}

#[test]
fn a_receiver_that_has_ended_for_good_is_not_waited_for() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(1));
    let mut source = runtime.connect("source");
    let sender = thread::spawn(move || {
        for _ in 0..10 {
            source.send("out", [7; 5000], Metadata::new()).unwrap();
        }
    });
    runtime.hears("source", |said| (*said == ToRuntime::Ready).then_some(()));
    runtime.receiver_gone(0);
    sender.join().unwrap();
    let counts = runtime.read(0).counts;
    assert_eq!((counts.sent, counts.dropped_receiver_closed), (10, 10));
}

#[test]
fn a_node_may_send_to_itself() {
    let runtime =
        TestRuntime::new()
            .node("echo", &["out"])
            .edge("echo/out", "echo/in", Queue::block(4));
    let mut echo = runtime.connect("echo");
    for number in 0..10 {
        echo.send("out", pattern(number, 3000), Metadata::new())
            .unwrap();
        assert!(message(&mut echo).payload() == pattern(number, 3000));
    }
}

#[test]
fn an_output_that_nobody_reads_takes_everything() {
    let runtime = TestRuntime::new().node("source", &["out"]);
    let mut source = runtime.connect("source");
    source.send("out", [1; 10], Metadata::new()).unwrap();
    source.send("out", [1; 100_000], Metadata::new()).unwrap();
    source
        .loan("out", 100_000)
        .unwrap()
        .send(Metadata::new())
        .unwrap();
}

#[test]
fn an_output_that_is_not_declared_is_refused_with_those_that_are() {
    let runtime = TestRuntime::new().node("source", &["image", "depth"]);
    let mut source = runtime.connect("source");
    let error = source.send("imgae", b"", Metadata::new()).unwrap_err();
    assert!(matches!(error, SendError::UnknownOutput { .. }));
    let text = error.to_string();
    assert!(
        text.contains("source") && text.contains("imgae") && text.contains("image, depth"),
        "{text}"
    );
}

#[test]
fn a_loan_is_filled_in_place_and_arrives_without_a_copy() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(4));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    for (number, length) in [10, 100, 1_000_000].into_iter().enumerate() {
        let mut loan = source.loan("out", length).unwrap();
        assert_eq!(loan.len(), length);
        assert_eq!(loan.as_ptr().align_offset(PAYLOAD_ALIGNMENT), 0);
        loan.copy_from_slice(&pattern(number, length));
        loan.send(Metadata::from([("n", number as i64)])).unwrap();
        let input = message(&mut sink);
        assert!(input.payload() == pattern(number, length));
        assert_eq!(input.is_held(), length > 96);
    }
    // Metadata that neither the slot nor the chunk has room for is carried all the same.
    let mut loan = source.loan("out", 4096).unwrap();
    loan.fill(9);
    let long = "x".repeat(60_000);
    loan.send(Metadata::from([("long", long.as_str())]))
        .unwrap();
    let input = message(&mut sink);
    assert_eq!(input.payload(), [9; 4096]);
    assert_eq!(
        input.metadata().get("long").and_then(Value::as_str),
        Some(long.as_str())
    );
}

#[test]
fn a_loan_that_is_dropped_sends_nothing_and_its_memory_is_lent_again() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(4));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    let first = source.loan("out", 100_000).unwrap();
    let place = first.as_ptr();
    thread::spawn(move || drop(first)).join().unwrap();
    let second = source.loan("out", 100_000).unwrap();
    assert_eq!(second.as_ptr(), place);
    drop(second);
    assert!(matches!(sink.try_recv().unwrap(), Polled::Nothing));
    assert_eq!(runtime.read(0).counts.sent, 0);
}

#[test]
fn released_memory_is_used_again_last_freed_first() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(2));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    let mut places = std::collections::BTreeSet::new();
    for number in 0..50 {
        let mut loan = source.loan("out", 300_000).unwrap();
        places.insert(loan.as_ptr());
        loan.fill(number);
        loan.send(Metadata::new()).unwrap();
        assert_eq!(message(&mut sink).payload(), [number; 300_000]);
    }
    assert!(places.len() <= 2, "{} places", places.len());
    let segments = runtime
        .heard("source")
        .iter()
        .filter(|said| matches!(said, ToRuntime::SegmentCreated { .. }))
        .count();
    assert_eq!(segments, 1);
}

#[test]
fn a_sender_waits_for_a_full_queue_and_loses_nothing() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(2));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    let sender = thread::spawn(move || {
        for number in 0..500 {
            source
                .send("out", pattern(number, number % 200), Metadata::new())
                .unwrap();
        }
        source
    });
    runtime.until_blocked(0);
    assert_eq!(runtime.read(0).counts.queued, 2);
    for number in 0..500 {
        assert!(message(&mut sink).payload() == pattern(number, number % 200));
    }
    drop(sender.join().unwrap());
    let counts = runtime.read(0).counts;
    assert_eq!((counts.sent, counts.delivered), (500, 500));
    assert!(counts.blocked_ns > 0);
}

#[test]
fn edges_that_need_not_wait_are_written_before_those_that_block() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("slow", &[])
        .node("quick", &[])
        .edge("source/out", "slow/in", Queue::block(1))
        .edge("source/out", "quick/in", Queue::drop_oldest(10));
    let mut slow = runtime.connect("slow");
    slow.ready();
    let mut quick = runtime.connect("quick");
    quick.ready();
    let mut source = runtime.connect("source");
    let sender = thread::spawn(move || {
        for number in 0..2 {
            source
                .send("out", pattern(number, 2000), Metadata::new())
                .unwrap();
        }
    });
    runtime.until_blocked(0);
    for number in 0..2 {
        assert!(message(&mut quick).payload() == pattern(number, 2000));
    }
    for number in 0..2 {
        assert!(message(&mut slow).payload() == pattern(number, 2000));
    }
    sender.join().unwrap();
}

#[test]
fn drop_oldest_keeps_the_newest_and_counts_the_rest() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::drop_oldest(3));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    for number in 0..10 {
        source
            .send("out", pattern(number, 500), Metadata::new())
            .unwrap();
    }
    runtime.close(0);
    for number in 7..10 {
        assert!(message(&mut sink).payload() == pattern(number, 500));
    }
    assert!(matches!(sink.recv(), Ok(Some(Event::InputClosed(_)))));
    let counts = runtime.read(0).counts;
    assert!(counts.balances(), "{counts:?}");
    assert_eq!((counts.sent, counts.dropped_full), (10, 7));
}

#[test]
fn a_busy_input_does_not_starve_another() {
    let runtime = TestRuntime::new()
        .node("source", &["busy", "rare"])
        .node("sink", &[])
        .edge("source/busy", "sink/busy", Queue::block(100))
        .edge("source/rare", "sink/rare", Queue::block(100));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    for _ in 0..100 {
        source.send("busy", b"b", Metadata::new()).unwrap();
    }
    source.send("rare", b"r", Metadata::new()).unwrap();
    let place = (0..101)
        .position(|_| message(&mut sink).id().as_str() == "rare")
        .unwrap();
    assert!(place <= 1, "{place} messages came before it");
}

#[test]
fn one_node_may_read_an_output_twice() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/left", Queue::block(4))
        .edge("source/out", "sink/right", Queue::block(4));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    source.send("out", [3; 1000], Metadata::new()).unwrap();
    let (one, two) = (message(&mut sink), message(&mut sink));
    assert_eq!(one.payload(), two.payload());
    assert_eq!(
        one.payload().as_ptr(),
        two.payload().as_ptr(),
        "one chunk serves both"
    );
    drop(one);
    runtime.close(0);
    runtime.close(1);
    let mut closed = Vec::new();
    loop {
        match sink.recv().unwrap().unwrap() {
            Event::InputClosed(id) => closed.push(id.to_string()),
            Event::AllInputsClosed => break,
            other => panic!("{other:?}"),
        }
    }
    closed.sort();
    assert_eq!(closed, ["left", "right"]);
}

#[test]
fn a_receive_that_has_no_time_does_not_wait() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge(
            "source/out",
            "sink/in",
            Queue::block(4).spin(Duration::from_micros(50)),
        );
    let mut sink = runtime.connect("sink");
    assert!(matches!(sink.try_recv().unwrap(), Polled::Nothing));
    assert!(matches!(
        sink.recv_timeout(Duration::from_millis(1)).unwrap(),
        Polled::Nothing
    ));
    let mut source = runtime.connect("source");
    source.send("out", b"x", Metadata::new()).unwrap();
    assert!(matches!(
        sink.recv_timeout(Duration::from_secs(60)).unwrap(),
        Polled::Event(Event::Input(_))
    ));
    runtime.close(0);
    assert!(matches!(
        sink.try_recv().unwrap(),
        Polled::Event(Event::InputClosed(_))
    ));
    assert!(matches!(
        sink.try_recv().unwrap(),
        Polled::Event(Event::AllInputsClosed)
    ));
    assert!(matches!(sink.try_recv().unwrap(), Polled::Ended));
}

#[test]
fn the_halves_work_from_different_threads() {
    let runtime = TestRuntime::new()
        .node("a", &["out"])
        .node("b", &["back"])
        .edge("a/out", "b/in", Queue::block(1))
        .edge("b/back", "a/in", Queue::block(1));
    let (a_sends, mut a_receives) = runtime.connect("a").split();
    let mut b = runtime.connect("b");
    let other = a_sends.clone();
    let sender = thread::spawn(move || {
        for number in 0..300_u32 {
            let half = if number % 2 == 0 { &a_sends } else { &other };
            half.send("out", number.to_le_bytes(), Metadata::new())
                .unwrap();
        }
    });
    let echo = thread::spawn(move || {
        for _ in 0..300 {
            let input = message(&mut b);
            b.send("back", input.payload(), input.metadata()).unwrap();
        }
    });
    for number in 0..300_u32 {
        match a_receives.recv().unwrap().unwrap() {
            Event::Input(input) => {
                assert_eq!(input.payload(), number.to_le_bytes());
                assert!(matches!(input.source(), Source::Output { .. }));
            }
            other => panic!("{other:?}"),
        }
    }
    sender.join().unwrap();
    echo.join().unwrap();
}

#[test]
fn who_has_seen_the_end_of_an_input_and_waits_for_another_says_on_both_that_it_sleeps() {
    let runtime = TestRuntime::new()
        .node("source", &["ends", "stays"])
        .node("sink", &[])
        .edge("source/ends", "sink/ends", Queue::block(4))
        .edge("source/stays", "sink/stays", Queue::block(4));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    source
        .send("ends", pattern(0, 5000), Metadata::new())
        .unwrap();
    let held = message(&mut sink);
    runtime.close(0);
    let sink = std::thread::spawn(move || {
        assert!(matches!(sink.recv(), Ok(Some(Event::InputClosed(_)))));
        let last = message(&mut sink);
        (sink, last)
    });
    runtime.until_idle(1);
    runtime.until_idle(0);
    assert_eq!(runtime.read(0).counts.held, 1);
    source.send("stays", b"go on", Metadata::new()).unwrap();
    let (_sink, last) = sink.join().unwrap();
    assert_eq!(last.payload(), b"go on");
    drop(held);
}
