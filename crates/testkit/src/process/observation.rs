//! What happens to messages in a simulated process, for whoever keeps count of all of them.

use dataflow_ids::{EdgeId, Sequence, StopMode};

use super::payload::Stamp;

/// What became of a message at its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is in the queue.
    Queued,
    /// It was counted and dropped: nobody will ever read it.
    Dropped,
}

/// Something that happened to messages, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A message was sent on an edge.
    Sent {
        /// The edge.
        edge: EdgeId,
        /// Its number there.
        sequence: Sequence,
        /// What it says of itself.
        stamp: Stamp,
        /// What became of it.
        fate: Fate,
    },
    /// A message was taken from an edge.
    Taken {
        /// The edge.
        edge: EdgeId,
        /// Its number there.
        sequence: Sequence,
        /// What it says of itself.
        stamp: Stamp,
        /// Whether its memory is held.
        is_held: bool,
    },
    /// A held message was let go of.
    Released {
        /// The edge.
        edge: EdgeId,
        /// Its number there.
        sequence: Sequence,
    },
    /// Whoever held a message has ended with it.
    Lost {
        /// The edge.
        edge: EdgeId,
        /// Its number there.
        sequence: Sequence,
        /// Whether `Taken` was said of it: its memory may not have arrived yet.
        is_seen: bool,
    },
    /// An edge was seen closed, with nothing left on it.
    InputClosed {
        /// The edge.
        edge: EdgeId,
    },
    /// All edges were seen closed.
    AllInputsClosed,
    /// The runtime has told the library to stop.
    StopHeard {
        /// After what is queued, or ahead of it.
        mode: StopMode,
        /// How far the named edges are delivered.
        upto: Vec<(EdgeId, Sequence)>,
    },
    /// The user's code has seen the stop.
    StopSeen {
        /// Whether it was received, in its order behind the messages, and not told by a refused send.
        is_received: bool,
    },
    /// The library has answered for the tokens of an edge.
    Acknowledged {
        /// The edge.
        edge: EdgeId,
        /// Whether nothing is owed.
        is_empty: bool,
        /// Whether it was not asked for just now.
        is_unasked: bool,
    },
    /// A send found no memory.
    MemoryFull,
    /// What no correct peer does.
    Wrong {
        /// In one line.
        what: String,
    },
}
