//! Supervision: actors that may panic, and what stays when they do.
//!
//! actix runs them, one at a time on the control arbiter. What it does not give is here: a [`Handle`] that
//! survives its actor, a mailbox whose messages survive it too, a guard that reports its end, and a factory that
//! builds the next incarnation.

#[cfg(test)]
pub(crate) mod faults;
mod guard;
mod mailbox;
mod shell;
mod supervisor;

#[cfg(test)]
mod tests;

pub(crate) use guard::Down;
pub use mailbox::Counts;
pub(crate) use mailbox::{Handle, Mailbox};
pub(crate) use shell::{Behaviour, panic_text};
pub(crate) use supervisor::{ACTOR_POLICY, Supervisor, Verdict};
