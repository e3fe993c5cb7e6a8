//! Fetching models from the fake Hub: what comes right, what is gone on from, and what fails with which error.

#![allow(clippy::unwrap_used)] // the helpers of tests are tests

mod encrypted;
mod faulty;
mod fresh;
mod listed;
mod matrix;
mod pinned;
mod processes;
mod read_only;
mod refusals;
mod resumed;
mod silent;
mod support;
mod together;
