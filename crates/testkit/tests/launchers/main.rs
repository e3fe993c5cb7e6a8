//! The launcher of this kit and the real one pass the same suite.
#![allow(clippy::unwrap_used)] // the helpers of tests are tests

mod fake;
mod real;
