//! One output of a simulated node, and the edges that leave it.

use dataflow_ids::{OutputId, QueuePolicy};
use dataflow_shm::edge::{ChunkKey, EdgeSender, Outgoing, PublishError, Published, Room, WaitFor};

use crate::process::observation::{Fate, Observation};
use crate::process::payload::Stamp;

/// One output of a simulated node.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) id: OutputId,
    pub(super) edges: Vec<OutputEdge>,
    /// Whether every receiver has been ready.
    pub(super) begun: bool,
    /// How many messages it was given.
    pub(super) count: u64,
}

impl Output {
    pub(super) fn new(id: OutputId) -> Output {
        Output {
            id,
            edges: Vec::new(),
            begun: false,
            count: 0,
        }
    }

    pub(super) fn add(&mut self, sender: EdgeSender) {
        self.edges.push(OutputEdge { sender, chunks: 0 });
    }
}

/// One edge that leaves it.
#[derive(Debug)]
pub(super) struct OutputEdge {
    pub(super) sender: EdgeSender,
    /// How many chunks it has.
    pub(super) chunks: usize,
}

impl OutputEdge {
    pub(super) fn may_begin(&self) -> bool {
        self.sender.receiver_ready() || self.sender.receiver_gone()
    }

    /// Publishes, and wakes nobody. `None`: it has no room.
    pub(super) fn publish(
        &mut self,
        message: &Outgoing<'_>,
        (stamp, chunk): (Stamp, Option<ChunkKey>),
        freed: &mut Vec<ChunkKey>,
    ) -> Option<Observation> {
        let before = freed.len();
        let published = self.sender.publish(message, freed);
        self.chunks = self.chunks.saturating_sub(freed.len() - before);
        let (sequence, fate) = match published {
            Ok(Published::Queued(sequence)) => {
                self.chunks += usize::from(chunk.is_some());
                (sequence, Fate::Queued)
            }
            Ok(Published::ReceiverClosed(sequence) | Published::DroppedFull(sequence)) => {
                freed.extend(chunk);
                (sequence, Fate::Dropped)
            }
            Err(PublishError::Full { .. }) => return None,
            Err(error) => {
                let what = format!("send on {}: {error}", self.sender.edge());
                return Some(Observation::Wrong { what });
            }
        };
        Some(Observation::Sent {
            edge: self.sender.edge(),
            sequence,
            stamp,
            fate,
        })
    }

    /// Collects the chunks that came back.
    pub(super) fn sweep(&mut self, freed: &mut Vec<ChunkKey>) -> Result<(), String> {
        let before = freed.len();
        let swept = self.sender.sweep(freed);
        self.chunks = self.chunks.saturating_sub(freed.len() - before);
        swept.map_err(|damaged| damaged.to_string())
    }

    /// Drops queued messages until a chunk comes back, if the edge drops at all.
    pub(super) fn evict(&mut self, freed: &mut Vec<ChunkKey>) -> Result<(), String> {
        if self.chunks == 0 {
            return Ok(());
        }
        let before = freed.len();
        let evicted = self.sender.evict_oldest(freed);
        self.chunks = self.chunks.saturating_sub(freed.len() - before);
        evicted.map(drop).map_err(|damaged| damaged.to_string())
    }

    pub(super) fn blocks_with_chunks(&self) -> bool {
        self.sender.policy() == QueuePolicy::Block && self.chunks > 0
    }

    pub(super) fn prepare_sleep_for_room(&mut self) -> bool {
        match self.sender.room() {
            Ok(Room::QueueFull) => self.sender.prepare_sleep(WaitFor::Queue),
            Ok(Room::SlotsHeld) => self.sender.prepare_sleep(WaitFor::Release),
            Ok(Room::Free) | Err(_) => false,
        }
    }

    pub(super) fn prepare_sleep_for_chunks(&mut self) -> bool {
        self.chunks == 0 || self.sender.prepare_sleep(WaitFor::Release)
    }
}
