//! The API a dataflow node is written with.
//!
//! ```no_run
//! use dataflow_node::{Event, Metadata, Node};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut node = Node::connect()?;
//! while let Some(event) = node.recv()? {
//!     if let Event::Input(input) = event {
//!         node.send("boxes", input.payload(), input.metadata())?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A message stays where its sender wrote it until its [`Input`] is dropped, from any thread. Beside the
//! user's threads a node has one more, which answers the runtime.

mod activity;
mod clock;
mod connect;
mod control;
mod edge_input;
mod error;
mod event;
mod handle;
mod loan;
mod node;
mod observation;
mod payload;
mod receiver;
mod sender;
mod shared;
mod stop;
mod time;
mod timer;
mod wait;

pub use clock::monotonic_now_ns;
pub use control::RuntimeLost;
pub use dataflow_wire::metadata::{
    METADATA_BYTES_MAX, METADATA_DEPTH_MAX, Metadata, MetadataError, Value,
};
pub use error::{ConnectError, DamagedEdge, Holder, RecvError, SendError};
pub use event::{Event, Input, Source};
pub use handle::Handle;
pub use loan::{Loan, SentLoan};
pub use node::Node;
pub use payload::PAYLOAD_ALIGNMENT;
pub use receiver::{Polled, Receiver};
pub use sender::Sender;
pub use time::VirtualTime;
pub use wait::{OnSignal, SignalHook};
