//! How a node behaves, with the runtime of the test kit.
#![allow(clippy::unwrap_used)] // the helpers of tests are tests

mod asynchronous;
mod control;
mod drain;
mod faults;
mod limits;
mod messages;
mod segments;
mod spin;
mod stop;
mod support;
mod timers;
mod times;
