//! Real handshakes between the networks of agents, and between one and whoever else comes to its port.
#![allow(clippy::unwrap_used)] // the helpers of tests are tests

mod agents;
mod keys;
mod links;
