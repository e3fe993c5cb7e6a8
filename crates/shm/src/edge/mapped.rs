//! Shared words in a memfd: the one place of the edges with unsafe code.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::config::EdgeConfig;
use super::error::AttachError;
use super::layout::{Layout, MAGIC, VERSION, header};
use super::words::{FenceSite, Words};
use crate::fork_guard::ForkGuard;
use crate::mapping::{Access, MapError, Mapping};
use crate::memfd;

/// The words of an edge, mapped for reading and writing.
#[derive(Debug)]
pub struct MappedWords {
    mapping: Mapping,
    guard: ForkGuard,
}

impl MappedWords {
    /// Maps all of a memfd that this process has made or checked: sealed against shrinking, `bytes` long.
    pub(super) fn map(fd: impl AsFd, bytes: u64) -> Result<Self, MapError> {
        Ok(MappedWords {
            guard: ForkGuard::here()?,
            mapping: Mapping::map(fd, bytes, Access::ReadWrite)?,
        })
    }

    /// Checks and maps an edge for one of its ends.
    ///
    /// # Errors
    ///
    /// [`AttachError`] when the configuration is outside its limits, the descriptor is not such an edge, or
    /// the kernel refuses.
    pub fn attach(fd: impl AsFd, config: &EdgeConfig) -> Result<Self, AttachError> {
        let edge = config.edge;
        let bytes = Layout::new(config)?.bytes() as u64;
        memfd::check(&fd, bytes, memfd::FIXED_LENGTH)
            .map_err(|source| AttachError::Descriptor { edge, source })?;
        let words =
            MappedWords::map(fd, bytes).map_err(|source| AttachError::Map { edge, source })?;
        let begins_with =
            [header::MAGIC, header::VERSION].map(|word| words.load(word, Ordering::Acquire));
        if begins_with != [MAGIC, VERSION] {
            return Err(AttachError::NotThisVersion { edge });
        }
        Ok(words)
    }

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        let base = self.mapping.address().cast::<AtomicU64>();
        let count = (self.mapping.length_bytes() / 8) as usize;
        // SAFETY: the mapping is readable and writable, begins on a page, has at least `count` words, and
        // lives as long as `self`. Its memfd is allocated and sealed against shrinking (I-3), so no access
        // faults. Everybody in this process reaches it through this function alone, hence as atomics; other
        // processes may write anything: any bit pattern is a `u64`, and the readers check what it says.
        unsafe { std::slice::from_raw_parts(base.as_ptr(), count) }
    }
}

impl Words for MappedWords {
    #[inline]
    fn load(&self, index: usize, ordering: Ordering) -> u64 {
        self.words()[index].load(ordering)
    }

    #[inline]
    fn store(&self, index: usize, value: u64, ordering: Ordering) {
        self.words()[index].store(value, ordering);
    }

    #[inline]
    fn compare_exchange(&self, index: usize, current: u64, new: u64) -> Result<u64, u64> {
        self.words()[index].compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
    }

    #[inline]
    fn swap(&self, index: usize, value: u64) -> u64 {
        self.words()[index].swap(value, Ordering::AcqRel)
    }

    #[inline]
    fn fetch_add(&self, index: usize, value: u64, ordering: Ordering) -> u64 {
        self.words()[index].fetch_add(value, ordering)
    }

    #[inline]
    fn fence(&self, _site: FenceSite) {
        fence(Ordering::SeqCst);
    }

    #[inline]
    fn usable(&self) -> bool {
        self.guard.holds()
    }
}
