//! An edge with its three parties, over words in ordinary memory.

use std::collections::BTreeSet;

use dataflow_ids::{EdgeId, Epoch, NodeIndex, QueuePolicy, SegmentId};
use dataflow_shm::edge::{
    ChunkKey, EdgeConfig, EdgeDamaged, EdgeKeeper, EdgeReceiver, EdgeSender, INLINE_BYTES_MAX,
    Incoming, IncomingBody, Layout, METADATA_BYTES_MAX, Outgoing, OutgoingBody, OutgoingMetadata,
    ReceivedMetadata, SLOT_METADATA_BYTES_MAX,
};

use super::words::{NobodyToWake, ProcessWords};
use crate::bytes::Bytes;

pub(super) type Sender = EdgeSender<ProcessWords, NobodyToWake>;
pub(super) type Receiver = EdgeReceiver<ProcessWords, NobodyToWake>;
pub(super) type Keeper = EdgeKeeper<ProcessWords, NobodyToWake>;
pub(super) type Taken = Incoming<ProcessWords, NobodyToWake>;

/// The edge's number, which every error must name.
pub(super) const EDGE: EdgeId = EdgeId(7);

/// Everything that both scripts need.
pub(super) struct Rig {
    pub(super) config: EdgeConfig,
    pub(super) layout: Layout,
    /// The runtime's.
    pub(super) words: ProcessWords,
    pub(super) keeper: Keeper,
    /// How many messages were put into chunks so far.
    chunks: u32,
    /// The chunks that the edge has, as far as the living sender knows.
    pub(super) on_the_edge: BTreeSet<ChunkKey>,
    pub(super) freed: Vec<ChunkKey>,
}

impl Rig {
    /// An edge with what the first bytes say.
    pub(super) fn new(bytes: &mut Bytes<'_>) -> Rig {
        let policy = [
            QueuePolicy::Block,
            QueuePolicy::DropOldest,
            QueuePolicy::Latest,
        ];
        let config = EdgeConfig {
            edge: EDGE,
            policy: policy[bytes.below(3)],
            queue_size: 1 + bytes.below(8) as u32,
            held_max: bytes.below(5) as u32,
            held_bytes_max: 1 << 20,
        };
        let layout = match Layout::new(&config) {
            Ok(layout) => layout,
            Err(error) => panic!("{error}"),
        };
        let words = ProcessWords::new(&layout);
        let keeper = EdgeKeeper::over(words.clone(), &config, NobodyToWake, NobodyToWake);
        let keeper = match keeper {
            Ok(keeper) => keeper,
            Err(error) => panic!("{error}"),
        };
        keeper.set_sender_epoch(Epoch(1));
        keeper.set_receiver_epoch(Epoch(1));
        keeper.set_receiver_ready();
        Rig {
            config,
            layout,
            words,
            keeper,
            chunks: 0,
            on_the_edge: BTreeSet::new(),
            freed: Vec::new(),
        }
    }

    /// Before each call: it may look at every word a few times, and not more (I-3).
    pub(super) fn bound(&self) {
        self.words.allow(32 * self.layout.words() as u64);
    }

    /// A chunk that no message was in before.
    pub(super) fn new_chunk(&mut self) -> ChunkKey {
        self.chunks += 1;
        ChunkKey {
            segment: SegmentId {
                node: NodeIndex(3),
                epoch: Epoch(1),
                number: self.chunks,
            },
            offset: u64::from(self.chunks) * 64,
        }
    }

    /// Every chunk that comes back was on the edge, and comes back once.
    pub(super) fn check_freed(&mut self) {
        for chunk in self.freed.drain(..) {
            assert!(
                self.on_the_edge.remove(&chunk),
                "{chunk:?} came back and was not on the edge"
            );
        }
    }
}

/// The message that carries its number in everything it has.
pub(super) fn with_number<R>(
    number: u64,
    chunk: Option<ChunkKey>,
    send: impl FnOnce(&Outgoing<'_>) -> R,
) -> R {
    let bytes = number.to_le_bytes();
    let body = match chunk {
        None => OutgoingBody::Inline {
            payload: &bytes,
            metadata: b"meta",
        },
        Some(chunk) => OutgoingBody::Chunk {
            chunk,
            payload_length: 1000,
            metadata: if number.is_multiple_of(2) {
                OutgoingMetadata::Slot(&bytes)
            } else {
                OutgoingMetadata::Chunk(100)
            },
        },
    };
    send(&Outgoing {
        sent_at_ns: number,
        waited_ns: 0,
        body,
    })
}

/// What a receiver is given keeps to the limits, whatever the sender wrote.
pub(super) fn check_limits(taken: &Taken) {
    match &taken.body {
        IncomingBody::Inline(inline) => {
            assert!(inline.payload().len() + inline.metadata().len() <= INLINE_BYTES_MAX);
        }
        IncomingBody::Chunk(message) => {
            let end = message.offset.checked_add(message.payload_length);
            assert!(end.is_some());
            match &message.metadata {
                ReceivedMetadata::Slot(metadata) => {
                    assert!(metadata.as_slice().len() <= SLOT_METADATA_BYTES_MAX);
                }
                ReceivedMetadata::Chunk { offset, length } => {
                    assert!(*length as usize <= METADATA_BYTES_MAX);
                    assert!(offset.checked_add(u64::from(*length)).is_some());
                }
            }
        }
    }
}

/// An error is about this edge, and says so to a person.
pub(super) fn check_named(error: &EdgeDamaged) {
    assert_eq!(error.edge, EDGE);
    let shown = error.to_string();
    assert!(shown.starts_with("edge e7 is damaged: "), "{shown}");
}
