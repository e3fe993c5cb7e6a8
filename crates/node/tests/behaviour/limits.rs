//! Limits: of what a receiver holds, and of what a sender's memory takes.

use std::thread;

use dataflow_ids::StopMode;
use dataflow_node::{Metadata, SendError};
use dataflow_testkit::node::{Queue, TestRuntime};
use dataflow_wire::node::ToRuntime;

use crate::support::{message, pattern};

fn warnings(runtime: &TestRuntime, node: &str) -> Vec<String> {
    runtime
        .heard(node)
        .into_iter()
        .filter_map(|said| match said {
            ToRuntime::Warning { text } => Some(text),
            _ => None,
        })
        .collect()
}

#[test]
fn what_a_receiver_holds_beyond_its_limit_is_copied_and_released_with_one_warning() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(2).held_max(3));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    let mut kept = Vec::new();
    for number in 0..20 {
        source
            .send("out", pattern(number, 2000), Metadata::new())
            .unwrap();
        kept.push(message(&mut sink));
    }
    for (number, input) in kept.iter().enumerate() {
        assert!(input.payload() == pattern(number, 2000));
        assert_eq!(input.is_held(), number < 3, "message {number}");
        assert_eq!(input.payload().as_ptr().align_offset(64), 0);
    }
    let counts = runtime.read(0).counts;
    assert_eq!((counts.held, counts.released), (3, 17));
    let text = runtime.hears("sink", |said| match said {
        ToRuntime::Warning { text } => Some(text.clone()),
        _ => None,
    });
    assert!(
        text.contains("sink") && text.contains("source/out") && text.contains("max_held"),
        "{text}"
    );
    drop(kept);
    source.send("out", [1; 2000], Metadata::new()).unwrap();
    assert!(message(&mut sink).is_held(), "there is room again");
    assert_eq!(warnings(&runtime, "sink").len(), 1);
}

#[test]
fn the_bytes_that_a_receiver_holds_are_limited_too() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge(
            "source/out",
            "sink/in",
            Queue::block(2).held_bytes_max(10_000),
        );
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    let mut kept = Vec::new();
    for _ in 0..5 {
        source.send("out", [5; 4000], Metadata::new()).unwrap();
        kept.push(message(&mut sink));
    }
    let held = kept.iter().filter(|input| input.is_held()).count();
    assert_eq!(held, 2);
}

#[test]
fn a_message_above_the_limit_is_refused_at_once_with_the_key_that_raises_it() {
    let runtime = TestRuntime::new()
        .node_with_memory("source", &["out"], 4 << 20)
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(2));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    for error in [
        source
            .send("out", vec![0; 10 << 20], Metadata::new())
            .unwrap_err(),
        source.loan("out", 10 << 20).unwrap_err(),
    ] {
        assert!(matches!(error, SendError::TooLarge { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("output_memory_mb: 10") && text.contains("4194304"),
            "{text}"
        );
    }
    source.send("out", [1; 1000], Metadata::new()).unwrap();
    assert_eq!(message(&mut sink).payload(), [1; 1000]);
}

#[test]
fn at_the_limit_edges_that_drop_give_up_their_oldest_messages() {
    let runtime = TestRuntime::new()
        .node_with_memory("source", &["out"], 4 << 20)
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::drop_oldest(100));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    for number in 0..30 {
        source
            .send("out", pattern(number, 500_000), Metadata::new())
            .unwrap();
    }
    let counts = runtime.read(0).counts;
    assert!(counts.dropped_memory > 0, "{counts:?}");
    assert_eq!(counts.dropped_full, 0);
    assert!(counts.balances(), "{counts:?}");
    let first = 30 - counts.queued as usize;
    for number in first..30 {
        assert!(message(&mut sink).payload() == pattern(number, 500_000));
    }
}

#[test]
fn at_the_limit_a_sender_waits_for_what_a_blocking_edge_has() {
    let runtime = TestRuntime::new()
        .node_with_memory("source", &["out"], 4 << 20)
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(100));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    let sender = thread::spawn(move || {
        for number in 0..60 {
            source
                .send("out", pattern(number, 500_000), Metadata::new())
                .unwrap();
        }
    });
    runtime.until_blocked(0);
    for number in 0..60 {
        assert!(message(&mut sink).payload() == pattern(number, 500_000));
    }
    sender.join().unwrap();
    let counts = runtime.read(0).counts;
    assert_eq!((counts.sent, counts.delivered), (60, 60));
    assert!(counts.blocked_ns > 0);
}

#[test]
fn a_loan_that_is_dropped_ends_the_wait_for_memory() {
    let runtime = TestRuntime::new()
        .node_with_memory("source", &["out"], 4 << 20)
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(100));
    let sink = runtime.connect("sink");
    sink.ready();
    let (sends, _receives) = runtime.connect("source").split();
    sends
        .send("out", vec![1; 1_000_000], Metadata::new())
        .unwrap();
    // Everything but what the sink has not read yet is lent.
    let mut loans = Vec::new();
    while loans.len() < 3 {
        loans.push(sends.loan("out", 1_000_000).unwrap());
    }
    let waiter = {
        let sends = sends.clone();
        thread::spawn(move || sends.loan("out", 1_000_000).map(|loan| loan.len()))
    };
    runtime.until_blocked(0);
    loans.pop();
    assert_eq!(waiter.join().unwrap().unwrap(), 1_000_000);
}

#[test]
fn a_stop_now_ends_the_wait_for_memory() {
    let runtime = TestRuntime::new()
        .node_with_memory("source", &["out"], 4 << 20)
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(100));
    let sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    let sender = thread::spawn(move || {
        loop {
            if let Err(error) = source.send("out", vec![1; 500_000], Metadata::new()) {
                return error;
            }
        }
    });
    runtime.until_blocked(0);
    runtime.stop("source", StopMode::Now, &[]);
    let error = sender.join().unwrap();
    assert!(matches!(error, SendError::Stopped { .. }), "{error}");
}

#[test]
fn memory_that_nothing_can_free_is_an_error_that_names_who_has_it() {
    let runtime = TestRuntime::new()
        .node_with_memory("source", &["out"], 4 << 20)
        .node("sink", &[])
        .edge("source/out", "sink/frames", Queue::drop_oldest(100));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    let mut held = Vec::new();
    let error = loop {
        match source.send("out", vec![1; 1_000_000], Metadata::new()) {
            Ok(()) => held.push(message(&mut sink)),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SendError::MemoryFull { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("sink has") && text.contains("frames") && text.contains("output_memory_mb"),
        "{text}"
    );
    let count = held.len();
    drop(held);
    // Released memory serves again.
    source
        .send("out", vec![2; 1_000_000], Metadata::new())
        .unwrap();
    assert!(count >= 3, "{count}");
    let mut loans = Vec::new();
    let error = loop {
        match source.loan("out", 1_000_000) {
            Ok(loan) => loans.push(loan),
            Err(error) => break error,
        }
    };
    assert!(
        error
            .to_string()
            .contains(&format!("{} loans", loans.len())),
        "{error}"
    );
}

#[test]
fn metadata_above_its_limit_is_refused_before_anything_is_sent() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(2));
    runtime.connect("sink").ready();
    let mut source = runtime.connect("source");
    let metadata = Metadata::from([("x", "y".repeat(70_000))]);
    assert!(matches!(
        source.send("out", b"", &metadata),
        Err(SendError::Metadata(_))
    ));
    assert_eq!(runtime.read(0).counts.sent, 0);
}

#[test]
fn a_loan_with_long_metadata_is_not_copied() {
    // There is memory for the loan, and for no copy of it.
    let runtime = TestRuntime::new()
        .node_with_memory("source", &["out"], 3 << 19)
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(2));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    let metadata = Metadata::from([("about", "x".repeat(2000))]);
    // As long as a chunk of its class, so that nothing is to spare by itself.
    let mut loan = source.loan("out", 1 << 20).unwrap();
    loan.fill(7);
    loan.send(&metadata).unwrap();
    let input = message(&mut sink);
    assert_eq!(input.metadata(), &metadata);
    assert!(input.payload().iter().all(|byte| *byte == 7));
}

#[test]
fn a_loan_that_fits_only_without_room_for_metadata_is_given() {
    let runtime = TestRuntime::new()
        .node_with_memory("source", &["out"], 1 << 20)
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(2));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    let mut loan = source.loan("out", 1 << 20).unwrap();
    loan.fill(7);
    loan.send(Metadata::new()).unwrap();
    assert_eq!(message(&mut sink).payload().len(), 1 << 20);
}

#[test]
fn memory_that_is_idle_goes_back_also_when_only_small_messages_follow() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(16));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    for number in 0..16 {
        source
            .send("out", pattern(number, 1_000_000), Metadata::new())
            .unwrap();
    }
    (0..16).for_each(|_| drop(message(&mut sink)));
    for _ in 0..10_000 {
        source.send("out", b"small", Metadata::new()).unwrap();
        drop(message(&mut sink));
    }
    runtime.hears("source", |said| {
        matches!(said, ToRuntime::SegmentRetired { .. }).then_some(())
    });
}
