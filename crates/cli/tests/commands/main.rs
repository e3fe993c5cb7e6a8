//! What the commands do when their surroundings are not as usual: streams that stall or have gone, signals in any
//! order, runtimes that do not answer, names that mislead. Their nodes are plain programs.
#![allow(clippy::unwrap_used)] // the helpers of tests are tests

mod agent;
mod answers;
mod ground;
mod keys;
mod models;
mod names;
mod screen;
mod service;
mod signals;
mod starting;
mod streams;
mod top;
