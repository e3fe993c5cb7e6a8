//! Faults of others: a damaged edge, a runtime that ends or refuses, a program outside a dataflow.

use std::thread;

use dataflow_node::{ConnectError, Event, Metadata, Node, RecvError, RuntimeLost, SendError};
use dataflow_shm::edge::header;
use dataflow_testkit::node::{Queue, TestRuntime};
use dataflow_wire::frame::{self, FrameReader};
use dataflow_wire::node::{ToNode, ToRuntime};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::support::message;

#[test]
fn a_damaged_edge_is_closed_and_named_and_the_others_go_on() {
    let runtime = TestRuntime::new()
        .node("source", &["bad", "good"])
        .node("sink", &[])
        .edge("source/bad", "sink/bad", Queue::block(2))
        .edge("source/good", "sink/good", Queue::block(2));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    runtime.damage(0, header::TAIL, 1 << 60);
    match sink.recv().unwrap().unwrap() {
        Event::InputClosed(id) => assert_eq!(id.as_str(), "bad"),
        other => panic!("{other:?}"),
    }
    runtime.hears("sink", |said| match said {
        ToRuntime::EdgeDamaged { edge, what } => {
            assert_eq!(edge.0, 0);
            assert!(!what.is_empty());
            Some(())
        }
        _ => None,
    });
    source.send("good", b"fine", Metadata::new()).unwrap();
    assert_eq!(message(&mut sink).payload(), b"fine");
}

#[test]
fn an_edge_that_is_damaged_before_a_node_comes_costs_it_that_edge_and_no_other() {
    for (word, value) in [(header::MAGIC, 0), (header::TAIL, u64::MAX)] {
        let runtime = TestRuntime::new()
            .node("source", &["bad", "good"])
            .node("sink", &[])
            .edge("source/bad", "sink/bad", Queue::block(2))
            .edge("source/good", "sink/good", Queue::block(2));
        runtime.damage(0, word, value);
        let mut sink = runtime.connect("sink");
        sink.ready();
        let mut source = runtime.connect("source");
        match sink.recv().unwrap().unwrap() {
            Event::InputClosed(id) => assert_eq!(id.as_str(), "bad"),
            other => panic!("{other:?}"),
        }
        for node in ["source", "sink"] {
            runtime.hears(node, |said| {
                matches!(said, ToRuntime::EdgeDamaged { edge, .. } if edge.0 == 0).then_some(())
            });
        }
        let refused = source.send("bad", b"lost", Metadata::new()).unwrap_err();
        assert!(
            matches!(refused, SendError::EdgeDamaged { .. }),
            "{refused}"
        );
        source.send("good", b"fine", Metadata::new()).unwrap();
        assert_eq!(message(&mut sink).payload(), b"fine");
    }
}

#[test]
fn a_sender_survives_a_damaged_edge_and_serves_the_others() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("bad", &[])
        .node("good", &[])
        .edge("source/out", "bad/in", Queue::block(2))
        .edge("source/out", "good/in", Queue::block(2));
    runtime.connect("bad").ready();
    let mut good = runtime.connect("good");
    good.ready();
    let mut source = runtime.connect("source");
    runtime.damage(0, header::HEAD, u64::MAX);
    let mut errors = Vec::new();
    for number in 0..20 {
        let sent = source.send("out", [number; 1000], Metadata::new());
        errors.extend(sent.err());
        assert_eq!(message(&mut good).payload(), [number; 1000]);
    }
    let [SendError::EdgeDamaged { damaged, .. }] = &errors[..] else {
        panic!("it is said once: {errors:?}");
    };
    assert_eq!((damaged.node.as_str(), damaged.refused), ("bad", 1));
    let text = errors[0].to_string();
    assert!(text.contains("bad/in") && text.contains("1 of 2"), "{text}");
    drop(source);
    let refused = runtime.hears("source", |said| match said {
        ToRuntime::Warning { text } => Some(text.clone()),
        _ => None,
    });
    assert!(
        refused.contains("messages were not sent to input in of bad"),
        "{refused}"
    );
    runtime.hears("source", |said| {
        matches!(said, ToRuntime::EdgeDamaged { edge, .. } if edge.0 == 0).then_some(())
    });
}

#[test]
fn an_output_without_any_edge_left_refuses_every_message() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("bad", &[])
        .edge("source/out", "bad/in", Queue::block(2));
    runtime.connect("bad").ready();
    let mut source = runtime.connect("source");
    source.send("out", [0; 1000], Metadata::new()).unwrap();
    runtime.damage(0, header::HEAD, u64::MAX);
    for refused in 1..=3 {
        let Err(SendError::EdgeDamaged {
            damaged, written, ..
        }) = source.send("out", [1; 1000], Metadata::new())
        else {
            panic!("a message that went nowhere was accepted");
        };
        assert_eq!((damaged.refused, written), (refused, 0));
    }
}

#[test]
fn a_runtime_that_ends_ends_every_wait() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(1));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    let sender = thread::spawn(move || {
        loop {
            if let Err(error) = source.send("out", [1; 1000], Metadata::new()) {
                return error;
            }
        }
    });
    runtime.until_blocked(0);
    runtime.hang_up("source");
    assert!(matches!(sender.join().unwrap(), SendError::RuntimeGone));
    drop(message(&mut sink));
    let receiver = thread::spawn(move || {
        loop {
            match sink.recv() {
                Ok(Some(Event::Input(_))) => {}
                other => return other.map(|_| ()),
            }
        }
    });
    runtime.until_idle(0);
    runtime.hang_up("sink");
    assert_eq!(receiver.join().unwrap(), Err(RecvError::RuntimeGone));
}

#[test]
fn a_receive_ends_when_the_half_is_closed_from_beside() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(1));
    let mut sink = runtime.connect("sink");
    let handle = sink.handle();
    let receiver = thread::spawn(move || {
        let first = sink.recv().map(|_| ());
        (first, sink.recv().map(|_| ()))
    });
    runtime.until_idle(0);
    handle.close_receiver();
    let closed = Err(RecvError::Closed);
    assert_eq!(receiver.join().unwrap(), (closed.clone(), closed));
    assert!(!handle.is_forked());
}

/// What a node says that connects to a runtime which answers with these messages and then closes.
fn connect_to(answers: &[ToNode]) -> ConnectError {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut reader = FrameReader::new();
            while reader.next::<ToRuntime>().unwrap().is_none() {
                reader.receive(&ours).unwrap();
            }
            for answer in answers {
                frame::send(&ours, answer, &[]).unwrap();
            }
        });
        Node::connect_to(theirs, RuntimeLost::GoOn).unwrap_err()
    })
}

#[test]
fn a_refusal_a_hang_up_and_nonsense_are_errors_that_say_so() {
    let refused = connect_to(&[ToNode::Refused {
        reason: "another version".to_owned(),
    }]);
    assert!(refused.to_string().contains("another version"), "{refused}");
    assert!(matches!(connect_to(&[]), ConnectError::Ended));
    assert!(matches!(
        connect_to(&[ToNode::Begin]),
        ConnectError::Unexpected { .. }
    ));
}

#[test]
fn outside_a_dataflow_the_error_says_what_to_do() {
    let error = Node::connect().unwrap_err();
    assert!(matches!(error, ConnectError::OutsideDataflow));
    assert!(error.to_string().contains("dataflow up"), "{error}");
}
