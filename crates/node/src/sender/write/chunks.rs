//! Memory for messages: taken when one is written, taken back when its receivers have let go, and what is done at the limit.

use dataflow_shm::Chunk;

use super::super::memory::NoChunk;
use super::super::output::OutputEdge;
use super::Writer;
use super::waits::sleep;
use crate::clock;
use crate::error::SendError;
use crate::wait::{SignalHook, Woken};

/// From this length on a loan has room for metadata behind its payload from the first: a copy would take long, and
/// a page beside it is little.
const LARGE_LOAN_BYTES: usize = 64 * 1024;

/// How much room that is, in bytes.
const METADATA_ROOM_BYTES: usize = 4096;

impl Writer {
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
    pub(super) fn give_back_idle_memory(&mut self) {
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
            let since_ns = clock::monotonic_now_ns();
            self.waits_since_ns.get_or_insert(since_ns);
            for edge in edges.iter_mut().filter(|edge| edge.blocks_with_chunks()) {
                edge.blocked_since(since_ns);
            }
            sleep(&self.shared, since_ns)
        } else {
            (0, Ok(Woken::Readable))
        };
        for edge in edges {
            let because = edge.blocks_with_chunks();
            edge.finish_sleep(if because { slept_ns } else { 0 });
        }
        self.woken(place, woken, on_signal)
    }
}
