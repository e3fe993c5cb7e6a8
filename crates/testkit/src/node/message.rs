//! What a test receives from a node.

use dataflow_ids::Sequence;
use dataflow_node::{Input, Metadata};

/// A message that a node has sent: a copy, so that nothing of the node's memory is held by looking at it.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The output.
    pub output: String,
    /// Its number on the edge, from 1.
    pub sequence: Sequence,
    /// The payload's bytes.
    pub payload: Vec<u8>,
    /// What the node wrote beside the payload.
    pub metadata: Metadata,
}

impl Received {
    pub(super) fn copied(output: &str, input: &Input) -> Received {
        Received {
            output: output.to_owned(),
            sequence: input.sequence(),
            payload: input.payload().to_vec(),
            metadata: input.metadata().clone(),
        }
    }

    /// The payload as text.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap_or_else(|error| {
            panic!(
                "message {} of {} is no text: {error}",
                self.sequence, self.output
            )
        })
    }
}
