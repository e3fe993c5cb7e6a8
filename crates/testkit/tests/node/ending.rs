//! Closing, stopping, crashing, and what is left at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dataflow_node::{Event, Metadata, Node, RecvError};
use dataflow_testkit::node::{NodeTest, Queue, Rest};

use crate::support::{one_in_one_out, relay};

#[test]
fn a_closed_input_ends_after_what_is_queued() {
    let mut test = NodeTest::new("both")
        .input("left")
        .input("right")
        .output("out")
        .start(|mut node| {
            while let Some(event) = node.recv().unwrap() {
                let line = match event {
                    Event::Input(input) => format!("{}", input.id()),
                    Event::InputClosed(id) => format!("{id} closed"),
                    Event::AllInputsClosed => "all closed".to_owned(),
                    Event::Stop => "stop".to_owned(),
                };
                node.send("out", line, Metadata::new()).unwrap();
            }
        });
    test.send("left", b"1", Metadata::new());
    test.close("left");
    assert_eq!(test.receive("out").text(), "left");
    assert_eq!(test.receive("out").text(), "left closed");
    test.receive_nothing("out");
    test.close("right");
    assert_eq!(test.receive("out").text(), "right closed");
    assert_eq!(test.receive("out").text(), "all closed");
    assert_eq!(test.settle(), Rest::Ended);
    test.end().nothing_left();
}

/// Which events came, in order.
fn events(mut node: Node) -> Vec<String> {
    let mut events = Vec::new();
    while let Some(event) = node.recv().unwrap() {
        events.push(match event {
            Event::Input(input) => input.payload()[0].to_string(),
            other => format!("{other:?}"),
        });
    }
    events
}

#[test]
fn a_stop_comes_after_everything_that_was_sent_before_it() {
    let mut test = NodeTest::new("sink").input("in").start(events);
    for number in 0..4_u8 {
        test.send("in", [number], Metadata::new());
    }
    test.stop();
    let ended = test.end();
    assert_eq!(ended.nothing_left(), ["0", "1", "2", "3", "Stop"]);
}

#[test]
fn what_a_stop_leaves_unread_is_listed() {
    // It waits for room, and so does not take what comes.
    let mut test = NodeTest::new("relay")
        .input("in")
        .output_with("out", Queue::block(1))
        .start(|mut node| {
            let mut taken = 0;
            while let Ok(Some(Event::Input(input))) = node.recv() {
                taken += 1;
                if node.send("out", input.payload(), Metadata::new()).is_err() {
                    break;
                }
            }
            taken
        });
    for number in 0..5_u8 {
        test.send("in", [number], Metadata::new());
    }
    let outputs = vec!["out".to_owned()];
    assert_eq!(test.settle(), Rest::WaitsForRoom { outputs });
    test.stop_now();
    assert_eq!(test.settle(), Rest::Ended);
    let ended = test.end();
    assert_eq!(ended.returned, 2);
    assert_eq!(ended.unread, [("in".to_owned(), 3)]);
    let left: Vec<_> = ended.left.iter().map(|left| left.payload[0]).collect();
    assert_eq!(left, [0]);
}

#[test]
fn what_nobody_received_is_listed_in_order_however_small_the_queue() {
    let mut test = NodeTest::new("relay")
        .input("in")
        .output_with("out", Queue::block(1))
        .start(relay);
    for number in 0..7_u8 {
        test.send("in", [number], Metadata::new());
    }
    let ended = test.end();
    assert_eq!(ended.returned.unwrap(), 7);
    let left: Vec<_> = ended.left.iter().map(|left| left.payload[0]).collect();
    assert_eq!(left, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn the_next_incarnation_finds_what_a_crashed_one_has_not_taken() {
    let crashed = Arc::new(AtomicBool::new(false));
    let has_crashed = crashed.clone();
    let mut test = one_in_one_out().start(move |mut node| {
        let epoch = node.epoch();
        while let Some(event) = node.recv().unwrap() {
            if let Event::Input(input) = event {
                if !has_crashed.swap(true, Ordering::Relaxed) {
                    panic!("a crash");
                }
                let text = format!("{} in {epoch}", input.payload()[0]);
                node.send("out", text, Metadata::new()).unwrap();
            }
        }
    });
    test.send("in", [1; 200], Metadata::new());
    assert_eq!(test.settle(), Rest::Ended);
    test.send("in", [2; 200], Metadata::new());
    test.send("in", [3; 200], Metadata::new());
    test.restart();
    assert_eq!(test.receive("out").text(), "2 in 2");
    assert_eq!(test.receive("out").text(), "3 in 2");
    test.receive_nothing("out");
    test.send("in", [4; 200], Metadata::new());
    assert_eq!(test.receive("out").text(), "4 in 2");
    test.end().nothing_left();
}

#[test]
fn a_node_that_runs_is_restarted_where_it_waits() {
    let mut test = one_in_one_out().start(|mut node| {
        loop {
            match node.recv() {
                Ok(Some(Event::Input(input))) => {
                    let text = format!("{} in {}", input.payload()[0], node.epoch());
                    node.send("out", text, Metadata::new()).unwrap();
                }
                Ok(Some(_)) => {}
                Ok(None) => return "to its end",
                Err(RecvError::RuntimeGone) => return "until the crash",
                Err(error) => panic!("{error}"),
            }
        }
    });
    for number in 1..=20 {
        test.send("in", [number], Metadata::new());
        assert_eq!(test.receive("out").text(), format!("{number} in {number}"));
        test.restart();
    }
    assert_eq!(test.end().nothing_left(), "to its end");
}

#[test]
fn a_test_that_does_not_end_its_node_is_ended_all_the_same() {
    let ended = Arc::new(AtomicBool::new(false));
    let has_ended = ended.clone();
    let test = one_in_one_out().start(move |node| {
        relay(node).unwrap();
        has_ended.store(true, Ordering::Relaxed);
    });
    drop(test);
    assert!(ended.load(Ordering::Relaxed));
}
