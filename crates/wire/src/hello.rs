//! The check of the first message of each conversation: both sides must speak the same version.

/// The other side speaks another version of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the other side speaks version {theirs} of the {conversation} protocol and this side version {ours}: \
     {remedy}"
)]
pub struct ProtocolMismatch {
    /// Which conversation: `node` or `command`.
    pub conversation: &'static str,
    /// The version of this side.
    pub ours: u32,
    /// The version of the other side.
    pub theirs: u32,
    /// What to do.
    pub remedy: &'static str,
}
