//! The segments that a receiver has been given: mapped once, read-only, and unmapped after their last message.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use dataflow_ids::{Epoch, NodeIndex, SegmentId};

use crate::eventfd::EventFd;
use crate::mapping::{Access, MapError, Mapping, UnmapNotice};
use crate::memfd::{self, MemfdRefused};
use crate::segment::SEGMENT_SEALS;

/// Why a segment was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// The descriptor is not what the sender said it is (I-3).
    #[error("segment {segment} is refused, its sender is faulty: {why}")]
    Refused {
        /// The segment.
        segment: SegmentId,
        /// What is wrong with it.
        why: MemfdRefused,
    },
    /// There is a segment of this name already.
    #[error("segment {segment} is refused, its sender is faulty: it has been given before")]
    Duplicate {
        /// The segment.
        segment: SegmentId,
    },
    /// It cannot be mapped.
    #[error("segment {segment} cannot be mapped: {why}")]
    Map {
        /// The segment.
        segment: SegmentId,
        /// Why not.
        why: MapError,
    },
}

/// Why there is no such segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// It has been retired, so no correct sender names it any more.
    #[error("segment {segment} is named by a message and was retired before: its sender is faulty")]
    Retired {
        /// The segment.
        segment: SegmentId,
    },
    /// The table was closed while it was waited for.
    #[error("segment {segment} did not arrive before this node ended")]
    Closed {
        /// The segment.
        segment: SegmentId,
    },
}

/// The table of received segments. Copies share it: the control thread fills it, user threads look.
#[derive(Debug, Clone)]
pub struct ReceivedSegments {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    /// Something was inserted, or the table was closed.
    changed: Condvar,
    unmapped: Arc<EventFd>,
}

#[derive(Debug, Default)]
struct Table {
    segments: HashMap<SegmentId, Entry>,
    /// The highest number that has come, of each incarnation of each sender. A sender's segments come in the
    /// order of their numbers, so a lower one that is not in the table will not come any more.
    newest: HashMap<(NodeIndex, Epoch), u32>,
    /// Retired, and not yet found unmapped.
    retiring: Vec<(SegmentId, Arc<AtomicBool>)>,
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    mapping: Arc<Mapping>,
    unmapped: Arc<AtomicBool>,
}

impl ReceivedSegments {
    /// An empty table. `unmapped` is notified whenever a segment has been unmapped; ask
    /// [`ReceivedSegments::take_unmapped`] then.
    pub fn new(unmapped: EventFd) -> Self {
        ReceivedSegments {
            shared: Arc::new(Shared {
                table: Mutex::default(),
                changed: Condvar::new(),
                unmapped: Arc::new(unmapped),
            }),
        }
    }

    /// Checks a segment that a sender has made, maps it read-only, and wakes who waits for it.
    ///
    /// The descriptor is not needed afterwards.
    ///
    /// # Errors
    ///
    /// [`InsertError`] when it is not a sealed memfd of exactly `length` allocated bytes, when there is one of
    /// this name already, or when it cannot be mapped.
    pub fn insert<Fd: AsFd>(
        &self,
        segment: SegmentId,
        fd: Fd,
        length: u64,
    ) -> Result<(), InsertError> {
        memfd::check(&fd, length, SEGMENT_SEALS)
            .map_err(|why| InsertError::Refused { segment, why })?;
        let gone = Arc::new(AtomicBool::new(false));
        let mut mapping = Mapping::map(&fd, length, Access::ReadOnly)
            .map_err(|why| InsertError::Map { segment, why })?;
        mapping.notify_when_unmapped(UnmapNotice {
            gone: Arc::clone(&gone),
            waiter: Arc::clone(&self.shared.unmapped),
        });
        let entry = Entry {
            mapping: Arc::new(mapping),
            unmapped: gone,
        };
        let mut table = self.lock();
        if table.segments.contains_key(&segment) {
            return Err(InsertError::Duplicate { segment });
        }
        table.segments.insert(segment, entry);
        let newest = table
            .newest
            .entry((segment.node, segment.epoch))
            .or_insert(segment.number);
        *newest = segment.number.max(*newest);
        drop(table);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// The segment, if it is here.
    pub fn get(&self, segment: SegmentId) -> Option<Arc<Mapping>> {
        let table = self.lock();
        let entry = table.segments.get(&segment)?;
        Some(Arc::clone(&entry.mapping))
    }

    /// The segment; `None` if it has not come yet.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Retired`] when it has come and gone already.
    pub fn look_up(&self, segment: SegmentId) -> Result<Option<Arc<Mapping>>, SegmentError> {
        let table = self.lock();
        match table.segments.get(&segment) {
            Some(entry) => Ok(Some(Arc::clone(&entry.mapping))),
            None if table.is_past(segment) => Err(SegmentError::Retired { segment }),
            None => Ok(None),
        }
    }

    /// The segment; waits for the control thread to insert it if it has not come yet.
    ///
    /// # Errors
    ///
    /// [`SegmentError`] when it has come and gone already, or the table is closed.
    pub fn get_or_wait(&self, segment: SegmentId) -> Result<Arc<Mapping>, SegmentError> {
        let mut table = self.lock();
        loop {
            if let Some(entry) = table.segments.get(&segment) {
                return Ok(Arc::clone(&entry.mapping));
            }
            if table.is_past(segment) {
                return Err(SegmentError::Retired { segment });
            }
            if table.closed {
                return Err(SegmentError::Closed { segment });
            }
            table = self
                .shared
                .changed
                .wait(table)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Forgets a segment that its sender has retired. It is unmapped when the last message in it goes, which
    /// can be now.
    ///
    /// Gives whether it was here. If not, nothing is mapped, and that can be said at once.
    pub fn retire(&self, segment: SegmentId) -> bool {
        let mut table = self.lock();
        let Some(entry) = table.segments.remove(&segment) else {
            return false;
        };
        table.retiring.push((segment, entry.unmapped));
        drop(table);
        // Perhaps the last reference: unmapped outside of the lock, since that takes a while.
        drop(entry.mapping);
        true
    }

    /// Retired segments that have been unmapped since the last call. Clears the eventfd.
    pub fn take_unmapped(&self) -> Vec<SegmentId> {
        // Before the look: what is unmapped after it notifies again.
        self.shared.unmapped.drain();
        let mut table = self.lock();
        let (gone, still): (Vec<_>, Vec<_>) = std::mem::take(&mut table.retiring)
            .into_iter()
            .partition(|(_, unmapped)| unmapped.load(Ordering::Acquire));
        table.retiring = still;
        gone.into_iter().map(|(segment, _)| segment).collect()
    }

    /// Ends every wait, now and later: nothing more will be inserted.
    pub fn close(&self) {
        self.lock().closed = true;
        self.shared.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Every change of the table is one statement, so a panic elsewhere leaves it whole.
        self.shared
            .table
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Whether the segment, which is not in the table, has been here or has been passed over.
    fn is_past(&self, segment: SegmentId) -> bool {
        self.newest
            .get(&(segment.node, segment.epoch))
            .is_some_and(|newest| segment.number <= *newest)
    }
}

#[cfg(test)]
mod tests;
