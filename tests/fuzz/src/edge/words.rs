//! The words of an edge in ordinary memory: counted, bounded, and deaf to a process that has died.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dataflow_shm::edge::{FenceSite, Layout, Notify, Words};

/// What `stores_left` says of a process that does not die.
const FOR_EVER: u64 = u64::MAX;

/// The words, as one incarnation of one process has mapped them.
#[derive(Debug, Clone)]
pub(super) struct ProcessWords {
    words: Arc<[AtomicU64]>,
    /// How many accesses there may be until the next call of [`ProcessWords::allow`], by anybody.
    allowed: Arc<AtomicU64>,
    is_alive: Arc<AtomicBool>,
    /// How often it still writes before it dies.
    stores_left: Arc<AtomicU64>,
}

impl ProcessWords {
    pub(super) fn new(layout: &Layout) -> ProcessWords {
        ProcessWords {
            words: (0..layout.words()).map(|_| AtomicU64::new(0)).collect(),
            allowed: Arc::new(AtomicU64::new(FOR_EVER)),
            is_alive: Arc::new(AtomicBool::new(true)),
            stores_left: Arc::new(AtomicU64::new(FOR_EVER)),
        }
    }

    /// The same words, for another process.
    pub(super) fn for_another(&self) -> ProcessWords {
        ProcessWords {
            words: Arc::clone(&self.words),
            allowed: Arc::clone(&self.allowed),
            is_alive: Arc::new(AtomicBool::new(true)),
            stores_left: Arc::new(AtomicU64::new(FOR_EVER)),
        }
    }

    /// Allows this many accesses from now on; one more is a call that does not end.
    pub(super) fn allow(&self, accesses: u64) {
        self.allowed.store(accesses, Ordering::Relaxed);
    }

    /// Dies after this many more writes: what it does afterwards has no effect.
    pub(super) fn dies_after(&self, stores: u64) {
        self.stores_left.store(stores, Ordering::Relaxed);
    }

    /// Is dead: neither does what it owned have an effect when it is dropped.
    pub(super) fn die(&self) {
        self.is_alive.store(false, Ordering::Relaxed);
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        let allowed = self.allowed.fetch_sub(1, Ordering::Relaxed);
        assert!(allowed > 0, "a call that does not end");
        // An index outside is a panic here, as it is in a mapping.
        &self.words[index]
    }

    /// Whether it lives to write once more.
    fn lives(&self) -> bool {
        match self.stores_left.load(Ordering::Relaxed) {
            FOR_EVER => true,
            0 => false,
            left => {
                self.stores_left.store(left - 1, Ordering::Relaxed);
                true
            }
        }
    }
}

impl Words for ProcessWords {
    fn load(&self, index: usize, _: Ordering) -> u64 {
        self.word(index).load(Ordering::Relaxed)
    }

    fn store(&self, index: usize, value: u64, _: Ordering) {
        let word = self.word(index);
        if self.lives() {
            word.store(value, Ordering::Relaxed);
        }
    }

    fn compare_exchange(&self, index: usize, current: u64, new: u64) -> Result<u64, u64> {
        let word = self.word(index);
        let found = word.load(Ordering::Relaxed);
        if found != current || !self.lives() {
            return Err(found);
        }
        word.store(new, Ordering::Relaxed);
        Ok(found)
    }

    fn swap(&self, index: usize, value: u64) -> u64 {
        let found = self.word(index).load(Ordering::Relaxed);
        self.store(index, value, Ordering::Relaxed);
        found
    }

    fn fetch_add(&self, index: usize, value: u64, _: Ordering) -> u64 {
        let found = self.word(index).load(Ordering::Relaxed);
        self.store(index, found.wrapping_add(value), Ordering::Relaxed);
        found
    }

    fn fence(&self, _: FenceSite) {}

    fn usable(&self) -> bool {
        self.is_alive.load(Ordering::Relaxed)
    }
}

/// Nobody sleeps here.
#[derive(Debug, Clone, Copy)]
pub(super) struct NobodyToWake;

impl Notify for NobodyToWake {
    fn notify(&self) {}
}
