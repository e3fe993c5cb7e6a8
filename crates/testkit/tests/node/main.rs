//! The harness for a node of one's own: what it shows of a node, and that it names what is wrong with one.
#![allow(clippy::unwrap_used)] // the helpers of tests are tests

mod ending;
mod exact;
mod faults;
mod limits;
mod support;
mod time;
