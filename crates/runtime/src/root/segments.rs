//! The runtime's duplicates of the senders' segments: who has which mapped, and when one may be closed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dataflow_ids::{Epoch, NodeIndex, SegmentId};

/// The most segments that one incarnation of a node may have at a time. A correct library has a handful.
const SEGMENTS_PER_NODE_MAX: usize = 4096;

/// Why a segment was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SegmentRefused {
    /// It names another node or incarnation than the one that speaks.
    #[error("segment {0} belongs to another node or incarnation")]
    NotYours(SegmentId),
    /// It came without its memory.
    #[error("segment {0} came without its descriptor")]
    NoDescriptor(SegmentId),
    /// Its name was used before.
    #[error("segment {0} was announced twice")]
    Twice(SegmentId),
    /// There are too many.
    #[error("more than {SEGMENTS_PER_NODE_MAX} segments")]
    TooMany,
}

#[derive(Debug)]
struct Segment {
    fd: OwnedFd,
    length: u64,
    /// Receivers that were given it and have not said that they have unmapped it.
    with: BTreeSet<NodeIndex>,
    is_retired: bool,
}

/// All segments of a run.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    segments: BTreeMap<SegmentId, Segment>,
}

impl Segments {
    /// A sender has made a segment.
    pub(crate) fn created(
        &mut self,
        speaker: (NodeIndex, Epoch),
        segment: SegmentId,
        length: u64,
        fds: Vec<OwnedFd>,
    ) -> Result<(), SegmentRefused> {
        if (segment.node, segment.epoch) != speaker {
            return Err(SegmentRefused::NotYours(segment));
        }
        if self.segments.contains_key(&segment) {
            return Err(SegmentRefused::Twice(segment));
        }
        if self.of(segment.node).count() >= SEGMENTS_PER_NODE_MAX {
            return Err(SegmentRefused::TooMany);
        }
        let Ok([fd]) = <[OwnedFd; 1]>::try_from(fds) else {
            return Err(SegmentRefused::NoDescriptor(segment));
        };
        self.segments.insert(
            segment,
            Segment {
                fd,
                length,
                with: BTreeSet::new(),
                is_retired: false,
            },
        );
        Ok(())
    }

    /// Whether a segment was handed over and has not been closed.
    pub(crate) fn has(&self, id: SegmentId) -> bool {
        self.segments.contains_key(&id)
    }

    /// The segments of a sender that its receivers may be given, with their lengths.
    pub(crate) fn living_of(&self, sender: NodeIndex) -> Vec<(SegmentId, u64)> {
        self.of(sender)
            .filter(|(_, segment)| !segment.is_retired)
            .map(|(id, segment)| (id, segment.length))
            .collect()
    }

    /// The segments of a sender's incarnations up to and including `epoch` that are not retired.
    pub(crate) fn of_epochs_upto(&self, sender: NodeIndex, epoch: Epoch) -> Vec<SegmentId> {
        self.of(sender)
            .filter(|(id, segment)| id.epoch <= epoch && !segment.is_retired)
            .map(|(id, _)| id)
            .collect()
    }

    fn of(&self, sender: NodeIndex) -> impl Iterator<Item = (SegmentId, &Segment)> {
        self.segments
            .range(
                SegmentId {
                    node: sender,
                    epoch: Epoch(0),
                    number: 0,
                }..=SegmentId {
                    node: sender,
                    epoch: Epoch(u32::MAX),
                    number: u32::MAX,
                },
            )
            .map(|(id, segment)| (*id, segment))
    }

    /// The memory of a segment, to hand it to a receiver, which has it from now on.
    pub(crate) fn give(&mut self, id: SegmentId, receiver: NodeIndex) -> Option<BorrowedFd<'_>> {
        let segment = self.segments.get_mut(&id)?;
        segment.with.insert(receiver);
        Some(segment.fd.as_fd())
    }

    /// No slot will name this segment any more. Gives the receivers to tell; without any, it is closed.
    pub(crate) fn retire(&mut self, id: SegmentId) -> Vec<NodeIndex> {
        let Some(segment) = self.segments.get_mut(&id) else {
            return Vec::new();
        };
        if std::mem::replace(&mut segment.is_retired, true) {
            return Vec::new();
        }
        let with = segment.with.iter().copied().collect();
        self.close_if_free(id);
        with
    }

    /// A receiver has unmapped a segment.
    pub(crate) fn unmapped(&mut self, id: SegmentId, receiver: NodeIndex) {
        if let Some(segment) = self.segments.get_mut(&id) {
            segment.with.remove(&receiver);
            self.close_if_free(id);
        }
    }

    /// A receiver's process is gone, and all of its mappings with it.
    pub(crate) fn forget(&mut self, receiver: NodeIndex) {
        self.segments.retain(|_, segment| {
            segment.with.remove(&receiver);
            !(segment.is_retired && segment.with.is_empty())
        });
    }

    fn close_if_free(&mut self, id: SegmentId) {
        if self
            .segments
            .get(&id)
            .is_some_and(|segment| segment.is_retired && segment.with.is_empty())
        {
            self.segments.remove(&id);
        }
    }

    /// How many descriptors are held.
    pub(crate) fn len(&self) -> usize {
        self.segments.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: (NodeIndex, Epoch) = (NodeIndex(0), Epoch(1));
    const RECEIVER: NodeIndex = NodeIndex(1);

    fn id(number: u32) -> SegmentId {
        SegmentId {
            node: SENDER.0,
            epoch: SENDER.1,
            number,
        }
    }

    fn memory() -> Vec<OwnedFd> {
        vec![dataflow_shm::EventFd::new().unwrap().into_fd()]
    }

    fn with_one() -> Segments {
        let mut segments = Segments::default();
        segments.created(SENDER, id(0), 4096, memory()).unwrap();
        segments
    }

    #[test]
    fn a_retired_segment_is_closed_when_its_last_receiver_has_unmapped_it() {
        let mut segments = with_one();
        assert!(segments.give(id(0), RECEIVER).is_some());
        assert_eq!(segments.retire(id(0)), [RECEIVER]);
        assert!(segments.retire(id(0)).is_empty(), "told once");
        assert_eq!(segments.len(), 1);
        assert!(segments.living_of(SENDER.0).is_empty());
        segments.unmapped(id(0), RECEIVER);
        assert_eq!(segments.len(), 0);
    }

    #[test]
    fn a_dead_receiver_has_nothing_mapped() {
        let mut segments = with_one();
        assert!(segments.give(id(0), RECEIVER).is_some());
        segments.forget(RECEIVER);
        assert_eq!(segments.len(), 1, "its sender may still use it");
        assert!(segments.retire(id(0)).is_empty());
        assert_eq!(segments.len(), 0);
    }

    #[test]
    fn nobody_announces_for_others_or_twice_or_without_memory() {
        let mut segments = with_one();
        assert_eq!(
            segments.created((RECEIVER, Epoch(1)), id(1), 1, memory()),
            Err(SegmentRefused::NotYours(id(1)))
        );
        assert_eq!(
            segments.created((SENDER.0, Epoch(2)), id(1), 1, memory()),
            Err(SegmentRefused::NotYours(id(1)))
        );
        assert_eq!(
            segments.created(SENDER, id(0), 1, memory()),
            Err(SegmentRefused::Twice(id(0)))
        );
        assert_eq!(
            segments.created(SENDER, id(1), 1, Vec::new()),
            Err(SegmentRefused::NoDescriptor(id(1)))
        );
        assert_eq!(segments.len(), 1);
    }
}
