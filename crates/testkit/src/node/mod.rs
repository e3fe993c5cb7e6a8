//! To test a node of your own without a dataflow, a process or a terminal.
//!
//! A node's program is a function that takes a [`Node`](dataflow_node::Node); `main` does nothing but connect and call
//! it. A test calls it too: [`NodeTest`] connects it to the real node library over real shared memory, with the test
//! in place of the runtime and of all other nodes.
//!
//! ```
//! use dataflow_node::{Event, Metadata, Node};
//! use dataflow_testkit::node::NodeTest;
//!
//! // The node: counts the bright pixels of each image.
//! fn count_bright(node: &mut Node) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     while let Some(event) = node.recv()? {
//!         if let Event::Input(image) = event {
//!             let bright = image.payload().iter().filter(|pixel| **pixel > 200).count();
//!             if bright > 0 {
//!                 node.send("bright", bright.to_string(), image.metadata())?;
//!             }
//!         }
//!     }
//!     Ok(())
//! }
//!
//! // The test.
//! let mut test = NodeTest::new("counter")
//!     .input("image")
//!     .output("bright")
//!     .start(|mut node| count_bright(&mut node));
//! test.send("image", [255, 0, 255], Metadata::new().with("frame", 7));
//! let bright = test.receive("bright");
//! assert_eq!(bright.text(), "2");
//! assert_eq!(bright.metadata, Metadata::new().with("frame", 7));
//! test.send("image", [0, 0, 0], Metadata::new().with("frame", 8));
//! test.receive_nothing("bright");
//! test.end().nothing_left()?;
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! # What a test does
//!
//! | | |
//! | --- | --- |
//! | [`send`](RunningNode::send), [`close`](RunningNode::close) | what the senders of its inputs do |
//! | [`receive`](RunningNode::receive), [`hold`](RunningNode::hold), [`receive_nothing`](RunningNode::receive_nothing) | what the receivers of its outputs do |
//! | [`tick`](RunningNode::tick), [`advance`](RunningNode::advance) | its time: it stands still otherwise |
//! | [`stop`](RunningNode::stop), [`stop_now`](RunningNode::stop_now), [`restart`](RunningNode::restart) | what the runtime does |
//! | [`damage_input`](RunningNode::damage_input), [`damage_output`](RunningNode::damage_output) | what a faulty process does |
//! | [`settle`](RunningNode::settle), [`input_counts`](RunningNode::input_counts), [`warnings`](RunningNode::warnings) | looks, and changes nothing |
//! | [`end`](RunningNode::end) | ends the node and checks what it has done with every message |
//!
//! Queues are as in a description: [`NodeTest::input_with`], [`NodeTest::output_with`] and [`Queue`]. If nothing is
//! said they have 10 places and block, so that no message is ever lost by chance.
//!
//! # What is not timed
//!
//! A receiver says in its edge when it is about to sleep, and who wakes it resets that. So "the node waits for input,
//! and there is none" is a fact that can be read, and what follows from it is certain: [`RunningNode::receive`] either
//! gives a message or fails with what the node does instead, and [`RunningNode::receive_nothing`] does not guess. There
//! is no sleep and no time-out to be tuned; [`NodeTest::patience`] only keeps a test from hanging whose node runs for
//! ever. Two things remain to be said to the kit:
//!
//! - A node whose other threads or tasks go on while it waits for an event: [`NodeTest::has_threads`]. Then a receive
//!   waits for a message, the node's end, or the end of its patience.
//! - Timers and timeouts of the node's library go by the test's time. A program that asks the machine for the time, or
//!   sleeps, does so for real.
//!
//! The program runs on a thread of its own, since a receive waits for as long as nothing comes: that is the node API.
//! Everything else happens in the test's thread and by its calls. A node written for an executor (`recv_async`) brings
//! that along, in the function that is tested.
//!
//! # More than one node
//!
//! [`TestRuntime`] is what stands behind it: a runtime whose every act is the test's, for any number of nodes, and for
//! tests of the conversation with the runtime itself. The tests of the node library are written with it.

mod ended;
mod incarnation;
mod message;
mod ports;
mod queue;
mod rest;
mod running;
mod runtime;
mod setup;

pub use dataflow_shm::edge::{EdgeCounts, header};
pub use ended::Ended;
pub use message::Received;
pub use queue::Queue;
pub use rest::Rest;
pub use running::RunningNode;
pub use runtime::{Handing, TestRuntime};
pub use setup::NodeTest;
