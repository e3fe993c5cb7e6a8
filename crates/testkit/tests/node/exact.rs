//! What a node does next is known, and not timed: also what it does not do.

use dataflow_node::{Event, Metadata, Node};
use dataflow_testkit::node::{NodeTest, Queue, Rest};

use crate::support::{one_in_one_out, relay};

/// Sends on every second message.
fn every_second(mut node: Node) {
    let mut count = 0_u32;
    while let Some(event) = node.recv().unwrap() {
        if let Event::Input(input) = event {
            count += 1;
            if count.is_multiple_of(2) {
                node.send("out", input.payload(), input.metadata()).unwrap();
            }
        }
    }
}

#[test]
fn that_nothing_comes_is_known_at_once_and_always_right() {
    let mut test = one_in_one_out().start(every_second);
    for number in 0..500_u32 {
        // Inline messages, and such as lie in memory, whose segment is under way at first.
        let payload = vec![number as u8; if number % 4 < 2 { 8 } else { 3000 }];
        test.send("in", &payload, Metadata::new().with("number", number));
        if number % 2 == 0 {
            test.receive_nothing("out");
        } else {
            let received = test.receive("out");
            assert_eq!(received.payload, payload);
            assert_eq!(received.metadata, Metadata::new().with("number", number));
            test.receive_nothing("out");
        }
    }
    test.end().nothing_left();
}

#[test]
fn a_node_waits_for_room_where_its_queue_blocks_and_goes_on_when_there_is_some() {
    let mut test = NodeTest::new("relay")
        .input("in")
        .output_with("out", Queue::block(2))
        .start(relay);
    for number in 0..5_u8 {
        test.send("in", [number], Metadata::new());
    }
    let outputs = vec!["out".to_owned()];
    assert_eq!(test.settle(), Rest::WaitsForRoom { outputs });
    assert_eq!(
        test.input_counts("in").queued,
        2,
        "two are on `out`, one is on its way"
    );
    for number in 0..5 {
        assert_eq!(test.receive("out").payload, [number]);
    }
    assert_eq!(test.settle(), Rest::WaitsForInput);
    assert_eq!(test.end().nothing_left().unwrap(), 5);
}

#[test]
fn what_a_queue_drops_is_counted_exactly() {
    let mut test = NodeTest::new("relay")
        .input_with("in", Queue::drop_oldest(2))
        .output_with("out", Queue::block(1))
        .start(relay);
    // One on `out`, one in the hands of the node, which waits for room.
    for number in 0..2_u8 {
        test.send("in", [number], Metadata::new());
        test.settle();
    }
    for number in 2..6_u8 {
        test.send("in", [number], Metadata::new());
    }
    let received: Vec<_> = (0..4).map(|_| test.receive("out").payload[0]).collect();
    assert_eq!(received, [0, 1, 4, 5]);
    test.receive_nothing("out");
    assert_eq!(test.input_counts("in").dropped_full, 2);
    test.end().nothing_left().unwrap();
}

#[test]
fn a_source_without_inputs_comes_to_rest_too() {
    let mut test = NodeTest::new("source").output("out").start(|mut node| {
        for number in 0..3_u8 {
            node.send("out", [number], Metadata::new()).unwrap();
        }
        matches!(node.recv().unwrap(), Some(Event::Stop))
    });
    assert_eq!(test.settle(), Rest::WaitsForInput);
    for number in 0..3 {
        assert_eq!(test.receive("out").payload, [number]);
    }
    test.receive_nothing("out");
    test.stop();
    assert_eq!(test.settle(), Rest::Ended);
    assert!(test.end().nothing_left());
}

#[test]
fn a_node_that_works_on_threads_is_waited_for() {
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let gone = std::sync::Arc::new(gone);
    let mut test = one_in_one_out().has_threads().start(move |node| {
        let (sender, mut receiver) = node.split();
        let mut workers = Vec::new();
        while let Some(event) = receiver.recv().unwrap() {
            if let Event::Input(input) = event {
                let (sender, gone) = (sender.clone(), gone.clone());
                workers.push(std::thread::spawn(move || {
                    gone.lock().unwrap().recv().unwrap();
                    sender
                        .send("out", input.payload(), input.metadata())
                        .unwrap();
                }));
            }
        }
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
    });
    test.send("in", [7; 200], Metadata::new());
    let waiter = std::thread::spawn(move || {
        let received = test.receive("out");
        (test, received)
    });
    go.send(()).unwrap();
    let (test, received) = waiter.join().unwrap();
    assert_eq!(received.payload, [7; 200]);
    test.end().nothing_left();
}

#[test]
fn a_node_sees_where_its_messages_come_from_and_which_incarnation_it_is() {
    let mut test = NodeTest::new("detector")
        .input_from("image", "camera/raw", Queue::latest())
        .output("names")
        .epoch(4)
        .start(|mut node| {
            let epoch = node.epoch();
            while let Some(event) = node.recv().unwrap() {
                if let Event::Input(input) = event {
                    let text = format!("{} from {} in {epoch}", input.id(), input.source());
                    node.send("names", text, Metadata::new()).unwrap();
                }
            }
        });
    test.send("image", b"x", Metadata::new());
    assert_eq!(test.receive("names").text(), "image from camera/raw in 4");
    test.end().nothing_left();
}

/// As a program with an executor of its own would be.
fn asynchronous(mut node: Node) -> u32 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async move {
        let mut count = 0;
        while let Some(event) = node.recv_async().await.unwrap() {
            if let Event::Input(input) = event {
                node.send("out", input.payload(), input.metadata()).unwrap();
                count += 1;
            }
        }
        count
    })
}

#[test]
fn a_node_that_receives_in_futures_is_as_exact() {
    let mut test = one_in_one_out().start(asynchronous);
    for number in 0..200_u32 {
        test.receive_nothing("out");
        let payload = vec![number as u8; if number % 2 == 0 { 8 } else { 3000 }];
        test.send("in", &payload, Metadata::new());
        assert_eq!(test.receive("out").payload, payload);
    }
    assert_eq!(test.end().nothing_left(), 200);
}
