//! A piece of a sender's memory that is being filled, and its way back when it is not sent.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dataflow_ids::SegmentId;

use super::Place;
use crate::mapping::Mapping;

/// A piece of a segment that its owner alone may read and write, until it is shared with the receivers.
///
/// It keeps its segment mapped, so it may outlive every borrow of the pool, and move to other threads.
/// Dropping it sends nothing: the pool gets it back.
pub struct Chunk {
    pub(super) segment: SegmentId,
    pub(super) place: Place,
    pub(super) capacity: usize,
    mapping: Arc<Mapping>,
    /// `None` once the pool has taken it over.
    returns: Option<Arc<Returns>>,
}

impl Chunk {
    pub(super) fn new(
        segment: SegmentId,
        place: Place,
        capacity: usize,
        mapping: Arc<Mapping>,
        returns: Arc<Returns>,
    ) -> Self {
        // The soundness of the two accessors below rests on it, and it costs nothing beside a message.
        assert!(
            mapping.check(place.offset, capacity as u64).is_ok(),
            "the pool cuts chunks inside their segments"
        );
        Chunk {
            segment,
            place,
            capacity,
            mapping,
            returns: Some(returns),
        }
    }

    /// The segment it lies in.
    pub fn segment(&self) -> SegmentId {
        self.segment
    }

    /// Where in the segment it begins, in bytes; a multiple of 64.
    pub fn offset(&self) -> u64 {
        self.place.offset
    }

    /// How many bytes it has: at least what was asked for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Its bytes. A recycled chunk has what was last written there.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the range is inside the mapping (checked in `new`), which the `Arc` keeps alive. The pool
        // has given this range to this chunk alone and gives it to no other before this one is dropped or all
        // receivers have released it (I-1); writing needs `&mut self`.
        unsafe { std::slice::from_raw_parts(self.pointer(), self.capacity) }
    }

    /// Its bytes, for writing. A recycled chunk has what was last written there.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`; the mapping of a pool is writable, and `&mut self` makes this the only
        // access in this process. No receiver has been told of the range yet.
        unsafe { std::slice::from_raw_parts_mut(self.pointer(), self.capacity) }
    }

    fn pointer(&self) -> *mut u8 {
        // SAFETY: `new` has found the offset inside the mapping.
        unsafe {
            self.mapping
                .address()
                .as_ptr()
                .add(self.place.offset as usize)
        }
    }

    /// Hands the range over to the pool's table of shared chunks.
    pub(super) fn into_place(mut self) -> (Place, usize) {
        self.returns = None;
        (self.place, self.capacity)
    }

    /// Whether this chunk was cut by the pool that reads `returns`.
    pub(super) fn belongs_to(&self, returns: &Arc<Returns>) -> bool {
        self.returns
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, returns))
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(returns) = self.returns.take() {
            // A forked child has a copy of this value and no such memory; the parent's chunk is not touched.
            if self.mapping.is_usable() {
                returns.push(self.place, self.capacity);
            }
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("segment", &self.segment)
            .field("offset", &self.place.offset)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// Chunks that were dropped without being sent, on whatever thread, until the pool looks.
#[derive(Debug, Default)]
pub(super) struct Returns {
    some: AtomicBool,
    list: Mutex<Vec<(Place, usize)>>,
}

impl Returns {
    fn push(&self, place: Place, capacity: usize) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.push((place, capacity));
        self.some.store(true, Ordering::Release);
    }

    /// What came since the last look. Without anything it costs one load.
    pub(super) fn take(&self) -> Vec<(Place, usize)> {
        if !self.some.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        self.some.store(false, Ordering::Relaxed);
        std::mem::take(&mut *list)
    }
}
