//! Writing a message to all edges of an output: first those that need not wait, then the others as room comes.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dataflow_shm::Chunk;
use dataflow_shm::edge::{
    ChunkKey, INLINE_BYTES_MAX, Outgoing, OutgoingBody, OutgoingMetadata, SLOT_METADATA_BYTES_MAX,
};

use dataflow_wire::node::ToRuntime;

use super::memory::{Memory, NoChunk, Returns};
use super::output::{Output, OutputEdge, Written};
use super::patience::Patience;
use crate::activity::WaitsFor;
use crate::clock;
use crate::error::SendError;
use crate::shared::Shared;
use crate::wait::{OnSignal, SignalHook, Woken, wait};

/// From this length on a loan has room for metadata behind its payload from the first: a copy would take long, and
/// a page beside it is little.
const LARGE_LOAN_BYTES: usize = 64 * 1024;

/// How much room that is, in bytes.
const METADATA_ROOM_BYTES: usize = 4096;

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
            inline: 0,
        }
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

    /// How much room a loan of `length` bytes gets for metadata behind its payload: that is not known yet, and
    /// without room the payload would have to be copied. So as much as any message of the output has needed, and
    /// at least a page where a copy would take long.
    pub(crate) fn metadata_room(&self, place: usize, length: usize) -> usize {
        let longest = self.outputs[place].metadata_behind_max;
        if length < LARGE_LOAN_BYTES {
            longest.min(METADATA_ROOM_BYTES)
        } else {
            longest.max(METADATA_ROOM_BYTES)
        }
    }

    /// A chunk of at least `length` bytes, and of `room` more if the memory has them without further ado. At the
    /// limit: drops what edges may drop, else waits for what edges that block have, else says who has it.
    pub(crate) fn obtain(
        &mut self,
        place: usize,
        length: usize,
        room: usize,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<Chunk, SendError> {
        // Whether wake-ups were forgotten before the last look, so that none after it is.
        let mut fresh = false;
        loop {
            let limit_bytes = match self.allocate_swept(length, room) {
                Ok(chunk) => return Ok(chunk),
                Err(NoChunk::AtLimit { limit_bytes }) => limit_bytes,
                Err(other) => return Err(self.no_chunk(place, length, other)),
            };
            if self.evict() {
                continue;
            }
            if !self.edges().any(OutputEdge::blocks_with_chunks) {
                return Err(SendError::MemoryFull {
                    node: self.shared.node.clone(),
                    output: self.outputs[place].id.clone(),
                    length_bytes: length,
                    limit_bytes,
                    holders: self.edges().filter_map(OutputEdge::holder).collect(),
                    loans: self.returns.loans(),
                });
            }
            self.may_wait(place, 0)?;
            if fresh {
                self.sleep_for_chunks(place, on_signal)?;
            }
            self.shared.send_wake.drain();
            fresh = true;
        }
    }

    fn no_chunk(&self, place: usize, length_bytes: usize, why: NoChunk) -> SendError {
        let output = self.outputs[place].id.clone();
        match why {
            NoChunk::TooLarge { limit_bytes } | NoChunk::AtLimit { limit_bytes } => {
                SendError::TooLarge {
                    node: self.shared.node.clone(),
                    output,
                    length_bytes,
                    limit_bytes,
                }
            }
            NoChunk::Refused(why) => SendError::NoMemory {
                output,
                length_bytes,
                why,
            },
        }
    }

    /// Takes back what loans and edges have given back, then allocates: so a hot chunk is used again.
    fn allocate_swept(&mut self, length: usize, room: usize) -> Result<Chunk, NoChunk> {
        self.sweep();
        let with_room = length.saturating_add(room);
        match self.memory.allocate(with_room, &self.shared) {
            Err(NoChunk::AtLimit { .. } | NoChunk::TooLarge { .. }) if room > 0 => {
                self.memory.allocate(length, &self.shared)
            }
            other => other,
        }
    }

    /// Takes back what loans and edges have given back.
    fn sweep(&mut self) {
        let freed = &mut self.memory.freed;
        self.returns.collect(freed);
        for edge in self.outputs.iter_mut().flat_map(|output| &mut output.edges) {
            edge.sweep(freed, &self.shared);
        }
        self.memory.release_freed();
    }

    #[cold]
    fn give_back_idle_memory(&mut self) {
        self.sweep();
        self.memory.retire_idle(&self.shared);
    }

    /// Drops the oldest queued message of each edge that drops. `false`: there is none.
    fn evict(&mut self) -> bool {
        for edge in self.outputs.iter_mut().flat_map(|output| &mut output.edges) {
            edge.evict(&mut self.memory.freed, &self.shared);
        }
        self.memory.release_freed()
    }

    fn edges(&self) -> impl Iterator<Item = &OutputEdge> {
        self.outputs.iter().flat_map(|output| &output.edges)
    }

    /// Sleeps until a chunk may have come back.
    fn sleep_for_chunks(
        &mut self,
        place: usize,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<(), SendError> {
        let mut edges: Vec<&mut OutputEdge> = self
            .outputs
            .iter_mut()
            .flat_map(|output| &mut output.edges)
            .collect();
        let quiet = edges.iter_mut().all(|edge| edge.prepare_sleep_for_chunks());
        let (slept_ns, woken) = if quiet {
            sleep(&self.shared)
        } else {
            (0, Ok(Woken::Readable))
        };
        for edge in edges {
            let because = edge.blocks_with_chunks();
            edge.finish_sleep(if because { slept_ns } else { 0 });
        }
        self.woken(place, woken, on_signal)
    }

    /// The first message of an output waits until everybody who is to get it is ready.
    fn wait_for_receivers(
        &mut self,
        place: usize,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<(), SendError> {
        while !self.outputs[place].begun {
            self.shared.send_wake.drain();
            if self.outputs[place].edges.iter().all(OutputEdge::may_begin) {
                self.outputs[place].begun = true;
                break;
            }
            self.may_wait(place, 0)?;
            let edges = &mut self.outputs[place].edges;
            (edges.iter_mut()).for_each(OutputEdge::prepare_sleep_for_readiness);
            let (_, woken) = sleep(&self.shared);
            for edge in &mut self.outputs[place].edges {
                // Nothing keeps it from sending on this edge yet.
                edge.finish_sleep(0);
            }
            self.woken(place, woken, on_signal)?;
        }
        Ok(())
    }

    /// Publishes on every edge, then wakes every receiver; then waits for those that had no room.
    fn write(
        &mut self,
        place: usize,
        body: OutgoingBody<'_>,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<(), SendError> {
        let outgoing = Outgoing {
            sent_at_ns: clock::monotonic_now_ns(),
            waited_ns: 0,
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

    #[cold]
    fn write_when_there_is_room(
        &mut self,
        place: usize,
        mut outgoing: Outgoing<'_>,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<(), SendError> {
        let edges = self.outputs[place].edges.len();
        let look = self.patience.look();
        while let Some(looked) = look.again() {
            // The look has begun as good as with the send: no other clock is read for it.
            outgoing.waited_ns = u64::try_from(looked.as_nanos()).unwrap_or(u64::MAX);
            if self.write_where_there_is_room(place, &outgoing) {
                self.patience.helped();
                return Ok(());
            }
        }
        loop {
            // Forgotten before the look, so that a wake-up after it is not.
            self.shared.send_wake.drain();
            outgoing.waited_ns = clock::monotonic_now_ns().saturating_sub(outgoing.sent_at_ns);
            if self.write_where_there_is_room(place, &outgoing) {
                return Ok(());
            }
            self.may_wait(place, edges - self.full.len())?;
            let output = &mut self.outputs[place];
            let quiet = self
                .full
                .iter()
                .all(|&number| output.edges[number].prepare_sleep_for_room());
            let (slept_ns, woken) = if quiet {
                sleep(&self.shared)
            } else {
                (0, Ok(Woken::Readable))
            };
            for &number in &self.full {
                output.edges[number].finish_sleep(slept_ns);
            }
            if quiet {
                self.patience.slept(Duration::from_nanos(slept_ns));
            }
            self.woken(place, woken, on_signal)
                .map_err(|error| match error {
                    // Told with what had been reached by then.
                    SendError::Stopped { .. } => self.stopped(place, edges - self.full.len()),
                    other => other,
                })?;
        }
    }

    /// Tries again on the edges that had no room; says whether all are written.
    fn write_where_there_is_room(&mut self, place: usize, outgoing: &Outgoing<'_>) -> bool {
        let mut full = std::mem::take(&mut self.full);
        full.retain(|&number| {
            let written = self.publish(place, number, outgoing);
            if written {
                self.outputs[place].edges[number].wake();
            }
            !written
        });
        self.full = full;
        self.full.is_empty()
    }

    /// Whether a send that has begun may wait: only `now`, or the end of the runtime, ends it.
    fn may_wait(&self, place: usize, written: usize) -> Result<(), SendError> {
        if self.shared.is_runtime_gone() {
            return Err(SendError::RuntimeGone);
        }
        if self.shared.stop.is_now() {
            self.shared.say_stop_delivered();
            return Err(self.stopped(place, written));
        }
        Ok(())
    }

    fn woken(
        &self,
        place: usize,
        woken: Result<Woken, rustix::io::Errno>,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<(), SendError> {
        match woken {
            Ok(Woken::Readable | Woken::TimedOut) => Ok(()),
            Ok(Woken::Signal) => match on_signal() {
                OnSignal::GoOn => Ok(()),
                OnSignal::GiveUp => Err(SendError::Interrupted),
            },
            Err(rustix::io::Errno::BADF) => Err(SendError::DescriptorsClosed),
            Err(errno) => Err(SendError::Wait {
                output: self.outputs[place].id.clone(),
                errno,
            }),
        }
    }

    fn stopped(&self, place: usize, written: usize) -> SendError {
        let output = &self.outputs[place];
        SendError::Stopped {
            output: output.id.clone(),
            written,
            edges: output.edges.len(),
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

/// Sleeps until the send waiter is woken; gives for how long.
fn sleep(shared: &Shared) -> (u64, Result<Woken, rustix::io::Errno>) {
    let _inside = shared.activity.waiting(WaitsFor::Room);
    let since = Instant::now();
    let woken = wait(&[shared.send_wake.as_fd()], None);
    let slept_ns = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
    (slept_ns, woken)
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
