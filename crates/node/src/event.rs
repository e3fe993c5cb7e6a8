//! What a node receives: events, and the messages among them.

use std::fmt;
use std::sync::Arc;

use dataflow_ids::{InputId, NodeId, OutputId, Sequence};
use dataflow_wire::metadata::Metadata;

use crate::payload::Payload;

/// What `recv` gives.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // a small message travels in it: a box would cost an allocation each
pub enum Event {
    /// A message of an edge, or a tick of a timer.
    Input(Input),
    /// This input's sender has ended for good, and everything that it sent was delivered.
    InputClosed(InputId),
    /// Every input that is an edge has closed. Nothing follows.
    AllInputsClosed,
    /// The node is asked to stop: everything that counts was delivered before. Nothing follows, and what is
    /// sent from now on is accepted until the node ends.
    Stop,
}

/// Where an input's messages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Another node's output, or this node's own.
    Output {
        /// The node that sends.
        node: NodeId,
        /// Its output.
        output: OutputId,
    },
    /// A timer of this node's own library.
    Timer,
}

impl fmt::Display for Source {
    /// As the description writes it: `camera/image`, or `timer`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Output { node, output } => write!(f, "{node}/{output}"),
            Source::Timer => f.write_str("timer"),
        }
    }
}

/// What all messages of one input have in common.
#[derive(Debug)]
pub(crate) struct InputInfo {
    pub(crate) id: InputId,
    pub(crate) source: Source,
}

/// One message. Its payload stays where the sender wrote it until this value is dropped, from any thread:
/// that is the release of its drop token.
#[derive(Debug)]
pub struct Input {
    pub(crate) info: Arc<InputInfo>,
    pub(crate) sequence: Sequence,
    pub(crate) sent_at_ns: u64,
    pub(crate) missed: u64,
    pub(crate) metadata: Metadata,
    pub(crate) payload: Payload,
}

impl Input {
    /// The input it came in by.
    pub fn id(&self) -> &InputId {
        &self.info.id
    }

    /// Where it came from.
    pub fn source(&self) -> &Source {
        &self.info.source
    }

    /// What its sender wrote beside the payload. A timer's tick has `missed` here when ticks were missed.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The payload's bytes, aligned to 64. Empty for a timer's tick.
    pub fn payload(&self) -> &[u8] {
        self.payload.bytes()
    }

    /// When it was sent, in nanoseconds of this machine's monotonic clock (`CLOCK_MONOTONIC`).
    pub fn sent_at_ns(&self) -> u64 {
        self.sent_at_ns
    }

    /// Its number on its edge, from 1 and without gaps in what was sent; for a timer the number of periods.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// For a timer's tick: how many ticks before it were missed.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Whether the payload lies in the sender's memory, so that its token is released only when this value
    /// goes. Small payloads, and those beyond the limits of an edge, were copied and released already.
    pub fn is_held(&self) -> bool {
        self.payload.is_held()
    }
}
