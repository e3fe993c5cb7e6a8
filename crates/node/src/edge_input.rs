//! One input of a node: takes messages off its edge and turns them into what the user's code gets.

use std::sync::Arc;
use std::time::Duration;

use dataflow_ids::{EdgeId, InputId, NodeId, SegmentId, Sequence};
use dataflow_shm::edge::{
    ChunkMessage, EdgeReceiver, Ending, Incoming, IncomingBody, ReceivedMetadata,
};
use dataflow_shm::{OutOfBounds, ReceivedSegments, SegmentInUse};
use dataflow_wire::metadata::{Metadata, MetadataError};
use dataflow_wire::node::EdgeGrant;

use crate::clock;
use crate::event::{Input, InputInfo, Source};
use crate::observation::{InHand, Observation, Times};
use crate::payload::Payload;

/// One edge that this node receives from.
#[derive(Debug)]
pub(crate) struct EdgeInput {
    info: Arc<InputInfo>,
    edge: EdgeId,
    target: NodeId,
    /// Builds the names of the sender's segments.
    source_index: dataflow_ids::NodeIndex,
    held_max: u64,
    held_bytes_max: u64,
    spin: Duration,
    /// Whether the user has been told that payloads are copied out.
    warned: bool,
    /// What was found on the edge when this node was to attach to it, until that is told.
    refused: Option<String>,
    /// `None` when the edge is damaged. After its end it is kept: who waits for nothing but other inputs says so
    /// here too, and the runtime knows a cycle at rest by that.
    receiver: Option<EdgeReceiver>,
    /// Whether the end of the edge has been seen.
    ended: bool,
    /// A message that was taken before its segment arrived, and when that was; the control thread wakes this node when
    /// it does.
    pending: Option<(Incoming, u64)>,
    observation: Observation,
}

/// What a look at an input finds.
#[allow(clippy::large_enum_variant)] // a small message travels in it: a box would cost an allocation each
pub(crate) enum Look {
    /// Nothing at this moment.
    Nothing,
    /// A message, and perhaps something that its user should know.
    Message {
        input: Input,
        in_hand: InHand,
        warning: Option<String>,
    },
    /// The sender has ended for good and everything was taken. Said once.
    Closed,
    /// The edge holds what no correct sender writes; it is closed now. Said once.
    Damaged { what: String },
}

/// What is wrong with a message that was taken.
#[derive(Debug, thiserror::Error)]
enum BadMessage {
    #[error(transparent)]
    Bounds(#[from] OutOfBounds),
    #[error("message {sequence} has metadata that cannot be read: {error}")]
    Metadata {
        sequence: Sequence,
        error: MetadataError,
    },
}

impl EdgeInput {
    /// The input of an attached edge, or of one that holds what cannot be: the input closes at the first look then,
    /// and the error says why.
    pub(crate) fn new(
        grant: &EdgeGrant,
        spin: Duration,
        receiver: Result<EdgeReceiver, String>,
    ) -> EdgeInput {
        let (receiver, refused) = match receiver {
            Ok(receiver) => (Some(receiver), None),
            Err(what) => (None, Some(what)),
        };
        EdgeInput {
            info: Arc::new(InputInfo {
                id: grant.input.clone(),
                source: Source::Output {
                    node: grant.source.clone(),
                    output: grant.output.clone(),
                },
            }),
            edge: grant.edge,
            target: grant.target.clone(),
            source_index: grant.source_index,
            held_max: grant.held_max.into(),
            held_bytes_max: grant.held_bytes_max,
            spin,
            warned: false,
            receiver,
            refused,
            ended: false,
            pending: None,
            observation: Observation::new(grant.edge),
        }
    }

    pub(crate) fn id(&self) -> &InputId {
        &self.info.id
    }

    pub(crate) fn edge(&self) -> EdgeId {
        self.edge
    }

    pub(crate) fn spin(&self) -> Duration {
        self.spin
    }

    /// From now on takes nothing after `upto`.
    pub(crate) fn set_upto(&mut self, upto: Sequence) {
        if let Some(receiver) = &mut self.receiver {
            receiver.set_upto(upto);
        }
    }

    /// Whether a message has been taken that waits for its segment.
    pub(crate) fn has_taken(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether nothing more is to be delivered: the input has closed, or its limit is reached.
    pub(crate) fn is_done(&self) -> bool {
        self.pending.is_none()
            && (self.ended
                || self
                    .receiver
                    .as_ref()
                    .is_none_or(EdgeReceiver::upto_reached))
    }

    /// Takes the next message, or sees the end. `coarse_ns` is this moment by the coarse clock.
    pub(crate) fn look(&mut self, segments: &ReceivedSegments, coarse_ns: u64) -> Look {
        if self.ended {
            return Look::Nothing;
        }
        let Some(receiver) = &mut self.receiver else {
            return match self.refused.take() {
                Some(what) => Look::Damaged { what },
                None => Look::Nothing,
            };
        };
        let (incoming, taken_at_ns) = match self.pending.take() {
            Some((incoming, taken_at_ns)) => (incoming, Some(taken_at_ns)),
            None => match receiver.take() {
                Ok(Some(incoming)) => (incoming, None),
                Ok(None) => {
                    self.observation.found_nothing();
                    return self.look_for_the_end();
                }
                Err(damaged) => return self.close_damaged(damaged.what.to_string()),
            },
        };
        let sequence = incoming.sequence;
        let times = Times {
            sent_at_ns: incoming.sent_at_ns,
            waited_ns: incoming.waited_ns,
            taken_at_ns,
        };
        let (metadata, payload, warning) = match incoming.body {
            IncomingBody::Inline(inline) => match decode(sequence, inline.metadata()) {
                Ok(metadata) => (metadata, Payload::Inline(inline), None),
                Err(bad) => return self.close_damaged(bad.to_string()),
            },
            IncomingBody::Chunk(chunk) => {
                let segment = SegmentId {
                    node: self.source_index,
                    epoch: chunk.epoch,
                    number: chunk.number,
                };
                match segments.look_up(segment) {
                    Ok(Some(mapping)) => match self.open(sequence, chunk, mapping) {
                        Ok(opened) => opened,
                        Err(bad) => return self.close_damaged(bad.to_string()),
                    },
                    // The sender told the runtime of the segment before it named it: it is on its way.
                    Ok(None) => {
                        let incoming = Incoming {
                            body: IncomingBody::Chunk(chunk),
                            ..incoming
                        };
                        let taken_at_ns = taken_at_ns.unwrap_or_else(clock::monotonic_now_ns);
                        self.pending = Some((incoming, taken_at_ns));
                        self.observation.found_nothing();
                        return Look::Nothing;
                    }
                    Err(error) => return self.close_damaged(error.to_string()),
                }
            }
        };
        let edge = self.receiver.as_mut();
        Look::Message {
            in_hand: self.observation.give(edge, times, coarse_ns),
            input: Input {
                info: self.info.clone(),
                sequence,
                sent_at_ns: times.sent_at_ns,
                missed: 0,
                metadata,
                payload,
            },
            warning,
        }
    }

    /// The program asks for the next event, after a message of this input.
    #[inline]
    pub(crate) fn handled(&mut self, in_hand: InHand, coarse_ns: u64) {
        let edge = self.receiver.as_mut();
        self.observation.handled(edge, in_hand, coarse_ns);
    }

    fn look_for_the_end(&mut self) -> Look {
        match self.receiver.as_mut().map(EdgeReceiver::ending) {
            Some(Ending::Closed {
                everything_taken: true,
                ..
            }) => {
                self.ended = true;
                Look::Closed
            }
            _ => Look::Nothing,
        }
    }

    /// Finds the payload of a message in the sender's memory; copies it out when too much is held.
    fn open(
        &mut self,
        sequence: Sequence,
        chunk: ChunkMessage,
        mapping: SegmentInUse,
    ) -> Result<(Metadata, Payload, Option<String>), BadMessage> {
        let metadata = match &chunk.metadata {
            ReceivedMetadata::Slot(bytes) => decode(sequence, bytes.as_slice())?,
            ReceivedMetadata::Chunk { offset, length } => {
                decode(sequence, mapping.slice(*offset, u64::from(*length))?)?
            }
        };
        let bytes = mapping.slice(chunk.offset, chunk.payload_length)?;
        // This message is among those held already.
        let (held_messages, held_bytes) = self
            .receiver
            .as_ref()
            .map(EdgeReceiver::held)
            .unwrap_or_default();
        if held_messages <= self.held_max && held_bytes <= self.held_bytes_max {
            let payload = Payload::held(chunk.lease, mapping, chunk.offset, chunk.payload_length);
            return Ok((metadata, payload, None));
        }
        let payload = Payload::copied(bytes);
        let warning = (!self.warned).then(|| {
            self.warned = true;
            self.copying(held_messages - 1, held_bytes - chunk.payload_length)
        });
        Ok((metadata, payload, warning))
    }

    fn copying(&self, held_messages: u64, held_bytes: u64) -> String {
        let plural = if held_messages == 1 { "" } else { "s" };
        format!(
            "node {} holds {held_messages} message{plural} of {} ({held_bytes} bytes): from now on payloads of its \
             input {} are copied while it holds more than {} messages or {} bytes; release them sooner, or raise \
             `max_held` at the input",
            self.target, self.info.source, self.info.id, self.held_max, self.held_bytes_max,
        )
    }

    fn close_damaged(&mut self, what: String) -> Look {
        self.receiver = None;
        self.pending = None;
        Look::Damaged { what }
    }

    /// Says that this node is about to sleep. `false`: look again instead.
    pub(crate) fn prepare_sleep(&mut self) -> bool {
        match &mut self.receiver {
            // Nothing that its edge has comes before the message that waits for its segment.
            Some(receiver) if self.pending.is_none() => receiver.prepare_sleep(),
            _ => true,
        }
    }

    /// Says that this node is awake.
    pub(crate) fn finish_sleep(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            receiver.finish_sleep();
        }
    }
}

fn decode(sequence: Sequence, bytes: &[u8]) -> Result<Metadata, BadMessage> {
    Metadata::decode(bytes).map_err(|error| BadMessage::Metadata { sequence, error })
}
