//! What can be seen of a message on its way, by those who test.

/// What has happened to a message, or to the actor over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    not(any(test, feature = "faults")),
    expect(unreachable_pub, reason = "only tests can watch")
)]
pub enum What {
    /// It was taken into the mailbox.
    Sent,
    /// It was given back to its sender.
    Returned,
    /// Its handler has returned.
    Handled,
    /// Its handler has panicked.
    Panicked,
    /// Nobody will handle it.
    DeadLettered,
}

/// Something that was seen at a mailbox.
#[cfg(any(test, feature = "faults"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// Whose mailbox.
    pub actor: &'a str,
    /// The kind of the message; `begin` when the actor has panicked over none.
    pub kind: &'static str,
    /// What has happened.
    pub what: What,
}
