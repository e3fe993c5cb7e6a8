//! The fake Hub is what it says: seen by a client that sees every byte, and by Python's `huggingface_hub`.
#![allow(clippy::unwrap_used)] // the helpers of tests are tests

mod client;
mod faults;
mod protocol;
mod python;
