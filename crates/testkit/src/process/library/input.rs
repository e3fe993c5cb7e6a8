//! One edge that a simulated node receives from.

use dataflow_ids::{EdgeId, NodeIndex, SegmentId, Sequence};
use dataflow_shm::edge::{EdgeReceiver, Ending, Incoming, IncomingBody, Lease};
use dataflow_shm::{Mapping, ReceivedSegments, SegmentInUse};
use dataflow_wire::node::EdgeGrant;

use crate::process::payload::{Spoiled, Stamp};

/// One edge that a simulated node receives from.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) edge: EdgeId,
    source: NodeIndex,
    held_max: u64,
    held_bytes_max: u64,
    receiver: Option<EdgeReceiver>,
    ended: bool,
    /// Taken before its segment arrived.
    pending: Option<Incoming>,
}

/// A message that is held, and what it said when it came.
#[derive(Debug)]
pub(in crate::process) struct HeldMessage {
    pub(in crate::process) edge: EdgeId,
    pub(in crate::process) sequence: Sequence,
    stamp: Stamp,
    lease: Lease,
    mapping: SegmentInUse,
    offset: u64,
    length: u64,
}

impl HeldMessage {
    /// Whether it still says what it said (I-1).
    pub(in crate::process) fn is_whole(&self) -> Result<(), String> {
        match read(&self.mapping, self.offset, self.length) {
            Ok(stamp) if stamp == self.stamp => Ok(()),
            Ok(stamp) => Err(format!("it was {:?} and is {stamp:?}", self.stamp)),
            Err(why) => Err(why),
        }
    }

    /// Ends it as the kernel does: it is not released.
    pub(in crate::process) fn abandon(self) {
        self.lease.abandon();
    }
}

fn read(mapping: &Mapping, offset: u64, length: u64) -> Result<Stamp, String> {
    let payload = (mapping.slice(offset, length)).map_err(|error| error.to_string())?;
    Stamp::read(payload).map_err(|spoiled: Spoiled| spoiled.to_string())
}

/// What a look at an input finds.
pub(super) enum Look {
    Nothing,
    Message {
        sequence: Sequence,
        stamp: Stamp,
        held: Option<HeldMessage>,
    },
    Closed,
    Damaged(String),
}

impl Input {
    pub(super) fn new(grant: &EdgeGrant, receiver: EdgeReceiver) -> Input {
        Input {
            edge: grant.edge,
            source: grant.source_index,
            held_max: grant.held_max.into(),
            held_bytes_max: grant.held_bytes_max,
            receiver: Some(receiver),
            ended: false,
            pending: None,
        }
    }

    pub(super) fn set_upto(&mut self, upto: Sequence) {
        if let Some(receiver) = &mut self.receiver {
            receiver.set_upto(upto);
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.pending.is_none()
            && (self.ended || (self.receiver.as_ref()).is_none_or(EdgeReceiver::upto_reached))
    }

    /// Takes the next message, or sees the end.
    pub(super) fn look(&mut self, segments: &ReceivedSegments) -> Look {
        let Some(receiver) = self.receiver.as_mut().filter(|_| !self.ended) else {
            return Look::Nothing;
        };
        let incoming = match self.pending.take() {
            Some(incoming) => incoming,
            None => match receiver.take() {
                Ok(Some(incoming)) => incoming,
                Ok(None) => {
                    self.ended = matches!(
                        receiver.ending(),
                        Ending::Closed {
                            everything_taken: true,
                            ..
                        }
                    );
                    return if self.ended {
                        Look::Closed
                    } else {
                        Look::Nothing
                    };
                }
                Err(damaged) => return self.damaged(damaged.to_string()),
            },
        };
        let sequence = incoming.sequence;
        let chunk = match incoming.body {
            IncomingBody::Inline(inline) => {
                return match Stamp::read(inline.payload()) {
                    Ok(stamp) => Look::Message {
                        sequence,
                        stamp,
                        held: None,
                    },
                    Err(spoiled) => self.damaged(format!("{sequence}: {spoiled}")),
                };
            }
            IncomingBody::Chunk(chunk) => chunk,
        };
        let segment = SegmentId {
            node: self.source,
            epoch: chunk.epoch,
            number: chunk.number,
        };
        let mapping = match segments.look_up(segment) {
            Ok(Some(mapping)) => mapping,
            Ok(None) => {
                self.pending = Some(Incoming {
                    body: IncomingBody::Chunk(chunk),
                    ..incoming
                });
                return Look::Nothing;
            }
            Err(error) => return self.damaged(format!("{sequence}: {error}")),
        };
        let stamp = match read(&mapping, chunk.offset, chunk.payload_length) {
            Ok(stamp) => stamp,
            Err(why) => return self.damaged(format!("{sequence}: {why}")),
        };
        let (messages, bytes) = (self.receiver.as_ref()).map_or((0, 0), EdgeReceiver::held);
        // Beyond its limits the library copies, and releases at once.
        let held =
            (messages <= self.held_max && bytes <= self.held_bytes_max).then(|| HeldMessage {
                edge: self.edge,
                sequence,
                stamp,
                mapping,
                offset: chunk.offset,
                length: chunk.payload_length,
                lease: chunk.lease,
            });
        Look::Message {
            sequence,
            stamp,
            held,
        }
    }

    fn damaged(&mut self, what: String) -> Look {
        self.receiver = None;
        Look::Damaged(format!("{}: {what}", self.edge))
    }

    pub(super) fn prepare_sleep(&mut self) -> bool {
        match &mut self.receiver {
            Some(receiver) if self.pending.is_none() => receiver.prepare_sleep(),
            _ => true,
        }
    }

    pub(super) fn finish_sleep(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            receiver.finish_sleep();
        }
    }

    /// Ends it as the kernel does; gives what it had taken and could not look at yet.
    pub(super) fn abandon(self) -> Option<(EdgeId, Sequence)> {
        let Incoming { sequence, body, .. } = self.pending?;
        if let IncomingBody::Chunk(chunk) = body {
            chunk.lease.abandon();
        }
        Some((self.edge, sequence))
    }
}
