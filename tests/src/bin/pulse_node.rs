//! Two nodes that show how steadily messages flow: `send` has a beat and says in each message when it was due, and
//! `feel` writes down how late each has come. `args: [send, every_ms=10]`, `args: [feel]`. With `every_ms=0` there is no
//! pause, and `take` takes messages and writes nothing down.
//!
//! A sender that was held up sends everything that was due meanwhile. So a standstill shows in every message that it
//! has delayed, and not in one.

use std::error::Error;
use std::time::Duration;

use dataflow_node::{Event, Metadata, Node, SendError, monotonic_now_ns};
use dataflow_tests::Lateness;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("send"), Some(every)) => {
            let every = every.strip_prefix("every_ms=").ok_or("every_ms=…")?;
            send(Duration::from_millis(every.parse()?))
        }
        (Some("feel"), None) => feel(),
        (Some("take"), None) => take(),
        _ => Err("send every_ms=…, feel, or take".into()),
    }
}

/// Sends at its beat until the stop. It may lag behind the messages' times, and catches up. The beat begins when the first
/// message has gone, for which a send waits until the other program has started.
fn send(every: Duration) -> Outcome {
    let mut node = Node::connect()?;
    let mut due_ns = monotonic_now_ns();
    let mut is_first = true;
    loop {
        match node.send("out", due_ns.to_le_bytes(), Metadata::new()) {
            Ok(()) => {}
            Err(SendError::Stopped { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if std::mem::take(&mut is_first) {
            due_ns = monotonic_now_ns();
        }
        due_ns += every.as_nanos() as u64;
        if every.is_zero() {
            continue;
        }
        let left_ns = due_ns.saturating_sub(monotonic_now_ns());
        std::thread::sleep(Duration::from_nanos(left_ns));
    }
}

/// Feels the beat until the end.
fn feel() -> Outcome {
    let mut node = Node::connect()?;
    let mut lateness = Lateness::default();
    while let Some(event) = node.recv()? {
        if let Event::Input(input) = event {
            let due_ns = u64::from_le_bytes(input.payload().try_into()?);
            lateness.add_ns(monotonic_now_ns().saturating_sub(due_ns));
        }
    }
    lateness.write_for_test()?;
    Ok(())
}

/// Takes everything until the end.
fn take() -> Outcome {
    let mut node = Node::connect()?;
    while node.recv()?.is_some() {}
    Ok(())
}
