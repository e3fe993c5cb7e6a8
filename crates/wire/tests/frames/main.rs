//! Frames: every message survives the way, and whatever is no message is refused.
#![allow(clippy::unwrap_used)] // in tests, a panic is the report

mod descriptors;
mod hello;
mod hostile;
mod largest;
mod round_trip;
mod strategies;
