//! One output of a node and the edges that leave it.

use dataflow_ids::{EdgeId, InputId, NodeId, OutputId, QueuePolicy};
use dataflow_shm::edge::{
    ChunkKey, EdgeDamaged, EdgeSender, Outgoing, PublishError, Published, Room, WaitFor,
};
use dataflow_wire::node::{EdgeGrant, ToRuntime};

use crate::error::{DamagedEdge, Holder};
use crate::shared::Shared;

/// An output: every message sent on it goes to all of its edges.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) id: OutputId,
    pub(crate) edges: Vec<OutputEdge>,
    /// Whether every receiver has been ready: nothing is sent before.
    pub(crate) begun: bool,
    /// The longest metadata so far that went behind a payload, in bytes.
    pub(crate) metadata_behind_max: usize,
}

/// One edge that this node sends on.
#[derive(Debug)]
pub(crate) struct OutputEdge {
    edge: EdgeId,
    target: NodeId,
    input: InputId,
    policy: QueuePolicy,
    /// How many chunks it has: in its queue, or held by its receiver.
    chunks: u64,
    /// `None` when it was found damaged; its chunks are then never used again.
    sender: Option<EdgeSender>,
    /// What was found then.
    damage: Option<Damage>,
}

/// What was found on an edge, and what became of it.
#[derive(Debug)]
struct Damage {
    what: String,
    /// Whether a send has reported it.
    is_told: bool,
    /// Messages that were not sent on it.
    refused: u64,
}

impl Damage {
    fn found(what: String) -> Damage {
        Damage {
            what,
            is_told: false,
            refused: 0,
        }
    }
}

/// What became of a message on one edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The edge has it, and its chunk.
    Kept,
    /// It was counted and dropped, or the edge is damaged: the chunk is not needed.
    NotKept,
    /// The edge blocks and has no room.
    Full,
}

impl OutputEdge {
    /// An attached edge, or one that holds what cannot be: nothing is sent on it then, and the error says why.
    pub(crate) fn new(grant: &EdgeGrant, sender: Result<EdgeSender, String>) -> OutputEdge {
        let (sender, damage) = match sender {
            Ok(sender) => (Some(sender), None),
            Err(what) => (None, Some(Damage::found(what))),
        };
        OutputEdge {
            edge: grant.edge,
            target: grant.target.clone(),
            input: grant.input.clone(),
            policy: grant.policy,
            chunks: 0,
            sender,
            damage,
        }
    }

    /// Whether it was not found damaged.
    pub(crate) fn is_whole(&self) -> bool {
        self.damage.is_none()
    }

    /// What is to be said of its damage, once, or at every call if `again`.
    pub(crate) fn tell_of_damage(&mut self, again: bool) -> Option<DamagedEdge> {
        let damage = self.damage.as_mut()?;
        if std::mem::replace(&mut damage.is_told, true) && !again {
            return None;
        }
        Some(DamagedEdge {
            node: self.target.clone(),
            input: self.input.clone(),
            what: damage.what.clone(),
            refused: damage.refused,
        })
    }

    /// How many messages were refused because of damage, for people.
    pub(crate) fn refused(&self) -> Option<String> {
        let Damage { what, refused, .. } = self.damage.as_ref()?;
        let plural = if *refused == 1 { " was" } else { "s were" };
        Some(format!(
            "{refused} message{plural} not sent to input {} of {}, whose edge is damaged ({what})",
            self.input, self.target
        ))
    }

    /// Whether a message on it finds its receiver, or nobody for good.
    pub(crate) fn may_begin(&self) -> bool {
        self.sender
            .as_ref()
            .is_none_or(|sender| sender.receiver_ready() || sender.receiver_gone())
    }

    /// Whether waiting can bring chunks back: its receiver takes them in its own time.
    pub(crate) fn blocks_with_chunks(&self) -> bool {
        self.policy == QueuePolicy::Block && self.chunks > 0 && self.sender.is_some()
    }

    /// Who has how much of this node's memory by it.
    pub(crate) fn holder(&self) -> Option<Holder> {
        (self.chunks > 0).then(|| Holder {
            node: self.target.clone(),
            input: self.input.clone(),
            messages: self.chunks,
        })
    }

    /// Publishes, and wakes nobody.
    pub(crate) fn publish(
        &mut self,
        message: &Outgoing<'_>,
        is_chunk: bool,
        freed: &mut Vec<ChunkKey>,
        shared: &Shared,
    ) -> Written {
        let Some(sender) = &mut self.sender else {
            if let Some(damage) = &mut self.damage {
                damage.refused += 1;
            }
            return Written::NotKept;
        };
        let before = freed.len();
        let published = sender.publish(message, freed);
        self.count_freed(freed.len() - before);
        match published {
            Ok(Published::Queued(_)) => {
                self.chunks += u64::from(is_chunk);
                Written::Kept
            }
            Ok(Published::ReceiverClosed(_) | Published::DroppedFull(_)) => Written::NotKept,
            Err(PublishError::Full { .. }) => Written::Full,
            Err(PublishError::Damaged(damaged)) => {
                self.close_damaged(&damaged, shared);
                if let Some(damage) = &mut self.damage {
                    damage.refused += 1;
                }
                Written::NotKept
            }
            Err(PublishError::TooLong { .. }) => {
                unreachable!("the message was laid out by its lengths")
            }
        }
    }

    /// Wakes the receiver if it sleeps.
    pub(crate) fn wake(&self) {
        if let Some(sender) = &self.sender {
            sender.wake();
        }
    }

    /// Collects the chunks that came back.
    pub(crate) fn sweep(&mut self, freed: &mut Vec<ChunkKey>, shared: &Shared) {
        if self.chunks == 0 {
            return;
        }
        self.collect(freed, shared, |sender, freed| sender.sweep(freed));
    }

    /// Drops queued messages until a chunk comes back, if the edge drops at all.
    pub(crate) fn evict(&mut self, freed: &mut Vec<ChunkKey>, shared: &Shared) {
        if self.chunks == 0 {
            return;
        }
        self.collect(freed, shared, |sender, freed| {
            sender.evict_oldest(freed).map(drop)
        });
    }

    fn collect(
        &mut self,
        freed: &mut Vec<ChunkKey>,
        shared: &Shared,
        act: impl FnOnce(&mut EdgeSender, &mut Vec<ChunkKey>) -> Result<(), EdgeDamaged>,
    ) {
        let Some(sender) = &mut self.sender else {
            return;
        };
        let before = freed.len();
        let result = act(sender, freed);
        self.count_freed(freed.len() - before);
        if let Err(damaged) = result {
            self.close_damaged(&damaged, shared);
        }
    }

    fn count_freed(&mut self, count: usize) {
        self.chunks = self.chunks.saturating_sub(count as u64);
    }

    /// Says that this node is about to sleep until the receiver is ready, if it is not.
    pub(crate) fn prepare_sleep_for_readiness(&mut self) {
        if !self.may_begin()
            && let Some(sender) = &mut self.sender
        {
            sender.sleeps_for_readiness();
        }
    }

    /// Says that this node is about to sleep until a message fits. `false`: try again instead.
    pub(crate) fn prepare_sleep_for_room(&mut self) -> bool {
        let Some(sender) = &mut self.sender else {
            return false;
        };
        match sender.room() {
            Ok(Room::QueueFull) => sender.prepare_sleep(WaitFor::Queue),
            Ok(Room::SlotsHeld) => sender.prepare_sleep(WaitFor::Release),
            // Damage shows itself when it is tried again.
            Ok(Room::Free) | Err(_) => false,
        }
    }

    /// Says that this node is about to sleep until a chunk comes back. `false`: sweep again instead.
    pub(crate) fn prepare_sleep_for_chunks(&mut self) -> bool {
        match &mut self.sender {
            Some(sender) if self.chunks > 0 => sender.prepare_sleep(WaitFor::Release),
            _ => true,
        }
    }

    /// Says since when this node sleeps because of this edge.
    pub(crate) fn blocked_since(&mut self, since_ns: u64) {
        if let Some(sender) = &mut self.sender {
            sender.blocked_since(since_ns);
        }
    }

    /// Says that this node is awake, and how long it has slept because of this edge.
    pub(crate) fn finish_sleep(&mut self, slept_ns: u64) {
        if let Some(sender) = &mut self.sender {
            sender.finish_sleep(slept_ns);
        }
    }

    fn close_damaged(&mut self, damaged: &EdgeDamaged, shared: &Shared) {
        self.sender = None;
        self.damage = Some(Damage::found(damaged.what.to_string()));
        shared.note(&ToRuntime::EdgeDamaged {
            edge: self.edge,
            what: damaged.what.to_string(),
        });
    }
}
