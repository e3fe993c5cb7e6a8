//! The actors, and what they drive: processes, control sockets, edges, logs.
//!
//! A caller prepares a run from a checked description ([`prepare`]), keeps [`Controls`] for its signals, and
//! gives its thread to [`Run::block_on`]. Other commands find a run through [`registry`], talk to it with
//! [`client`], and read what its nodes said with [`logs`].
//!
//! A run that needs none of that, because it lives in a program or in a test, is [embedded](embed). Processes stand
//! behind the traits of [`process`].

pub mod actor;
mod actors;
pub mod agent;
pub mod backlog;
pub mod client;
mod commands;
mod controls;
pub mod embed;
mod env;
mod error;
mod household;
mod interruption;
mod limits;
pub mod logs;
pub mod machine;
pub mod models;
pub mod network;
mod options;
pub mod pool;
mod ports;
mod prepare;
pub mod process;
mod programs;
pub mod registry;
mod root;
mod served;
mod statistics;
mod supervision;

pub use controls::Controls;
pub use dataflow_shm::child::close_inherited_on_exec;
pub use dataflow_wire::event::RunEvent;
pub use error::{ErrorClass, RunError, UpError};
pub use interruption::Interruption;
pub use options::{AgentMachine, GivenEnvironment, RunOptions};
pub use prepare::{Run, prepare};
pub use statistics::{MetricsError, MetricsPages};

#[cfg(test)]
mod tests;
