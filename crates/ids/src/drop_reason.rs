//! Why a message was not delivered: one set of words for all that counts drops (section 5 of the design).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a message that was sent is not delivered and will not be. What its receiver held when it died is lost, not dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The queue was full.
    Full,
    /// The receiver has ended for good.
    ReceiverClosed,
    /// The sender needed room in its memory.
    Memory,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [DropReason; 3] = [
        DropReason::Full,
        DropReason::ReceiverClosed,
        DropReason::Memory,
    ];

    /// The reason's word, as metrics, JSON and the columns of `top` have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            DropReason::Full => "full",
            DropReason::ReceiverClosed => "receiver_closed",
            DropReason::Memory => "memory",
        }
    }

    /// What had happened, as people read it.
    pub const fn because(self) -> &'static str {
        match self {
            DropReason::Full => "the queue was full",
            DropReason::ReceiverClosed => "the receiver had ended",
            DropReason::Memory => "the sender's memory was full",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
