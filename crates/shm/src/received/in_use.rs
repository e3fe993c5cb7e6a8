//! A received segment in somebody's hands. Letting go of it never unmaps it: that takes a while, and the last view of
//! a message can go anywhere, also in a garbage collector.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crate::eventfd::EventFd;
use crate::mapping::Mapping;

/// Whether a segment is to be unmapped, and whom to tell when somebody has let go of it then.
#[derive(Debug)]
pub(super) struct Retirement {
    is_retired: AtomicBool,
    waiter: Arc<EventFd>,
}

impl Retirement {
    pub(super) fn new(waiter: &Arc<EventFd>) -> Retirement {
        Retirement {
            is_retired: AtomicBool::new(false),
            waiter: Arc::clone(waiter),
        }
    }

    /// From now on, who lets go of the segment tells the waiter. A look at who still has it must follow.
    pub(super) fn begin(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
        // "I have said that I wait, and now look whether you have it" against "I have let go, and now look whether
        // somebody waits": one of the two sees the other.
        fence(Ordering::SeqCst);
    }

    /// Somebody has let go of the segment.
    #[inline]
    fn let_go(&self) {
        fence(Ordering::SeqCst);
        if self.is_retired.load(Ordering::Relaxed) {
            self.waiter.notify();
        }
    }
}

/// A received segment, mapped for as long as this value lives. Dropping it, on any thread, is some atomics and
/// perhaps a write to an eventfd; the memory is unmapped by who asks
/// [`ReceivedSegments::take_unmapped`](super::ReceivedSegments::take_unmapped).
pub struct SegmentInUse {
    mapping: ManuallyDrop<Arc<Mapping>>,
    retirement: Arc<Retirement>,
}

impl SegmentInUse {
    pub(super) fn new(mapping: &Arc<Mapping>, retirement: &Arc<Retirement>) -> SegmentInUse {
        SegmentInUse {
            mapping: ManuallyDrop::new(Arc::clone(mapping)),
            retirement: Arc::clone(retirement),
        }
    }
}

impl Clone for SegmentInUse {
    fn clone(&self) -> SegmentInUse {
        SegmentInUse::new(&self.mapping, &self.retirement)
    }
}

impl Deref for SegmentInUse {
    type Target = Mapping;

    fn deref(&self) -> &Mapping {
        &self.mapping
    }
}

impl Drop for SegmentInUse {
    fn drop(&mut self) {
        // A child of `fork` has this value too, and nobody there waits.
        let is_usable = self.mapping.is_usable();
        // SAFETY: it is dropped here, once, and not used afterwards. It goes first: who is told then finds it gone.
        unsafe { ManuallyDrop::drop(&mut self.mapping) };
        if is_usable {
            self.retirement.let_go();
        }
    }
}

impl fmt::Debug for SegmentInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mapping.fmt(f)
    }
}
