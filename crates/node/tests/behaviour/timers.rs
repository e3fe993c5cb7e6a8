//! Timers: fired by the library, beside edges and alone.

use std::time::Duration;

use dataflow_ids::StopMode;
use dataflow_node::{Event, Metadata, Source};
use dataflow_testkit::node::{Queue, TestRuntime};
use dataflow_wire::node::ToRuntime;

use crate::control::how_busy;
use crate::support::message;

#[test]
fn a_timer_fires_and_counts() {
    let runtime =
        TestRuntime::new()
            .node("clock", &[])
            .timer("clock", "tick", Duration::from_millis(2));
    let mut clock = runtime.connect("clock");
    let mut last = 0;
    for _ in 0..5 {
        let tick = message(&mut clock);
        assert_eq!(tick.id().as_str(), "tick");
        assert_eq!(*tick.source(), Source::Timer);
        assert!(tick.payload().is_empty());
        // What was missed is counted, so that no period is lost.
        assert_eq!(tick.sequence().0, last + 1 + tick.missed());
        let missed = tick.metadata().get("missed").and_then(|m| m.as_i64());
        assert_eq!(missed.unwrap_or(0) as u64, tick.missed());
        last = tick.sequence().0;
    }
}

#[test]
fn all_inputs_closed_ignores_timers() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .timer("sink", "tick", Duration::from_secs(3600))
        .edge("source/out", "sink/in", Queue::block(2));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    source.send("out", b"x", Metadata::new()).unwrap();
    runtime.close(0);
    assert_eq!(message(&mut sink).payload(), b"x");
    assert!(matches!(sink.recv(), Ok(Some(Event::InputClosed(_)))));
    assert!(matches!(sink.recv(), Ok(Some(Event::AllInputsClosed))));
    assert!(matches!(sink.recv(), Ok(None)));
}

#[test]
fn a_timer_fires_beside_a_busy_edge() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .timer("sink", "tick", Duration::from_nanos(1))
        .edge("source/out", "sink/in", Queue::block(64));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    for _ in 0..64 {
        source.send("out", b"x", Metadata::new()).unwrap();
    }
    let ticks = (0..64)
        .filter(|_| *message(&mut sink).source() == Source::Timer)
        .count();
    assert_eq!(ticks, 32, "of 64 messages, with a timer that is always due");
}

#[test]
fn a_timer_that_is_always_due_delays_no_stop() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .timer("sink", "tick", Duration::from_nanos(1))
        .edge("source/out", "sink/in", Queue::block(64));
    let mut sink = runtime.connect("sink");
    sink.ready();
    let mut source = runtime.connect("source");
    for _ in 0..3 {
        source.send("out", b"x", Metadata::new()).unwrap();
    }
    // As a node is stopped that will be started again: what is queued is not for this incarnation.
    runtime.stop("sink", StopMode::Graceful, &[(0, 0)]);
    // It answers in order, so it has heard of the stop.
    runtime.tell("sink", &how_busy());
    runtime.hears("sink", |said| {
        matches!(said, ToRuntime::ReleaseAck { .. }).then_some(())
    });
    let mut ticks = 0;
    while let Some(Event::Input(input)) = sink.recv().unwrap() {
        assert_eq!(*input.source(), Source::Timer, "nothing of the queue");
        ticks += 1;
        assert!(
            ticks < 1_000_000,
            "the stop has been sent, and does not come"
        );
    }
    assert_eq!(runtime.read(0).counts.queued, 3);
}
