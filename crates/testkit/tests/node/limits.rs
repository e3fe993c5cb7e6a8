//! Tokens and memory: what a test holds as the receiver, and what a node holds.

use dataflow_node::{Event, Metadata, SendError};
use dataflow_testkit::node::{NodeTest, Queue, Rest, header};

use crate::support::{one_in_one_out, relay, says};

#[test]
fn what_the_test_holds_stays_the_nodes_memory_until_it_is_released() {
    let mut test = one_in_one_out().start(relay);
    test.send("in", [1; 5000], Metadata::new());
    let held = test.hold("out");
    assert!(held.is_held());
    assert_eq!(test.output_counts("out").held, 1);
    test.send("in", [2; 5000], Metadata::new());
    assert_eq!(test.receive("out").payload, [2; 5000]);
    assert_eq!(held.payload(), [1; 5000], "nobody writes over it");
    drop(held);
    assert_eq!(test.output_counts("out").held, 0);
    test.end().nothing_left().unwrap();
}

#[test]
fn a_node_waits_for_memory_that_the_test_holds() {
    let mut test = NodeTest::new("relay")
        .input("in")
        .output("out")
        .output_memory_bytes(1 << 20)
        .start(relay);
    let mut held = Vec::new();
    let outputs = vec!["out".to_owned()];
    loop {
        test.send("in", [1; 100_000], Metadata::new());
        match test.settle() {
            Rest::WaitsForInput => held.push(test.hold("out")),
            rest => {
                assert_eq!(rest, Rest::WaitsForRoom { outputs });
                break;
            }
        }
    }
    assert!(
        (5..=10).contains(&held.len()),
        "{} fit into 1 MiB",
        held.len()
    );
    held.pop();
    assert_eq!(test.receive("out").payload, [1; 100_000]);
    drop(held);
    test.end().nothing_left().unwrap();
}

#[test]
fn a_node_at_its_limit_without_anybody_to_wait_for_is_told_who_has_its_memory() {
    let mut test = NodeTest::new("relay")
        .input("in")
        .output_with("out", Queue::latest())
        .output_memory_bytes(1 << 20)
        .start(relay);
    let mut held = Vec::new();
    while test.settle() != Rest::Ended {
        test.send("in", [1; 100_000], Metadata::new());
        if test.settle() != Rest::Ended {
            held.push(test.hold("out"));
        }
    }
    let ended = test.end();
    says(
        &ended.returned.unwrap_err().to_string(),
        &["testkit-out has", "input out"],
    );
}

#[test]
fn a_damaged_input_is_closed_and_named_and_the_node_goes_on() {
    let mut test = NodeTest::new("sum")
        .input("bad")
        .input("good")
        .output("out")
        .start(|mut node| {
            while let Some(event) = node.recv().unwrap() {
                match event {
                    Event::Input(input) => {
                        node.send("out", input.payload(), Metadata::new()).unwrap();
                    }
                    Event::InputClosed(id) => {
                        node.send("out", format!("{id} closed"), Metadata::new())
                            .unwrap();
                    }
                    Event::AllInputsClosed | Event::Stop => {}
                }
            }
        });
    test.settle();
    test.damage_input("bad", header::TAIL, 1 << 60);
    test.send("good", b"still here", Metadata::new());
    let mut texts = [test.receive("out"), test.receive("out")].map(|it| it.text().to_owned());
    texts.sort();
    assert_eq!(texts, ["bad closed", "still here"]);
    says(&test.warnings().join("\n"), &["input `bad` is damaged"]);
    assert_eq!(
        test.settle(),
        Rest::WaitsForInput,
        "a damaged edge keeps nobody from rest"
    );
    test.close("good");
    assert_eq!(test.receive("out").text(), "good closed");
    test.end().nothing_left();
}

#[test]
fn a_node_survives_a_receiver_that_damages_its_edge() {
    let mut test = one_in_one_out().start(|mut node| {
        let mut errors = Vec::new();
        while let Some(event) = node.recv().unwrap() {
            if let Event::Input(input) = event
                && let Err(error) = node.send("out", input.payload(), Metadata::new())
            {
                errors.push(error);
            }
        }
        errors
    });
    test.send("in", b"1", Metadata::new());
    test.receive("out");
    test.damage_output("out", header::HEAD, u64::MAX);
    for _ in 0..12 {
        test.send("in", b"2", Metadata::new());
    }
    let ended = test.end();
    assert!(!ended.returned.is_empty());
    for error in ended.returned {
        assert!(matches!(error, SendError::EdgeDamaged { .. }), "{error}");
    }
}
