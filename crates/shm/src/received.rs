//! The segments that a receiver has been given: mapped once, read-only, and unmapped after their last message.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use dataflow_ids::{Epoch, NodeIndex, SegmentId};

use crate::eventfd::EventFd;
use crate::mapping::{Access, MapError, Mapping};
use crate::memfd::{self, MemfdRefused};
use crate::segment::SEGMENT_SEALS;

mod in_use;

use in_use::Retirement;
pub use in_use::SegmentInUse;

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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// It came and could not be taken.
    #[error(transparent)]
    NotTaken(#[from] InsertError),
    /// It will not come any more: everything that its sender has handed over has come.
    #[error(
        "segment {segment} is named by a message and was never handed over: its sender is faulty, or could not \
         hand it over before it ended"
    )]
    NeverCame {
        /// The segment.
        segment: SegmentId,
    },
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
    /// Came, and could not be taken. A message that names one of these waits for nothing.
    failed: HashMap<SegmentId, InsertError>,
    /// The highest number that has come, of each incarnation of each sender. A sender's segments come in the
    /// order of their numbers, so a lower one that is not in the table will not come any more.
    newest: HashMap<(NodeIndex, Epoch), u32>,
    /// The incarnations of each sender, up to and including this one, of which nothing more will come.
    complete: HashMap<NodeIndex, Epoch>,
    /// Retired, and still mapped.
    retiring: Vec<(SegmentId, Arc<Mapping>)>,
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    mapping: Arc<Mapping>,
    retirement: Arc<Retirement>,
}

impl Entry {
    fn in_use(&self) -> SegmentInUse {
        SegmentInUse::new(&self.mapping, &self.retirement)
    }
}

impl ReceivedSegments {
    /// An empty table. `unmapped` is notified whenever a retired segment may be unmapped; call
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
    /// this name already, or when it cannot be mapped. Who looks the segment up gets that error too.
    pub fn insert<Fd: AsFd>(
        &self,
        segment: SegmentId,
        fd: Fd,
        length: u64,
    ) -> Result<(), InsertError> {
        let entry = self.map(segment, fd, length);
        let mut table = self.lock();
        if table.segments.contains_key(&segment) {
            return Err(InsertError::Duplicate { segment });
        }
        table.has_come(segment);
        let inserted = match entry {
            Ok(entry) => {
                table.failed.remove(&segment);
                table.segments.insert(segment, entry);
                Ok(())
            }
            Err(error) => {
                table.failed.insert(segment, error.clone());
                Err(error)
            }
        };
        drop(table);
        self.shared.changed.notify_all();
        inserted
    }

    fn map<Fd: AsFd>(&self, segment: SegmentId, fd: Fd, length: u64) -> Result<Entry, InsertError> {
        memfd::check(&fd, length, SEGMENT_SEALS)
            .map_err(|why| InsertError::Refused { segment, why })?;
        let mapping = Mapping::map(&fd, length, Access::ReadOnly)
            .map_err(|why| InsertError::Map { segment, why })?;
        Ok(Entry {
            mapping: Arc::new(mapping),
            retirement: Arc::new(Retirement::new(&self.shared.unmapped)),
        })
    }

    /// Everything that the sender's incarnations up to and including `upto` have handed over has come: a segment of
    /// them that is not here is an error from now on, and no longer waited for. Gives whether this is news.
    pub fn complete(&self, sender: NodeIndex, upto: Epoch) -> bool {
        let is_news = self.lock().complete(sender, upto);
        self.shared.changed.notify_all();
        is_news
    }

    /// The segment, if it is here.
    pub fn get(&self, segment: SegmentId) -> Option<SegmentInUse> {
        self.lock().segments.get(&segment).map(Entry::in_use)
    }

    /// The segment; `None` if it has not come yet.
    ///
    /// # Errors
    ///
    /// [`SegmentError`] when it could not be taken, has come and gone already, or will not come any more.
    pub fn look_up(&self, segment: SegmentId) -> Result<Option<SegmentInUse>, SegmentError> {
        self.lock().look_up(segment)
    }

    /// The segment; waits for the control thread to insert it if it has not come yet.
    ///
    /// # Errors
    ///
    /// [`SegmentError`] as [`ReceivedSegments::look_up`], or when the table is closed.
    pub fn get_or_wait(&self, segment: SegmentId) -> Result<SegmentInUse, SegmentError> {
        let mut table = self.lock();
        loop {
            if let Some(mapping) = table.look_up(segment)? {
                return Ok(mapping);
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

    /// Forgets a segment that its sender has retired. It can be unmapped when the last message in it has gone,
    /// which can be now.
    ///
    /// Gives whether it was here. If not, nothing is mapped, and that can be said at once.
    pub fn retire(&self, segment: SegmentId) -> bool {
        let mut table = self.lock();
        table.failed.remove(&segment);
        let Some(entry) = table.segments.remove(&segment) else {
            return false;
        };
        table.retiring.push((segment, entry.mapping));
        drop(table);
        entry.retirement.begin();
        self.shared.unmapped.notify();
        true
    }

    /// Unmaps every retired segment in which no message is held any more, and gives their names. Clears the
    /// eventfd. For the control thread: unmapping takes a while.
    pub fn take_unmapped(&self) -> Vec<SegmentId> {
        // Before the look: what is unmapped after it notifies again.
        self.shared.unmapped.drain();
        let mut table = self.lock();
        let (mut unused, mut in_use) = (Vec::new(), Vec::new());
        for (segment, mapping) in std::mem::take(&mut table.retiring) {
            match Arc::try_unwrap(mapping) {
                Ok(mapping) => unused.push((segment, mapping)),
                Err(mapping) => in_use.push((segment, mapping)),
            }
        }
        table.retiring = in_use;
        drop(table);
        let unmap = |(segment, mapping): (SegmentId, Mapping)| {
            drop(mapping);
            segment
        };
        unused.into_iter().map(unmap).collect()
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
    /// Notes that a segment has come, whatever becomes of it.
    fn has_come(&mut self, segment: SegmentId) {
        let newest = self
            .newest
            .entry((segment.node, segment.epoch))
            .or_insert(segment.number);
        *newest = segment.number.max(*newest);
        // An incarnation begins when the one before has ended, and everything of that one has come before.
        let before = Epoch(segment.epoch.0.saturating_sub(1));
        self.complete(segment.node, before);
    }

    /// Notes that everything of these incarnations has come; gives whether this is news.
    fn complete(&mut self, sender: NodeIndex, upto: Epoch) -> bool {
        let complete = self.complete.entry(sender).or_insert(Epoch::NONE);
        let is_news = *complete < upto;
        *complete = upto.max(*complete);
        is_news
    }

    fn look_up(&self, segment: SegmentId) -> Result<Option<SegmentInUse>, SegmentError> {
        if let Some(entry) = self.segments.get(&segment) {
            return Ok(Some(entry.in_use()));
        }
        if let Some(error) = self.failed.get(&segment) {
            return Err(error.clone().into());
        }
        // It has been here, or has been passed over.
        let newest = self.newest.get(&(segment.node, segment.epoch));
        if newest.is_some_and(|newest| segment.number <= *newest) {
            return Err(SegmentError::Retired { segment });
        }
        let complete = self.complete.get(&segment.node);
        if complete.is_some_and(|complete| segment.epoch <= *complete) {
            return Err(SegmentError::NeverCame { segment });
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
