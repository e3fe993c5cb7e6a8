//! To test a node without a dataflow: the real node library over real edges, with the test in place of the runtime.

mod queue;
mod runtime;

pub use queue::Queue;
pub use runtime::{Handing, TestRuntime};
