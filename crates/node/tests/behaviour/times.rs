//! How long messages took: what stands in the histograms of their edge, however a program asks for its events.

use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use dataflow_ids::stats::Histogram;
use dataflow_node::{Event, Input, Metadata, Node, Polled, Receiver, Sender, monotonic_now_ns};
use dataflow_testkit::node::{Queue, TestRuntime};

use crate::asynchronous::block_on;
use crate::support::{message, pattern};

/// So long that a message is counted for itself: more than 20 ms by a clock that is up to a tick (10 ms) late.
const WAIT: Duration = Duration::from_millis(60);

fn source_and_sink(queue: Queue) -> TestRuntime {
    TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", queue)
}

fn send(source: &mut Node, bytes: usize) {
    let payload = pattern(0, bytes);
    source.send("out", payload, Metadata::new()).unwrap();
}

fn there(receiver: &mut Receiver) -> Option<Input> {
    match receiver.try_recv().unwrap() {
        Polled::Event(Event::Input(input)) => Some(input),
        Polled::Nothing => None,
        other => panic!("a message was expected, or nothing, not {other:?}"),
    }
}

fn count(histogram: &Histogram) -> u64 {
    histogram.buckets.iter().sum()
}

#[test]
fn each_of_the_three_times_begins_and_ends_where_it_says() {
    let runtime = source_and_sink(Queue::block(4));
    let mut source = runtime.connect("source");
    let (_sender, mut receiver) = runtime.connect("sink").split();
    receiver.ready();
    let before_send = monotonic_now_ns();
    send(&mut source, 8);
    let after_send = monotonic_now_ns();
    let before_take = monotonic_now_ns();
    let input = there(&mut receiver).unwrap();
    let after_take = monotonic_now_ns();
    assert_eq!(runtime.read(0).histograms.handling, Histogram::default());
    drop(input);
    let before_ask = monotonic_now_ns();
    assert!(there(&mut receiver).is_none());
    let after_ask = monotonic_now_ns();
    let histograms = runtime.read(0).histograms;
    for (histogram, at_least_ns, at_most_ns) in [
        (
            histograms.latency,
            before_take - after_send,
            after_take - before_send,
        ),
        (
            histograms.queue_wait,
            before_take - after_send,
            after_take - before_send,
        ),
        (
            histograms.handling,
            before_ask - after_take,
            after_ask - before_take,
        ),
    ] {
        assert_eq!(count(&histogram), 1);
        assert!((at_least_ns..=at_most_ns).contains(&histogram.sum_ns));
    }
}

#[test]
fn the_histograms_stand_for_all_messages_also_where_few_are_timed() {
    let runtime = source_and_sink(Queue::block(64));
    let mut source = runtime.connect("source");
    let (_sender, mut receiver) = runtime.connect("sink").split();
    receiver.ready();
    for round in 1..=20 {
        for number in 0..64 {
            send(&mut source, if number % 8 == 0 { 1000 } else { 8 });
        }
        let mut taken = 0;
        // Memory that is new to the receiver takes a moment to come. The last look is the end of the last message.
        loop {
            match there(&mut receiver) {
                Some(_) => taken += 1,
                None if taken < 64 => std::thread::yield_now(),
                None => break,
            }
        }
        assert_eq!(taken, 64);
        let reading = runtime.read(0);
        let delivered = reading.counts.delivered;
        assert_eq!(delivered, round * 64);
        for histogram in [
            reading.histograms.latency,
            reading.histograms.queue_wait,
            reading.histograms.handling,
        ] {
            let stands_for = count(&histogram);
            // Those since the last that was timed are not in it yet: 24 at most, and as many more if that one was in hand for
            // long by chance and so was counted for itself.
            assert!(
                stands_for <= delivered && stands_for + 48 >= delivered,
                "{stands_for} of {delivered}"
            );
        }
    }
}

#[test]
fn however_a_program_asks_each_message_of_a_slow_edge_is_seen_at_once() {
    type Receive = fn(&mut Receiver) -> Input;
    let ways: [(&str, Receive); 4] = [
        ("recv", |receiver| match receiver.recv().unwrap() {
            Some(Event::Input(input)) => input,
            other => panic!("{other:?}"),
        }),
        ("try_recv", |receiver| there(receiver).unwrap()),
        ("recv_timeout", |receiver| {
            match receiver.recv_timeout(std::time::Duration::MAX).unwrap() {
                Polled::Event(Event::Input(input)) => input,
                other => panic!("{other:?}"),
            }
        }),
        ("recv_async", |receiver| {
            match block_on(receiver.recv_async()).unwrap() {
                Some(Event::Input(input)) => input,
                other => panic!("{other:?}"),
            }
        }),
    ];
    for (way, receive) in ways {
        let runtime = source_and_sink(Queue::block(4));
        let mut source = runtime.connect("source");
        let (_sender, mut receiver) = runtime.connect("sink").split();
        receiver.ready();
        for number in 1..=5 {
            send(&mut source, 8);
            receive(&mut receiver);
            let histograms = runtime.read(0).histograms;
            assert_eq!(count(&histograms.latency), number, "{way}");
            assert_eq!(count(&histograms.handling), number - 1, "{way}");
            // It looks in vain, as who waits for the next one does.
            assert!(there(&mut receiver).is_none());
            assert_eq!(count(&runtime.read(0).histograms.handling), number, "{way}");
        }
    }
}

#[test]
fn a_future_that_waits_has_asked() {
    let runtime = source_and_sink(Queue::block(4));
    let mut source = runtime.connect("source");
    let (_sender, mut receiver) = runtime.connect("sink").split();
    receiver.ready();
    send(&mut source, 8);
    assert!(there(&mut receiver).is_some());
    let mut future = std::pin::pin!(receiver.recv_async());
    let waker = std::task::Waker::noop();
    let polled = future
        .as_mut()
        .poll(&mut std::task::Context::from_waker(waker));
    assert!(polled.is_pending());
    assert_eq!(count(&runtime.read(0).histograms.handling), 1);
}

#[test]
fn a_message_that_is_held_is_handled_when_the_next_event_is_asked_for() {
    let runtime = source_and_sink(Queue::block(4));
    let mut source = runtime.connect("source");
    let (_sender, mut receiver) = runtime.connect("sink").split();
    receiver.ready();
    send(&mut source, 100_000);
    let held = message_of(&mut receiver);
    assert!(held.is_held());
    assert!(there(&mut receiver).is_none());
    let reading = runtime.read(0);
    assert_eq!(reading.counts.held, 1);
    assert_eq!(count(&reading.histograms.handling), 1);
}

/// The next event, which must be a message. It may have to wait for its segment.
fn message_of(receiver: &mut Receiver) -> Input {
    match receiver.recv().unwrap() {
        Some(Event::Input(input)) => input,
        other => panic!("a message was expected, not {other:?}"),
    }
}

#[test]
fn of_a_program_that_never_receives_the_age_of_the_oldest_message_is_known() {
    let runtime = source_and_sink(Queue::drop_oldest(2));
    let mut source = runtime.connect("source");
    let mut sink = runtime.connect("sink");
    sink.ready();
    let begun = monotonic_now_ns();
    send(&mut source, 8);
    let first = monotonic_now_ns();
    let oldest = |runtime: &TestRuntime| runtime.read(0).oldest_sent_at_ns.unwrap();
    assert!((begun..=first).contains(&oldest(&runtime)));
    send(&mut source, 8);
    assert!((begun..=first).contains(&oldest(&runtime)));
    // The first is dropped for the third.
    send(&mut source, 8);
    assert!(oldest(&runtime) >= first);
    assert_eq!(
        *runtime.read(0).histograms,
        dataflow_ids::stats::EdgeHistograms::default()
    );
    assert_eq!(message(&mut sink).sequence().0, 2);
}

#[test]
fn the_wait_for_room_is_latency_and_no_wait_in_the_queue() {
    let runtime = source_and_sink(Queue::block(1));
    let mut source = runtime.connect("source");
    let mut sink = runtime.connect("sink");
    sink.ready();
    send(&mut source, 8);
    let sender = thread::spawn(move || {
        send(&mut source, 8);
        source
    });
    runtime.until_blocked(0);
    let blocked = monotonic_now_ns();
    // What is long under way is timed in any case, and not only now and then.
    while monotonic_now_ns() - blocked < 60_000_000 {
        thread::yield_now();
    }
    let before_room = monotonic_now_ns();
    message(&mut sink);
    let first = runtime.read(0).histograms;
    assert!(first.latency.sum_ns >= first.queue_wait.sum_ns);
    message(&mut sink);
    let both = runtime.read(0).histograms;
    let of_second = |both: Histogram, first: Histogram| both.sum_ns - first.sum_ns;
    let latency_ns = of_second(both.latency, first.latency);
    let queue_wait_ns = of_second(both.queue_wait, first.queue_wait);
    assert!(latency_ns - queue_wait_ns >= before_room - blocked);
    assert!(latency_ns > queue_wait_ns, "it waited for room");
    drop(sender.join().unwrap());
}

#[test]
fn how_long_a_sender_waits_is_known_while_it_waits_and_is_not_more_afterwards() {
    let runtime = source_and_sink(Queue::block(1));
    let mut source = runtime.connect("source");
    let mut sink = runtime.connect("sink");
    sink.ready();
    let before_sends = monotonic_now_ns();
    send(&mut source, 8);
    let sender = thread::spawn(move || {
        send(&mut source, 8);
        source
    });
    runtime.until_blocked_for(0, WAIT);
    assert!(runtime.read(0).sender_blocked, "it waits still");
    let known_ns = runtime.read(0).counts.blocked_ns;
    message(&mut sink);
    let source = sender.join().unwrap();
    let after_sends = monotonic_now_ns();
    let waited_ns = runtime.read(0).counts.blocked_ns;
    assert!((known_ns..=after_sends - before_sends).contains(&waited_ns));
    assert_eq!(runtime.read(0).counts.blocked_ns, waited_ns, "it is over");
    drop(source);
}

/// A source that sends more than its memory takes, and waits for that of its sink.
fn out_of_memory() -> (TestRuntime, Node, thread::JoinHandle<()>) {
    let runtime = TestRuntime::new()
        .node_with_memory("source", &["out"], 2 << 20)
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(100));
    let mut source = runtime.connect("source");
    let sink = runtime.connect("sink");
    sink.ready();
    let sender = thread::spawn(move || (0..8).for_each(|_| send(&mut source, 500_000)));
    runtime.until_blocked_for(0, WAIT);
    (runtime, sink, sender)
}

#[test]
fn how_long_a_sender_waits_for_memory_is_known_while_it_waits() {
    let (runtime, mut sink, sender) = out_of_memory();
    assert!(runtime.read(0).sender_blocked, "it waits still");
    (0..8).for_each(|_| drop(message(&mut sink)));
    sender.join().unwrap();
}

#[test]
fn what_is_in_hand_for_long_is_seen_even_if_it_was_not_to_be_timed() {
    let runtime = source_and_sink(Queue::block(4));
    let mut source = runtime.connect("source");
    let (_sender, mut receiver) = runtime.connect("sink").split();
    receiver.ready();
    (0..3).for_each(|_| send(&mut source, 8));
    assert!(there(&mut receiver).is_some());
    assert!(there(&mut receiver).is_some(), "one of a queue: not timed");
    let begun = monotonic_now_ns();
    while monotonic_now_ns() - begun < 70_000_000 {
        thread::yield_now();
    }
    assert!(there(&mut receiver).is_some());
    let handling = runtime.read(0).histograms.handling;
    assert_eq!(count(&handling), 2);
    assert!(
        handling.buckets[26..].iter().sum::<u64>() >= 1,
        "33 to 67 ms or more"
    );
}

#[test]
fn what_a_program_had_in_hand_when_it_went_is_counted() {
    let runtime = source_and_sink(Queue::block(4));
    let mut source = runtime.connect("source");
    let (_sender, mut receiver) = runtime.connect("sink").split();
    receiver.ready();
    send(&mut source, 8);
    drop(there(&mut receiver).unwrap());
    assert_eq!(count(&runtime.read(0).histograms.handling), 0);
    drop(receiver);
    assert_eq!(count(&runtime.read(0).histograms.handling), 1);
}

#[test]
fn a_wait_for_memory_is_part_of_a_send_and_of_latency() {
    let (runtime, mut sink, sender) = out_of_memory();
    let known_ns = runtime.read(0).counts.blocked_ns;
    let waits_at_ns = monotonic_now_ns();
    let sent = runtime.read(0).counts.sent;
    for number in 1..=8 {
        let begun_ns = message(&mut sink).sent_at_ns();
        // The one that had no memory was on its way when it was looked at.
        assert_eq!(begun_ns < waits_at_ns, number <= sent + 1, "{number}");
    }
    sender.join().unwrap();
    let histograms = runtime.read(0).histograms;
    let waited_ns = histograms.latency.sum_ns - histograms.queue_wait.sum_ns;
    assert!(waited_ns >= known_ns, "the wait is none in the queue");
}

#[test]
fn a_wait_for_the_first_readiness_is_part_of_a_send() {
    let runtime = source_and_sink(Queue::block(4));
    let mut source = runtime.connect("source");
    let mut sink = runtime.connect("sink");
    let sender = thread::spawn(move || {
        send(&mut source, 8);
        source
    });
    runtime.until_waits_for_readiness(0);
    let waits_at_ns = monotonic_now_ns();
    sink.ready();
    assert!(message(&mut sink).sent_at_ns() < waits_at_ns);
    drop(sender.join().unwrap());
}

#[test]
fn a_wait_for_the_send_of_another_thread_is_part_of_a_send() {
    let runtime = source_and_sink(Queue::block(1));
    let (sender, _receiver) = runtime.connect("source").split();
    let mut sink = runtime.connect("sink");
    sink.ready();
    let send = |sender: &Sender| sender.send("out", pattern(0, 8), Metadata::new()).unwrap();
    let (first, second) = (sender.clone(), sender);
    let id = AtomicI32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| (0..2).for_each(|_| send(&first)));
        runtime.until_blocked(0);
        scope.spawn(|| {
            id.store(
                rustix::thread::gettid().as_raw_nonzero().get(),
                Ordering::Release,
            );
            send(&second);
        });
        // From here on it does nothing but send: what it sleeps for is the other's send.
        let sleeps = || {
            let id = id.load(Ordering::Acquire);
            std::fs::read_to_string(format!("/proc/self/task/{id}/stat"))
                .is_ok_and(|stat| stat.contains(") S "))
        };
        while !sleeps() {
            thread::yield_now();
        }
        let waits_at_ns = monotonic_now_ns();
        for _ in 0..3 {
            assert!(message(&mut sink).sent_at_ns() < waits_at_ns);
        }
    });
}
