//! How a node behaves, with a small runtime inside the test.
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
mod timers;
mod world;
