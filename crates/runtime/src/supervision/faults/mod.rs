//! Faults that are injected on purpose, for tests: on the way of a message, in the actor that handles it, and, for
//! the runtime's own tests, at each step.

mod actor;
mod any;
mod rules;
#[cfg(test)]
mod steps;

pub use any::AnyActor;
pub use rules::{Fault, Injected, When};
#[cfg(test)]
pub(crate) use steps::{arm, arm_task, enter, step, steps, task_step};

pub(super) use actor::panic;
pub(super) use rules::Faults;
