//! A sender's memory: segments cut into chunks, recycled last freed first, bounded, and given back.

mod chunk;
mod classes;
mod error;
mod extents;
mod growth;
mod place;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dataflow_ids::{Epoch, NodeId, NodeIndex, SegmentId};

use crate::edge::ChunkKey;
use crate::mapping::Mapping;

pub use chunk::Chunk;
pub use classes::CHUNK_ALIGNMENT_BYTES;
pub use error::{AllocateError, GrowError, UnknownChunk};
pub use growth::{Growth, SEGMENT_BYTES_MIN};

use chunk::Returns;
use classes::{class_bytes, page_bytes};
use extents::Extents;
use place::{BuildPlaceHasher, Place};

/// Whose pool it is, and its limit.
#[derive(Debug, Clone)]
pub struct SegmentPoolConfig {
    /// The run's name, for the names of memfds.
    pub run: String,
    /// The sender's name, for the names of memfds.
    pub node: NodeId,
    /// The sender's place in the description.
    pub index: NodeIndex,
    /// The sender's incarnation.
    pub epoch: Epoch,
    /// The most that the segments may have together, in bytes.
    pub limit_bytes: u64,
}

/// What a pool has and uses, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUsage {
    /// What its segments have together.
    pub total_bytes: u64,
    /// What chunks take that are being written, queued or held.
    pub in_use_bytes: u64,
    /// What its segments may have together.
    pub limit_bytes: u64,
}

#[derive(Debug)]
struct Segment {
    mapping: Arc<Mapping>,
    free: Extents,
    in_use_bytes: u64,
    /// The pool's clock at the last allocation here.
    used_at: u64,
}

/// A chunk that receivers know of.
#[derive(Debug)]
struct Shared {
    bytes: u64,
    holds: u32,
}

/// A sender's allocator. It belongs to one thread at a time; chunks may go anywhere.
#[derive(Debug)]
pub struct SegmentPool {
    config: SegmentPoolConfig,
    segments: BTreeMap<u32, Segment>,
    next_number: Option<u32>,
    total_bytes: u64,
    in_use_bytes: u64,
    /// The most that was in use since the last look for idle segments.
    peak_in_use_bytes: u64,
    clock: u64,
    /// Freed chunks by size, the last freed at the end. What lies here is free, but not in the `Extents`.
    hot: HashMap<u64, Vec<Place>, BuildPlaceHasher>,
    shared: HashMap<Place, Shared, BuildPlaceHasher>,
    returns: Arc<Returns>,
}

impl SegmentPool {
    /// A pool without segments.
    pub fn new(config: SegmentPoolConfig) -> Self {
        SegmentPool {
            config,
            segments: BTreeMap::new(),
            next_number: Some(0),
            total_bytes: 0,
            in_use_bytes: 0,
            peak_in_use_bytes: 0,
            clock: 0,
            hot: HashMap::default(),
            shared: HashMap::default(),
            returns: Arc::default(),
        }
    }

    /// A chunk of at least `length` bytes, aligned to 64. Sweep the edges first, so that it can be a hot one.
    ///
    /// # Errors
    ///
    /// [`AllocateError::NeedsSegment`] asks for [`SegmentPool::grow`]; [`AllocateError::AtLimit`] for a
    /// release; [`AllocateError::TooLarge`] is final.
    pub fn allocate(&mut self, length: usize) -> Result<Chunk, AllocateError> {
        self.take_returns();
        let limit_bytes = self.config.limit_bytes;
        let length = length as u64;
        let too_large = AllocateError::TooLarge {
            bytes: length,
            limit_bytes,
        };
        // Segments are whole pages, and so is what they can have at most.
        let largest = limit_bytes - limit_bytes % 4096;
        if length > largest {
            return Err(too_large);
        }
        let bytes = class_bytes(length).ok_or(too_large)?.min(largest);
        if let Some(place) = self.find(bytes) {
            return self.hand_out(place, bytes);
        }
        let idle_bytes: u64 = self.idle().map(|(_, bytes)| bytes).sum();
        // In whole pages, as the segment that `grow` would make for it.
        let fits = page_bytes(bytes).is_some_and(|bytes| {
            self.total_bytes - idle_bytes <= limit_bytes.saturating_sub(bytes)
        });
        if fits {
            return Err(AllocateError::NeedsSegment { bytes });
        }
        Err(AllocateError::AtLimit {
            bytes,
            in_use_bytes: self.in_use_bytes,
            limit_bytes,
        })
    }

    /// Ends the writing of a chunk: from now on it is only read, and it goes back to the pool when every hold
    /// on it is released. The caller has the first hold.
    ///
    /// # Panics
    ///
    /// When the chunk is of another pool: nobody can name its segment then.
    pub fn share(&mut self, chunk: Chunk) -> ChunkKey {
        assert!(
            chunk.belongs_to(&self.returns),
            "a chunk is shared through the pool that cut it"
        );
        let segment = chunk.segment();
        let (place, capacity) = chunk.into_place();
        self.shared.insert(
            place,
            Shared {
                bytes: capacity as u64,
                holds: 1,
            },
        );
        ChunkKey {
            segment,
            offset: place.offset,
        }
    }

    /// Adds `holds` holds: one for each edge that the chunk is about to be published on.
    ///
    /// # Errors
    ///
    /// [`UnknownChunk`] when nobody holds it.
    pub fn retain(&mut self, key: ChunkKey, holds: u32) -> Result<(), UnknownChunk> {
        let shared = self
            .place_of(key)
            .and_then(|place| self.shared.get_mut(&place));
        let shared = shared.ok_or(unknown(key))?;
        shared.holds = shared.holds.saturating_add(holds);
        Ok(())
    }

    /// Gives one hold back. After the last one the chunk is the first to be used again.
    ///
    /// # Errors
    ///
    /// [`UnknownChunk`] when nobody holds it; nothing has changed then.
    pub fn release(&mut self, key: ChunkKey) -> Result<(), UnknownChunk> {
        // What came back before is freed before, so that this one is the last.
        self.take_returns();
        let place = self.place_of(key).ok_or(unknown(key))?;
        let shared = self.shared.get_mut(&place).ok_or(unknown(key))?;
        shared.holds -= 1;
        if shared.holds == 0 {
            let bytes = shared.bytes;
            self.shared.remove(&place);
            self.free(place, bytes);
        }
        Ok(())
    }

    /// What the pool has and uses.
    pub fn usage(&mut self) -> PoolUsage {
        self.take_returns();
        PoolUsage {
            total_bytes: self.total_bytes,
            in_use_bytes: self.in_use_bytes,
            limit_bytes: self.config.limit_bytes,
        }
    }

    /// The first free range for `bytes`: the chunk of this size that was freed last, else a fresh cut, else
    /// one where freed chunks of other sizes have been.
    fn find(&mut self, bytes: u64) -> Option<Place> {
        if let Some(place) = self.hot.get_mut(&bytes).and_then(Vec::pop) {
            return Some(place);
        }
        if let Some(place) = self.carve(bytes) {
            return Some(place);
        }
        self.cool_down();
        self.carve(bytes)
    }

    fn carve(&mut self, bytes: u64) -> Option<Place> {
        self.segments.iter_mut().find_map(|(&number, segment)| {
            let offset = segment.free.carve(bytes)?;
            Some(Place { number, offset })
        })
    }

    /// Merges all freed chunks into the free ranges of their segments.
    fn cool_down(&mut self) {
        for (bytes, places) in self.hot.drain() {
            for place in places {
                if let Some(segment) = self.segments.get_mut(&place.number) {
                    segment.free.give_back(place.offset, bytes);
                }
            }
        }
    }

    fn hand_out(&mut self, place: Place, bytes: u64) -> Result<Chunk, AllocateError> {
        let Some(segment) = self.segments.get_mut(&place.number) else {
            unreachable!("a segment is retired with its free places");
        };
        self.clock += 1;
        segment.used_at = self.clock;
        segment.in_use_bytes += bytes;
        self.in_use_bytes += bytes;
        self.peak_in_use_bytes = self.peak_in_use_bytes.max(self.in_use_bytes);
        Ok(Chunk::new(
            SegmentId {
                node: self.config.index,
                epoch: self.config.epoch,
                number: place.number,
            },
            place,
            bytes as usize,
            Arc::clone(&segment.mapping),
            Arc::clone(&self.returns),
        ))
    }

    fn free(&mut self, place: Place, bytes: u64) {
        if let Some(segment) = self.segments.get_mut(&place.number) {
            segment.in_use_bytes -= bytes;
            self.in_use_bytes -= bytes;
            self.hot.entry(bytes).or_default().push(place);
        }
    }

    fn take_returns(&mut self) {
        for (place, capacity) in self.returns.take() {
            self.free(place, capacity as u64);
        }
    }

    /// `None` for a segment of another sender or another incarnation.
    fn place_of(&self, key: ChunkKey) -> Option<Place> {
        let ours = key.segment.node == self.config.index && key.segment.epoch == self.config.epoch;
        ours.then_some(Place {
            number: key.segment.number,
            offset: key.offset,
        })
    }
}

fn unknown(key: ChunkKey) -> UnknownChunk {
    UnknownChunk {
        segment: key.segment,
        offset: key.offset,
    }
}
