//! Supervision: actors that may panic, and what stays when they do.
//!
//! actix runs them, one at a time on the control arbiter. What it does not give is here: a [`Handle`] that
//! survives its actor, a mailbox whose messages survive it too, a guard that reports its end, and a factory that
//! builds the next incarnation.

mod guard;
mod mailbox;
mod shell;
mod supervisor;

#[cfg(test)]
mod tests;

pub(crate) use guard::{Down, Guard};
pub(crate) use mailbox::{Counts, Handle, Mailbox, Reply, TellError};
pub(crate) use shell::{Behaviour, start};
pub(crate) use supervisor::{Supervisor, Verdict};
