//! What the benches share: the clock, the figures, the controls, and one measured dataflow.

pub mod arguments;
pub mod clock;
pub mod controls;
pub mod figures;
pub mod measured;
