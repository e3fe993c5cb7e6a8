//! What several of these tests need.

use dataflow_node::{Event, Input, Node};

/// The next event, which must be a message.
pub(crate) fn message(node: &mut Node) -> Input {
    match node.recv().unwrap() {
        Some(Event::Input(input)) => input,
        other => panic!("a message was expected, not {other:?}"),
    }
}

/// `length` bytes that say which message they belong to.
pub(crate) fn pattern(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + number) as u8).collect()
}
