//! A machine that is a peer: a host of a network, a home of its own with its key, its file of peers, its agent.

mod agent;
mod file;
mod home;

pub use agent::Agent;
pub use file::{PeerEntry, PeersFile};
pub use home::Machine;
