//! Agents that watch each other over a simulated network, driven by a seed.
//!
//! A seed chooses two to five machines, how they watch each other, what the paths between them are like, and what goes
//! wrong: delay, loss, reordering, cuts one way, stalls of the control loop or of the whole process, restarts, clocks that
//! jump, reloads, keys that change, machines that move, and second agents with a peer's key. Every agent runs the
//! machines of `core::peers`, one a peer; below them there is a transport that behaves as QUIC does in what matters
//! here. Everything that must be true is looked at as it happens (`looks`), and at the end, when nothing is wrong any
//! more, all must be healthy. Nothing waits: a seed takes milliseconds, and always goes the same way.

mod agent;
mod looks;
mod notes;
mod packets;
mod path;
mod plan;
mod seeds;
mod transport;
mod troubles;
mod world;

pub use notes::Simulated;
pub use seeds::{Summary, simulate_all};
pub use world::simulate;
