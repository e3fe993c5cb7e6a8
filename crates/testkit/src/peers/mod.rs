//! Agents that reach each other without a socket: a network on virtual time, whose paths are delayed, lossy, or cut.

mod ether;
mod judge;
mod link;
mod network;
pub mod simulation;
mod stopped;

pub use ether::{Agent, Ether, Path};
pub use network::FakeNetwork;
pub use stopped::{StopSwitch, Stoppable};
