//! Launchers without processes, and the suite that every launcher passes.
//!
//! A [`FakeLauncher`] starts nothing: a program is an async function that plays the process through a
//! [`FakeProcess`]. It hears the runtime's frames and answers with its own, prints, sees signals, and ends. Frames
//! and descriptors stay what they are, so edges and segments are real. [`programs`] has some that are ready-made;
//! [`conformance`] is the list of what every launcher must do, whoever writes it.

pub mod conformance;
mod control;
mod conversation;
mod fake;
mod family;
mod pipe;
mod process;
pub mod programs;
mod state;

pub use fake::{FIRST_PID, FakeLauncher};
pub use process::FakeProcess;
pub use programs::Program;
