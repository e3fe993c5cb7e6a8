//! Real handshakes between the networks of agents, and between one and whoever else comes to its port.
#![allow(clippy::unwrap_used)] // the helpers of tests are tests

mod addresses;
mod agents;
mod floods;
mod hostile;
mod keys;
mod links;
mod raw;
mod relay;
mod strangers;
