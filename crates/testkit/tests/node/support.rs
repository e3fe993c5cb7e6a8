//! Nodes that several of these tests run, and a look at what a test would have said.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dataflow_node::{Event, Node};
use dataflow_testkit::node::NodeTest;

/// Sends on everything that comes by `in`, on `out`.
pub(crate) fn relay(mut node: Node) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let mut count = 0;
    while let Some(event) = node.recv()? {
        if let Event::Input(input) = event {
            node.send("out", input.payload(), input.metadata())?;
            count += 1;
        }
    }
    Ok(count)
}

/// A node of the name `relay`, with one input and one output.
pub(crate) fn one_in_one_out() -> NodeTest {
    NodeTest::new("relay").input("in").output("out")
}

/// What `test` fails with.
pub(crate) fn failure(test: impl FnOnce()) -> String {
    let payload = match catch_unwind(AssertUnwindSafe(test)) {
        Ok(()) => panic!("it did not fail"),
        Err(payload) => payload,
    };
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| {
        payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
    })
    .unwrap()
}

/// Whether `text` says all of this.
pub(crate) fn says(text: &str, all: &[&str]) {
    for part in all {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}
