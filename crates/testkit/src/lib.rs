//! To test actors, nodes and dataflows without a terminal: probes, virtual time, injected faults, simulated
//! processes, a Hub, a bad network. One seed reproduces a run.

pub mod actor;
pub mod hub;
pub mod launcher;
pub mod models;
pub mod node;
pub mod peers;
pub mod process;
pub mod proxy;
pub mod simulation;
pub mod virtual_time;
