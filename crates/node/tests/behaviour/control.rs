//! The control thread: the program's signals never come to it, and it says why it must end.

use std::time::{Duration, Instant};

use dataflow_ids::{EdgeId, Epoch, Sequence};
use dataflow_testkit::node::{Queue, TestRuntime};
use dataflow_wire::node::{ToNode, ToRuntime};

fn dataflow() -> TestRuntime {
    TestRuntime::new()
        .node("source", &["out"])
        .node("sink", &[])
        .edge("source/out", "sink/in", Queue::block(4))
}

/// A question about no token and no edge.
pub(crate) fn how_busy() -> ToNode {
    ToNode::ReleaseRequest {
        edge: EdgeId(u32::MAX),
        epoch: Epoch(1),
        upto: Sequence::NONE,
        attempt: 1,
    }
}

#[test]
fn signals_are_blocked_on_the_control_thread() {
    let runtime = dataflow();
    let _sink = runtime.connect("sink");
    // Its answer says that the thread runs, and so has its name.
    runtime.tell(
        "sink",
        &ToNode::ReleaseRequest {
            edge: EdgeId(0),
            epoch: Epoch(1),
            upto: Sequence(0),
            attempt: 1,
        },
    );
    runtime.hears("sink", |said| {
        matches!(said, ToRuntime::ReleaseAck { .. }).then_some(())
    });
    let mut masks = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        // Threads of other tests come and go.
        let Ok(status) = std::fs::read_to_string(task.unwrap().path().join("status")) else {
            continue;
        };
        let line = |key| status.lines().find_map(|line| line.strip_prefix(key));
        if line("Name:").is_some_and(|name| name.trim() == "dataflow") {
            masks.push(u64::from_str_radix(line("SigBlk:").unwrap().trim(), 16).unwrap());
        }
    }
    assert!(!masks.is_empty());
    // SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGCHLD.
    for signal in [1, 2, 10, 12, 14, 15, 17] {
        for mask in &masks {
            assert_ne!(mask & 1 << (signal - 1), 0, "signal {signal}: {mask:x}");
        }
    }
}

#[test]
fn a_node_without_inputs_says_for_how_long_its_code_has_run() {
    let runtime = dataflow();
    let connected = Instant::now();
    let source = runtime.connect("source");
    source.ready();
    runtime.tell("source", &how_busy());
    let busy_for = runtime.hears("source", |said| match said {
        ToRuntime::ReleaseAck { busy_for, .. } => Some(*busy_for),
        _ => None,
    });
    // The clock that counts it is coarse.
    assert!(busy_for <= connected.elapsed() + Duration::from_millis(20));
}

#[test]
fn a_node_that_cannot_hear_its_runtime_says_why_before_it_ends() {
    let runtime = dataflow();
    let _sink = runtime.connect("sink");
    runtime.babble("sink", &[0xff; 64]);
    runtime.hears("sink", |said| match said {
        ToRuntime::Warning { text } => {
            assert!(text.contains("sink") && text.contains("header"), "{text}");
            Some(())
        }
        _ => None,
    });
}
