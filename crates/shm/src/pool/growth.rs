//! How a pool comes to its segments, and gives them back.

use dataflow_ids::SegmentId;

use super::classes::page_bytes;
use super::error::GrowError;
use super::extents::Extents;
use super::{Segment, SegmentPool};
use crate::mapping::MapError;
use crate::memfd::MemoryError;
use crate::segment::{self, NewSegment};

/// The smallest segment, unless the limit is smaller.
pub const SEGMENT_BYTES_MIN: u64 = 1 << 20;

/// Each segment is at least as large as all before it together, up to this: few memfds serve any load, and one
/// step of growth stays short.
const SEGMENT_GROWTH_BYTES_MAX: u64 = 64 << 20;

/// A segment is made for this many of the chunk that asked for it: one that is written, one that is queued, one
/// that is held, and one to spare.
const SEGMENT_CHUNKS: u64 = 4;

/// Of chunks larger than this a segment is made for two.
const LARGE_CHUNK_BYTES: u64 = 8 << 20;

/// The outcome of a growth.
#[derive(Debug)]
pub struct Growth {
    /// The new segment: hand it over before a chunk of it is published.
    pub segment: NewSegment,
    /// Segments that had to go to make room for it: say so too.
    pub retired: Vec<SegmentId>,
}

impl SegmentPool {
    /// Makes a segment in which a chunk of `bytes` bytes has room. Idle segments go when the limit asks for it.
    ///
    /// # Errors
    ///
    /// [`GrowError`] when the limit, the machine or its control group has no room; the pool is then as before.
    pub fn grow(&mut self, bytes: u64) -> Result<Growth, GrowError> {
        self.take_returns();
        let limit_bytes = self.config.limit_bytes;
        let mut total_bytes = self.total_bytes;
        let mut victims = Vec::new();
        let at_limit = |total_bytes| GrowError::AtLimit {
            bytes,
            total_bytes,
            limit_bytes,
        };
        let needed = page_bytes(bytes.max(1)).ok_or(at_limit(total_bytes))?;
        if needed > limit_bytes.saturating_sub(total_bytes) {
            let mut idle: Vec<_> = self.idle().collect();
            idle.sort_by_key(|(number, _)| self.segments.get(number).map(|s| s.used_at));
            for (number, idle_bytes) in idle {
                if needed <= limit_bytes.saturating_sub(total_bytes) {
                    break;
                }
                total_bytes -= idle_bytes;
                victims.push(number);
            }
        }
        let room = limit_bytes.saturating_sub(total_bytes);
        if needed > room {
            return Err(at_limit(total_bytes));
        }
        let number = self.next_number.ok_or(GrowError::NumbersUsedUp)?;
        let segment = SegmentId {
            node: self.config.index,
            epoch: self.config.epoch,
            number,
        };
        let wanted = self
            .wanted_bytes(needed)
            .min(room - room % 4096)
            .max(needed);
        let create = |bytes| segment::create(&self.config.run, &self.config.node, segment, bytes);
        let (new, mapping) = match create(wanted) {
            // Memory is short: then just what is needed.
            Err(MapError::Memory(
                MemoryError::NotEnough { .. } | MemoryError::OutOfMemory { .. },
            )) if wanted > needed => create(needed)?,
            other => other?,
        };
        let retired = victims
            .into_iter()
            .map(|number| self.retire(number))
            .collect();
        self.next_number = number.checked_add(1);
        self.total_bytes += new.length;
        self.clock += 1;
        self.segments.insert(
            number,
            Segment {
                mapping,
                free: Extents::whole(new.length),
                in_use_bytes: 0,
                used_at: self.clock,
            },
        );
        Ok(Growth {
            segment: new,
            retired,
        })
    }

    /// Takes back a growth whose segment could not be handed over: no chunk of it may be published, so it must go
    /// before one is allocated. Its number is not used again.
    ///
    /// # Panics
    ///
    /// When a chunk of it is in use.
    pub fn abandon(&mut self, segment: SegmentId) {
        let unused = self
            .segments
            .get(&segment.number)
            .is_none_or(|segment| segment.in_use_bytes == 0);
        assert!(unused, "a segment is handed over before it is used");
        self.retire(segment.number);
    }

    fn wanted_bytes(&self, needed: u64) -> u64 {
        let chunks = if needed > LARGE_CHUNK_BYTES {
            2
        } else {
            SEGMENT_CHUNKS
        };
        needed
            .saturating_mul(chunks)
            .max(SEGMENT_BYTES_MIN)
            .max(self.total_bytes.min(SEGMENT_GROWTH_BYTES_MAX))
    }

    /// Gives idle segments back: those without a chunk in use, as long as what stays free is at least what was
    /// in use at any time since the last call, and never the one used last. Receivers are to be told.
    pub fn retire_idle(&mut self) -> Vec<SegmentId> {
        self.take_returns();
        let mut idle: Vec<_> = self
            .idle()
            .filter_map(|(number, bytes)| {
                Some((self.segments.get(&number)?.used_at, number, bytes))
            })
            .collect();
        idle.sort_unstable();
        let hottest = self.segments.values().map(|segment| segment.used_at).max();
        let mut retired = Vec::new();
        for (used_at, number, bytes) in idle {
            let free_after_bytes = self.total_bytes - self.in_use_bytes - bytes;
            if Some(used_at) != hottest && free_after_bytes >= self.peak_in_use_bytes {
                retired.push(self.retire(number));
            }
        }
        self.peak_in_use_bytes = self.in_use_bytes;
        retired
    }

    /// Segments without a chunk in use, and their lengths.
    pub(super) fn idle(&self) -> impl Iterator<Item = (u32, u64)> {
        self.segments
            .iter()
            .filter(|(_, segment)| segment.in_use_bytes == 0)
            .map(|(&number, segment)| (number, segment.mapping.length_bytes()))
    }

    fn retire(&mut self, number: u32) -> SegmentId {
        if let Some(segment) = self.segments.remove(&number) {
            self.total_bytes -= segment.mapping.length_bytes();
        }
        for places in self.hot.values_mut() {
            places.retain(|place| place.number != number);
        }
        SegmentId {
            node: self.config.index,
            epoch: self.config.epoch,
            number,
        }
    }
}
