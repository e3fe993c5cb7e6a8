//! A simulated node: a process as a state machine, which does one thing at a time when it is told to.
//!
//! It has the node's side of the conversation with the runtime and the node's ends of real edges, and neither a
//! thread nor a clock. It sleeps as the real library does, and looks again only after it was woken.

mod behaviour;
mod library;
mod observation;
mod payload;
mod program;
mod simulated;

pub use behaviour::{
    Acknowledgements, Afterwards, AtTerminate, Behaviour, CrashPoint, Library, Lingers, Releases,
};
pub use observation::{Fate, Observation};
pub use payload::{STAMP_BYTES, Spoiled, Stamp};
pub use simulated::{SimulatedProcess, Stage};
