//! `recv_async` under an executor that knows nothing of this library.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use dataflow_ids::{EdgeId, Epoch, Sequence, StopMode};
use dataflow_node::{Event, Metadata, RecvError, Source};
use dataflow_testkit::node::{Queue, TestRuntime};
use dataflow_wire::node::{ToNode, ToRuntime};

use crate::support::pattern;

/// The smallest executor: the thread sleeps until it is woken.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn messages_timers_and_the_end_wake_a_future() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .timer("sink", "tick", Duration::from_millis(3))
        .edge("source/out", "sink/in", Queue::block(2));
    let mut sink = runtime.connect("sink");
    let mut source = runtime.connect("source");
    let sender = thread::spawn(move || {
        for number in 0..200 {
            source
                .send("out", pattern(number, 20 * number), Metadata::new())
                .unwrap();
        }
    });
    let mut messages = 0;
    let mut ticks = 0;
    while messages < 200 || ticks < 3 {
        match block_on(sink.recv_async()).unwrap().unwrap() {
            Event::Input(input) if *input.source() == Source::Timer => ticks += 1,
            Event::Input(input) => {
                assert!(input.payload() == pattern(messages, 20 * messages));
                messages += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    sender.join().unwrap();
    let closer = {
        let runtime = runtime.clone();
        thread::spawn(move || runtime.close(0))
    };
    let mut closed = false;
    loop {
        match block_on(sink.recv_async()).unwrap().unwrap() {
            Event::Input(input) => assert_eq!(*input.source(), Source::Timer),
            Event::InputClosed(_) => closed = true,
            Event::AllInputsClosed => break,
            Event::Stop => panic!("nobody asked for it"),
        }
    }
    assert!(closed);
    closer.join().unwrap();
    assert!(block_on(sink.recv_async()).unwrap().is_none());
}

#[test]
fn a_future_that_was_dropped_loses_nothing_and_does_not_leave_the_node_asleep() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(2));
    let mut sink = runtime.connect("sink");
    // What the runtime does when it hears that a node is ready wakes everybody once: it is waited for.
    sink.ready();
    runtime.hears("sink", |said| (*said == ToRuntime::Ready).then_some(()));
    {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut future = pin!(sink.recv_async());
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        assert!(runtime.read(0).receiver_idle);
    }
    assert!(!runtime.read(0).receiver_idle);
    let mut source = runtime.connect("source");
    source.send("out", b"kept", Metadata::new()).unwrap();
    match block_on(sink.recv_async()) {
        Ok(Some(Event::Input(input))) => assert_eq!(input.payload(), b"kept"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stop_and_the_end_of_the_runtime_wake_a_future() {
    let runtime = TestRuntime::new().node("source", &[]).node("other", &[]);
    let mut source = runtime.connect("source");
    let receiver = thread::spawn(move || block_on(source.recv_async()));
    runtime.hears("source", |said| (*said == ToRuntime::Ready).then_some(()));
    runtime.stop("source", StopMode::Graceful, &[]);
    assert!(matches!(receiver.join().unwrap(), Ok(Some(Event::Stop))));

    let mut other = runtime.connect("other");
    let receiver = thread::spawn(move || block_on(other.recv_async()).map(|_| ()));
    runtime.hears("other", |said| (*said == ToRuntime::Ready).then_some(()));
    runtime.hang_up("other");
    assert_eq!(receiver.join().unwrap(), Err(RecvError::RuntimeGone));
}

#[test]
fn who_waits_in_a_future_is_not_in_user_code() {
    let runtime = TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(2));
    let mut sink = runtime.connect("sink");
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(sink.recv_async());
    let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    // Longer than the clock is coarse.
    let until = Instant::now() + Duration::from_millis(50);
    let mut asked = 0;
    while Instant::now() < until {
        asked += 1;
        runtime.tell(
            "sink",
            &ToNode::ReleaseRequest {
                edge: EdgeId(0),
                epoch: Epoch(1),
                upto: Sequence(0),
                attempt: asked,
            },
        );
        let mut answers = 0;
        runtime.hears("sink", |said| {
            if *said == ToRuntime::Ready {
                answers = 0;
            }
            let ToRuntime::ReleaseAck { busy_for, .. } = said else {
                return None;
            };
            assert_eq!(*busy_for, Duration::ZERO);
            answers += 1;
            (answers == asked).then_some(())
        });
    }
}
