//! To test actors, nodes and dataflows without a terminal: probes, virtual time, injected faults, simulated
//! processes. One seed reproduces a run.

pub mod actor;
pub mod launcher;
pub mod node;
pub mod process;
pub mod simulation;
pub mod virtual_time;
