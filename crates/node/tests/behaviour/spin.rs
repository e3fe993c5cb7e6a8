//! A receiver that watches its input before it sleeps: for no longer than its caller has time, and not deaf to
//! signals.

use std::time::{Duration, Instant};

use dataflow_node::{Node, OnSignal, Polled, RecvError};
use dataflow_testkit::node::{Queue, TestRuntime};

fn spinning(spin: Duration) -> Node {
    TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(4).spin(spin))
        .connect("sink")
}

#[test]
fn a_receive_with_a_time_ends_in_time() {
    let mut sink = spinning(Duration::from_secs(60));
    let since = Instant::now();
    let polled = sink.recv_timeout(Duration::from_millis(5)).unwrap();
    assert!(matches!(polled, Polled::Nothing));
    assert!(since.elapsed() < Duration::from_secs(30));
}

#[test]
fn after_a_spin_the_caller_is_asked_for_signals_before_it_sleeps() {
    let (_sender, mut sink) = spinning(Duration::from_micros(10)).split();
    let outcome = sink.recv_timeout_with(Duration::from_secs(60), &mut || OnSignal::GiveUp);
    assert!(matches!(outcome, Err(RecvError::Interrupted)));
}
