//! The memory that a node's messages lie in: from hot chunks to new segments, and back.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dataflow_shm::edge::ChunkKey;
use dataflow_shm::{
    AllocateError, Chunk, GrowError, Growth, NewSegment, SegmentPool, SegmentPoolConfig,
};
use dataflow_wire::frame;
use dataflow_wire::node::{ToRuntime, Welcome};

use crate::shared::Shared;

/// How many chunks are handed out between two looks for idle segments.
const ALLOCATIONS_BETWEEN_LOOKS: u32 = 256;

/// How often a new segment is offered to the runtime while too many descriptors are on their way to it.
const OFFERS_MAX: u32 = 100;

/// How long it is left alone in between.
const OFFERS_PAUSE: Duration = Duration::from_millis(10);

/// A node's pool, and what its edges have given back to it.
#[derive(Debug)]
pub(crate) struct Memory {
    pool: SegmentPool,
    /// Filled by the edges, emptied by [`Memory::release_freed`]; kept to be used again.
    pub(super) freed: Vec<ChunkKey>,
    allocations: u32,
}

/// Why there is no chunk.
#[derive(Debug)]
pub(super) enum NoChunk {
    /// It will never fit.
    TooLarge { limit_bytes: u64 },
    /// The limit is reached: something must come back first.
    AtLimit { limit_bytes: u64 },
    /// The machine has none.
    Refused(String),
}

impl Memory {
    pub(super) fn new(welcome: &Welcome) -> Memory {
        Memory {
            pool: SegmentPool::new(SegmentPoolConfig {
                run: welcome.run.clone(),
                node: welcome.node.clone(),
                index: welcome.index,
                epoch: welcome.epoch,
                limit_bytes: welcome.output_memory_bytes,
            }),
            freed: Vec::new(),
            allocations: 0,
        }
    }

    /// A chunk of at least `length` bytes, from a new segment if need be; the runtime has that before a
    /// message can name it.
    pub(super) fn allocate(&mut self, length: usize, shared: &Shared) -> Result<Chunk, NoChunk> {
        loop {
            let bytes = match self.pool.allocate(length) {
                Ok(chunk) => {
                    self.look_for_idle_segments(shared);
                    return Ok(chunk);
                }
                Err(AllocateError::NeedsSegment { bytes }) => bytes,
                Err(AllocateError::AtLimit { limit_bytes, .. }) => {
                    return Err(NoChunk::AtLimit { limit_bytes });
                }
                Err(AllocateError::TooLarge { limit_bytes, .. }) => {
                    return Err(NoChunk::TooLarge { limit_bytes });
                }
            };
            let Growth { segment, retired } = match self.pool.grow(bytes) {
                Ok(growth) => growth,
                Err(GrowError::AtLimit { limit_bytes, .. }) => {
                    return Err(NoChunk::AtLimit { limit_bytes });
                }
                Err(error) => return Err(NoChunk::Refused(error.to_string())),
            };
            for segment in retired {
                shared.note(&ToRuntime::SegmentRetired { segment });
            }
            if let Err(error) = hand_over(&segment, shared) {
                // No receiver will ever have it, so no message may lie in it.
                self.pool.abandon(segment.segment);
                return Err(NoChunk::Refused(error.to_string()));
            }
        }
    }

    /// Ends the writing of a chunk. The caller has one hold on it.
    pub(super) fn share(&mut self, chunk: Chunk) -> ChunkKey {
        self.pool.share(chunk)
    }

    /// Adds a hold for each of `count` edges.
    pub(super) fn retain(&mut self, key: ChunkKey, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let retained = self.pool.retain(key, count);
        debug_assert!(retained.is_ok(), "the caller has a hold");
    }

    /// Gives a hold back.
    pub(super) fn release(&mut self, key: ChunkKey) {
        // A chunk of an earlier incarnation is not of this pool: its segments end with that one.
        let _ = self.pool.release(key);
    }

    /// Gives back what the edges have freed; says whether that was anything.
    pub(super) fn release_freed(&mut self) -> bool {
        let any = !self.freed.is_empty();
        let mut freed = std::mem::take(&mut self.freed);
        for key in freed.drain(..) {
            self.release(key);
        }
        self.freed = freed;
        any
    }

    fn look_for_idle_segments(&mut self, shared: &Shared) {
        self.allocations += 1;
        if self.allocations < ALLOCATIONS_BETWEEN_LOOKS {
            return;
        }
        self.allocations = 0;
        self.retire_idle(shared);
    }

    /// Gives back segments that have been idle since the last look.
    pub(super) fn retire_idle(&mut self, shared: &Shared) {
        for segment in self.pool.retire_idle() {
            shared.note(&ToRuntime::SegmentRetired { segment });
        }
    }
}

/// Hands a new segment to the runtime. Descriptors on their way to it count against this process until it has read
/// them, which is soon: then it is offered again.
fn hand_over(new: &NewSegment, shared: &Shared) -> Result<(), frame::SendError> {
    let created = ToRuntime::SegmentCreated {
        segment: new.segment,
        length: new.length,
    };
    let mut offers = 0;
    loop {
        offers += 1;
        let told = shared.tell(&created, &[new.fd.as_fd()]);
        let is_over = offers == OFFERS_MAX || shared.is_runtime_gone() || shared.stop.is_now();
        if is_over || told != Err(frame::SendError::TooManyOnTheWay) {
            return told;
        }
        std::thread::sleep(OFFERS_PAUSE);
    }
}

/// What views of sent loans give back, from any thread. Its lock is never held while anything is waited for:
/// views go anywhere, in Python with the GIL held.
#[derive(Debug, Default)]
pub(crate) struct Returns {
    keys: Mutex<Vec<ChunkKey>>,
    /// Loans that are neither sent nor dropped, and views of sent ones.
    loans: AtomicUsize,
}

impl Returns {
    pub(super) fn loan_begins(&self) {
        self.loans.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn loan_ends(&self, key: Option<ChunkKey>) {
        if let Some(key) = key {
            self.keys
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(key);
        }
        self.loans.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn loans(&self) -> usize {
        self.loans.load(Ordering::Relaxed)
    }

    /// Moves what came back into `freed`.
    pub(super) fn collect(&self, freed: &mut Vec<ChunkKey>) {
        // Most nodes have no loans at all.
        freed.append(&mut self.keys.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use dataflow_shm::ForkGuard;

    use super::*;
    use crate::sender::tests::welcome;
    use crate::shared::tests::parts;

    #[test]
    fn no_chunk_is_cut_from_a_segment_that_the_runtime_did_not_get() {
        let (parts, runtime) = parts(ForkGuard::here().unwrap());
        let shared = Shared::new(parts);
        drop(runtime);
        let mut memory = Memory::new(&welcome());
        for attempt in 0..3 {
            let refused = memory.allocate(1000, &shared);
            assert!(
                matches!(refused, Err(NoChunk::Refused(_))),
                "attempt {attempt}: {refused:?}"
            );
        }
    }
}
