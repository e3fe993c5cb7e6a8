//! Nodes with faults: the harness says which, by name.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use dataflow_node::{Event, Metadata, Node};
use dataflow_testkit::node::{NodeTest, Queue, Rest};

use crate::support::{failure, one_in_one_out, relay, says};

/// Takes everything, and does nothing with it.
fn sink(mut node: Node) {
    while let Some(_event) = node.recv().unwrap() {}
}

#[test]
fn a_node_that_never_releases_a_message_is_named_with_the_message() {
    let mut test = NodeTest::new("hoarder").input("in").start(|mut node| {
        while let Some(event) = node.recv().unwrap() {
            if let Event::Input(input) = event
                && input.sequence().0 == 2
            {
                std::mem::forget(input);
            }
        }
    });
    for _ in 0..3 {
        test.send("in", [1; 5000], Metadata::new());
    }
    let text = failure(|| drop(test.end()));
    says(&text, &["hoarder", "still holds", "`in`", "#2"]);
    assert!(!text.contains("#1") && !text.contains("#3"), "{text}");
}

#[test]
fn a_node_that_sends_on_another_output_is_named_with_that_output() {
    let mut test = NodeTest::new("detector")
        .input("in")
        .output("boxes")
        .output("out")
        .start(relay);
    test.send("in", b"x", Metadata::new());
    let text = failure(|| drop(test.receive("boxes")));
    says(
        &text,
        &[
            "detector",
            "nothing comes on `boxes`",
            "waits for its next event",
            "1 message on `out`",
        ],
    );
}

#[test]
fn a_node_that_sends_on_an_output_that_is_not_declared_is_named_with_its_error() {
    let mut test = NodeTest::new("detector")
        .input("in")
        .output("boxes")
        .start(relay);
    test.send("in", b"x", Metadata::new());
    let text = failure(|| drop(test.receive("boxes")));
    says(
        &text,
        &[
            "detector",
            "it has ended and returned Err(",
            "no output `out`",
            "boxes",
        ],
    );
}

#[test]
fn a_node_that_sends_what_it_should_not_is_named_with_the_message() {
    let mut test = one_in_one_out().start(relay);
    test.send("in", b"x", Metadata::new().with("frame", 7));
    let text = failure(|| test.receive_nothing("out"));
    says(
        &text,
        &["relay", "nothing should be on `out`", "frame", "120"],
    );
}

#[test]
fn a_node_that_panics_is_named_with_its_words() {
    let start = || {
        let mut test = one_in_one_out().start(|mut node| {
            node.recv().unwrap();
            panic!("frame {} has no width", 7);
        });
        test.send("in", b"x", Metadata::new());
        test
    };
    let mut test = start();
    let text = failure(|| drop(test.receive("out")));
    says(
        &text,
        &[
            "relay",
            "nothing comes on `out`",
            "it has panicked: frame 7 has no width",
        ],
    );
    let text = failure(|| drop(test.end()));
    says(&text, &["relay", "it has panicked: frame 7 has no width"]);
    let text = failure(|| drop(start()));
    says(&text, &["relay", "it has panicked: frame 7 has no width"]);
}

#[test]
fn a_node_that_never_ends_is_named_with_what_it_does() {
    let free = Arc::new(AtomicBool::new(false));
    let is_free = free.clone();
    let (to_test, began) = mpsc::sync_channel(1);
    let mut test = one_in_one_out()
        // It holds for the beginning of the node too, which takes its time when the machine is busy.
        .patience(Duration::from_secs(2))
        .start(move |mut node| {
            node.recv().unwrap();
            to_test.send(()).unwrap();
            while !is_free.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        });
    test.send("in", b"x", Metadata::new());
    began.recv().unwrap();
    let text = failure(|| drop(test.end()));
    free.store(true, Ordering::Relaxed);
    says(
        &text,
        &[
            "relay",
            "does not end",
            "its inputs have closed",
            "its program has run for",
        ],
    );
}

#[test]
fn a_node_that_ignores_the_stop_is_named_with_what_it_does() {
    let free = Arc::new(AtomicBool::new(false));
    let is_free = free.clone();
    let (to_test, began) = mpsc::sync_channel(1);
    let mut test = NodeTest::new("deaf")
        .output("out")
        // Long enough that it is not taken for busy when the machine is.
        .patience(Duration::from_secs(2))
        .start(move |mut node| {
            while !is_free.load(Ordering::Relaxed) {
                if let Ok(Some(Event::Stop)) = node.recv() {
                    to_test.send(()).unwrap();
                }
            }
        });
    test.stop();
    began.recv().unwrap();
    let text = failure(|| drop(test.end()));
    free.store(true, Ordering::Relaxed);
    says(
        &text,
        &[
            "deaf",
            "does not end",
            "it was asked to stop",
            "again and again",
        ],
    );
}

#[test]
fn a_node_that_does_not_take_its_input_is_named_with_the_full_queue() {
    let mut test = NodeTest::new("relay")
        .input_with("in", Queue::block(2))
        .output_with("out", Queue::block(1))
        .start(relay);
    let text = failure(|| {
        for _ in 0..5 {
            test.send("in", b"x", Metadata::new());
        }
    });
    says(
        &text,
        &[
            "relay",
            "the queue of its input `in` is full (2 messages)",
            "waits for room on `out`",
        ],
    );
}

#[test]
fn a_node_that_ends_before_it_was_ready_is_named() {
    let mut test = one_in_one_out().start(|_node| "too early");
    let text = failure(|| test.send("in", b"x", Metadata::new()));
    says(
        &text,
        &[
            "relay",
            "before its first receive or send",
            "returned \"too early\"",
        ],
    );
}

#[test]
fn a_test_that_holds_what_its_node_waits_for_is_told_so() {
    let mut test = NodeTest::new("relay")
        .input("in")
        .output("out")
        .output_memory_bytes(1 << 20)
        .patience(Duration::from_secs(20))
        .start(relay);
    let mut held = Vec::new();
    for _ in 0..12 {
        test.send("in", [1; 100_000], Metadata::new());
        if test.settle() == Rest::WaitsForInput {
            held.push(test.hold("out"));
        }
    }
    let text = failure(|| drop(test.end()));
    says(
        &text,
        &["relay", "waits for room on `out`", "this test holds"],
    );
}

#[test]
fn a_node_that_keeps_messages_beyond_its_end_cannot_be_restarted() {
    let mut test = NodeTest::new("hoarder").input("in").start(|mut node| {
        if let Some(Event::Input(input)) = node.recv().unwrap() {
            std::mem::forget(input);
        }
    });
    test.send("in", [1; 5000], Metadata::new());
    assert_eq!(test.settle(), Rest::Ended);
    let text = failure(|| test.restart());
    says(&text, &["hoarder", "still holds", "#1"]);
    let text = failure(|| drop(test.end()));
    says(&text, &["hoarder", "still holds", "#1"]);
}

#[test]
fn ports_that_were_not_declared_are_named() {
    let mut test = NodeTest::new("sink").input("in").start(sink);
    says(
        &failure(|| test.send("inn", b"", Metadata::new())),
        &["sink", "without an input `inn`"],
    );
    says(
        &failure(|| drop(test.receive("out"))),
        &["sink", "without an output `out`"],
    );
    says(
        &failure(|| test.tick("tick")),
        &["sink", "without a timer `tick`"],
    );
}

#[test]
fn a_timer_of_a_node_that_has_ended_does_not_tick() {
    let mut test = NodeTest::new("clock")
        .timer("tick", Duration::from_secs(1))
        .start(|_node| "no use for time");
    says(
        &failure(|| test.tick("tick")),
        &["clock", "`tick` cannot tick", "no use for time"],
    );
}
