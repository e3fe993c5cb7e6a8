//! Why a sender waits: one set of words for edges, for those who explain, and for all that shows it.

use serde::{Deserialize, Serialize};

/// What a sender sleeps for, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SenderSleep {
    /// Until the receiver takes a message.
    Queue,
    /// Until the receiver releases a message.
    Release,
    /// Until the receiver is ready for the first message.
    Readiness,
}

impl SenderSleep {
    /// Each of them.
    pub const ALL: [SenderSleep; 3] = [
        SenderSleep::Queue,
        SenderSleep::Release,
        SenderSleep::Readiness,
    ];

    /// Whether it has a message that finds no room, in the queue or in its memory.
    pub fn is_for_room(self) -> bool {
        self != SenderSleep::Readiness
    }
}

/// What a sender lacks on an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lacks {
    /// A receiver that is ready for its first message.
    Readiness,
    /// Room in the queue.
    Queue,
    /// A slot: the receiver holds more messages than it may.
    Slots,
    /// Memory: its messages are queued for the receiver, or held by it.
    Memory,
}

impl Lacks {
    /// Each of them.
    pub const ALL: [Lacks; 4] = [Lacks::Readiness, Lacks::Queue, Lacks::Slots, Lacks::Memory];

    /// How the edge stands then, as people read it.
    pub const fn because(self) -> &'static str {
        match self {
            Lacks::Readiness => "not ready yet",
            Lacks::Queue => "queue full",
            Lacks::Slots => "too many held",
            Lacks::Memory => "memory full",
        }
    }
}
