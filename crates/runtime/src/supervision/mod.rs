//! Supervision: actors that may panic, and what stays when they do.
//!
//! actix runs them, one at a time on the control arbiter. What it does not give is here: a [`Handle`] that
//! survives its actor, a mailbox whose messages survive it too, a guard that reports its end, and a factory that
//! builds the next incarnation.

#[cfg(any(test, feature = "faults"))]
pub(crate) mod faults;
mod guard;
mod handle;
mod mailbox;
mod message;
mod reply;
mod seen;
mod shell;
mod supervisor;

#[cfg(test)]
mod tests;

pub use guard::Down;
pub use handle::{Handle, TellError};
pub use mailbox::{Counts, Mailbox};
pub use message::Message;
pub use reply::{AskError, Reply};
#[cfg(any(test, feature = "faults"))]
pub use seen::{Seen, What};
pub use shell::Behaviour;
pub use supervisor::{ACTOR_POLICY, Supervisor, Verdict};

pub(crate) use shell::panic_text;
