//! Numbers that the parts of a run are counted with.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The place of a node in its description, counted from 0. Unique in a dataflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeIndex(pub u32);

/// The place of a model in its description, counted from 0. Unique in a dataflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModelIndex(pub u32);

/// The place of an edge in its description, counted from 0. Unique in a dataflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EdgeId(pub u32);

impl fmt::Display for EdgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

/// The number of an incarnation of a node. The first is 1; it grows by one at every start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u32);

impl Epoch {
    /// Before the first start.
    pub const NONE: Epoch = Epoch(0);

    /// The epoch of the next incarnation.
    #[must_use]
    pub fn next(self) -> Epoch {
        Epoch(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The number of a message on its edge. The first message has 1; 0 stands for "none yet".
///
/// Sequences continue across the epochs of a sender. At 10 million messages a second the 48 bits that an
/// edge keeps last 325 days.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Before the first message.
    pub const NONE: Sequence = Sequence(0);
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A segment of shared memory: the `number`-th that incarnation `epoch` of `node` has made. Never reused
/// within a dataflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentId {
    /// The sender that owns the segment.
    pub node: NodeIndex,
    /// The incarnation that made it.
    pub epoch: Epoch,
    /// Counted from 0 within the incarnation.
    pub number: u32,
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}.{}.{}", self.node.0, self.epoch, self.number)
    }
}
