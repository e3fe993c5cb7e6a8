//! What the benches share: the clock, the figures, the controls, one measured dataflow, what a process takes, on which
//! processors it runs, and the pools.

pub mod arguments;
pub mod clock;
pub mod controls;
pub mod figures;
pub mod measured;
pub mod pools;
pub mod processes;
pub mod processors;
