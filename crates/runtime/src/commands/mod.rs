//! The sockets that commands talk to: who may come in, and how they are told something. What is said there is said by
//! the root of a dataflow, and by the agent.

mod accept;
mod greet;
mod report;
mod say;

pub(crate) use accept::accept;
pub(crate) use greet::{Answered, Greeted, greet};
pub(crate) use report::say_report;
pub(crate) use say::say;
