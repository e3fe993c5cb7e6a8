//! How a node behaves, with a small runtime inside the test.
#![allow(clippy::unwrap_used)] // the helpers of tests are tests

mod asynchronous;
mod drain;
mod faults;
mod limits;
mod messages;
mod stop;
mod timers;
mod world;
