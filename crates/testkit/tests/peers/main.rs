//! The control loop's part for peers, on virtual time: several agents in one thread, joined by a network that does what
//! a test says.

mod counted;
mod reload;
mod revoked;
mod service;
mod strikes;
mod support;
