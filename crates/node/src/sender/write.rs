//! Writing a message to all edges of an output: first those that need not wait, then the others as room comes.

mod chunks;
mod waits;

use std::sync::Arc;

use dataflow_shm::Chunk;
use dataflow_shm::edge::{
    ChunkKey, INLINE_BYTES_MAX, Outgoing, OutgoingBody, OutgoingMetadata, SLOT_METADATA_BYTES_MAX,
};

use dataflow_wire::node::ToRuntime;

use super::memory::{Memory, Returns};
use super::output::{Output, OutputEdge, Written};
use super::patience::Patience;
use crate::clock;
use crate::error::SendError;
use crate::shared::Shared;
use crate::wait::SignalHook;

/// How many inline messages are sent between two looks for idle segments: they need no memory, so nothing else
/// looks while only they are sent.
const INLINE_BETWEEN_LOOKS: u32 = 4096;

/// Everything that one thread at a time sends with.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    outputs: Vec<Output>,
    memory: Memory,
    returns: Arc<Returns>,
    /// The edges of the message under way that have no room yet; kept to be used again.
    full: Vec<usize>,
    patience: Patience,
    /// When the call that is under way first had to wait, if it had to before it could write: then it began no later.
    waits_since_ns: Option<u64>,
    /// Inline messages since the last look for idle segments.
    inline: u32,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        outputs: Vec<Output>,
        memory: Memory,
        returns: Arc<Returns>,
    ) -> Writer {
        Writer {
            shared,
            outputs,
            memory,
            returns,
            full: Vec::new(),
            patience: Patience::new(),
            waits_since_ns: None,
            inline: 0,
        }
    }

    /// Another call has the writer, and has waited for it since this moment if another thread had it.
    pub(super) fn call_begins(&mut self, waited_since_ns: Option<u64>) {
        self.waits_since_ns = waited_since_ns;
    }

    /// What every send and every loan begins with.
    pub(crate) fn begin(&self, place: usize) -> Result<(), SendError> {
        self.shared.activity.touch();
        if self.shared.is_runtime_gone() {
            return Err(SendError::RuntimeGone);
        }
        if self.shared.stop.is_for_senders() {
            // A source that never receives learns of the stop in this way.
            self.shared.say_stop_delivered();
            return Err(self.stopped(place, 0));
        }
        self.shared.say_ready();
        Ok(())
    }

    /// Sends a copy of `payload`.
    pub(crate) fn send(
        &mut self,
        place: usize,
        payload: &[u8],
        metadata: &[u8],
        on_signal: &mut SignalHook<'_>,
    ) -> Result<(), SendError> {
        self.wait_for_receivers(place, on_signal)?;
        if self.outputs[place].edges.is_empty() {
            return Ok(());
        }
        if payload.len() + metadata.len() <= INLINE_BYTES_MAX {
            let body = OutgoingBody::Inline { payload, metadata };
            self.inline += 1;
            if self.inline == INLINE_BETWEEN_LOOKS {
                self.inline = 0;
                self.give_back_idle_memory();
            }
            return self.write(place, body, on_signal);
        }
        let length = payload.len() + metadata_behind(metadata);
        let mut chunk = self.obtain(place, length, 0, on_signal)?;
        chunk.bytes_mut()[..payload.len()].copy_from_slice(payload);
        let (result, key) = self.send_chunk(place, chunk, payload.len(), metadata, on_signal);
        self.memory.release(key);
        result
    }

    /// Sends what stands in `chunk`, which has room for the metadata behind the payload if that is long. The
    /// caller keeps one hold on the chunk, whatever the outcome.
    pub(crate) fn send_chunk(
        &mut self,
        place: usize,
        mut chunk: Chunk,
        payload_length: usize,
        metadata: &[u8],
        on_signal: &mut SignalHook<'_>,
    ) -> (Result<(), SendError>, ChunkKey) {
        let placed = match metadata_behind(metadata) {
            0 => OutgoingMetadata::Slot(metadata),
            length => {
                let longest = &mut self.outputs[place].metadata_behind_max;
                *longest = length.max(*longest);
                chunk.bytes_mut()[payload_length..payload_length + length]
                    .copy_from_slice(metadata);
                // Metadata is at most 64 KiB.
                OutgoingMetadata::Chunk(length as u32)
            }
        };
        let key = self.memory.share(chunk);
        if let Err(error) = self.wait_for_receivers(place, on_signal) {
            return (Err(error), key);
        }
        let body = OutgoingBody::Chunk {
            chunk: key,
            payload_length: payload_length as u64,
            metadata: placed,
        };
        let edges = self.outputs[place].edges.len();
        if edges == 0 {
            return (Ok(()), key);
        }
        self.memory.retain(key, edges);
        (self.write(place, body, on_signal), key)
    }

    /// Publishes on every edge, then wakes every receiver; then waits for those that had no room.
    fn write(
        &mut self,
        place: usize,
        body: OutgoingBody<'_>,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<(), SendError> {
        let now_ns = clock::monotonic_now_ns();
        let sent_at_ns = self.waits_since_ns.take().unwrap_or(now_ns);
        let outgoing = Outgoing {
            sent_at_ns,
            waited_ns: now_ns.saturating_sub(sent_at_ns),
            body,
        };
        self.full.clear();
        for number in 0..self.outputs[place].edges.len() {
            if !self.publish(place, number, &outgoing) {
                self.full.push(number);
            }
        }
        for edge in &self.outputs[place].edges {
            edge.wake();
        }
        let result = if self.full.is_empty() {
            Ok(())
        } else {
            self.write_when_there_is_room(place, outgoing, on_signal)
        };
        let result = result.and_then(|()| self.tell_of_damage(place));
        if let Some(key) = chunk_of(&body) {
            // The edges that were not written have no use for it.
            for _ in 0..self.full.len() {
                self.memory.freed.push(key);
            }
        }
        self.memory.release_freed();
        self.shared.say_running();
        result
    }

    /// The first send after an edge of its output was found damaged is told so; each one, when no edge is left.
    fn tell_of_damage(&mut self, place: usize) -> Result<(), SendError> {
        let output = &mut self.outputs[place];
        let edges = output.edges.len();
        let written = output.edges.iter().filter(|edge| edge.is_whole()).count();
        if written == edges {
            return Ok(());
        }
        let told = |edge: &mut OutputEdge| edge.tell_of_damage(written == 0);
        match output.edges.iter_mut().find_map(told) {
            None => Ok(()),
            Some(damaged) => Err(SendError::EdgeDamaged {
                output: output.id.clone(),
                damaged,
                written,
                edges,
            }),
        }
    }

    /// Publishes on one edge, without waking anybody. `false`: it has no room and waits for some.
    fn publish(&mut self, place: usize, number: usize, outgoing: &Outgoing<'_>) -> bool {
        let chunk = chunk_of(&outgoing.body);
        let edge = &mut self.outputs[place].edges[number];
        let freed = &mut self.memory.freed;
        match edge.publish(outgoing, chunk.is_some(), freed, &self.shared) {
            Written::Kept => true,
            Written::NotKept => {
                freed.extend(chunk);
                true
            }
            Written::Full => false,
        }
    }
}

impl Drop for Writer {
    /// Says what no counter of an edge shows: a damaged one is not touched any more.
    fn drop(&mut self) {
        for output in &self.outputs {
            for text in output.edges.iter().filter_map(OutputEdge::refused) {
                let text = format!("output {}: {text}", output.id);
                self.shared.note(&ToRuntime::Warning { text });
            }
        }
    }
}

/// How many bytes the metadata takes behind the payload: none if it fits into the slot.
pub(crate) fn metadata_behind(metadata: &[u8]) -> usize {
    if metadata.len() <= SLOT_METADATA_BYTES_MAX {
        0
    } else {
        metadata.len()
    }
}

fn chunk_of(body: &OutgoingBody<'_>) -> Option<ChunkKey> {
    match body {
        OutgoingBody::Inline { .. } => None,
        OutgoingBody::Chunk { chunk, .. } => Some(*chunk),
    }
}
