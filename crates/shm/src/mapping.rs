//! One memfd in this process's memory, for as long as anything refers to it.

use std::ffi::c_void;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

use crate::fork_guard::{ForkGuard, ForkGuardError};
use crate::memfd::MemoryError;

/// With debug assertions, as in every test, this many bytes before and after a mapping may not be touched: who reads
/// outside (I-3) is killed at once and does not find a neighbour. A multiple of every page size.
const GUARD_BYTES: usize = if cfg!(debug_assertions) { 64 * 1024 } else { 0 };

/// What this process may do with a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read it.
    ReadOnly,
    /// Read and write it.
    ReadWrite,
}

/// Why a memfd could not be mapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// The kernel refused.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// No guard against forks could be made.
    #[error(transparent)]
    ForkGuard(#[from] ForkGuardError),
}

/// A range that is not inside its mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bytes {offset} to {offset} + {length} are outside of a mapping of {mapped_bytes} bytes")]
pub struct OutOfBounds {
    /// Where the range begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
    /// How long the mapping is.
    pub mapped_bytes: u64,
}

/// A mapped memfd. Not inherited by forked children; unmapped when the last reference goes, and only in the
/// process that mapped it.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<u8>,
    length: usize,
    access: Access,
    guard: ForkGuard,
}

// SAFETY: a mapping is plain memory at a fixed address, valid in every thread until the drop. Shared access
// goes through `slice` (bytes that nobody in this process writes while they are published) or through atomics;
// exclusive access is handed out per range, by `Chunk`, which owns its range alone.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `bytes` bytes of `fd`, shared with everybody who maps it.
    ///
    /// The caller has made the memfd, or has checked that it is sealed against shrinking and has this length:
    /// only then no access can end in a SIGBUS.
    ///
    /// # Errors
    ///
    /// [`MapError`] when the kernel has no address space left or refuses the access.
    pub(crate) fn map<Fd: AsFd>(fd: Fd, bytes: u64, access: Access) -> Result<Self, MapError> {
        let guard = ForkGuard::here()?;
        let refused = |call, errno| MapError::Memory(MemoryError::from_errno(call, bytes, errno));
        let length = isize::try_from(bytes)
            .map_err(|_| refused("mmap", Errno::NOMEM))?
            .unsigned_abs();
        let protection = match access {
            Access::ReadOnly => ProtFlags::READ,
            Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        };
        let reserved = Reserved::new(length).map_err(|errno| refused("mmap", errno))?;
        // SAFETY: a mapping at an address of the kernel's choice, or over a part of what was just reserved and
        // nobody else knows, touches nobody's memory.
        let address = unsafe {
            mmap(
                reserved.inside(),
                length,
                protection,
                reserved.flags() | MapFlags::SHARED,
                fd,
                0,
            )
        }
        .map_err(|errno| refused("mmap", errno))?;
        let Some(address) = NonNull::new(address.cast::<u8>()) else {
            return Err(refused("mmap", Errno::FAULT));
        };
        // From here on the mapping's own drop unmaps all of it.
        std::mem::forget(reserved);
        let mapping = Mapping {
            address,
            length,
            access,
            guard,
        };
        let (start, whole) = mapping.with_guards();
        // SAFETY: the range is the mapping just made; the advice changes only what a child inherits.
        unsafe { madvise(start, whole, Advice::LinuxDontFork) }
            .map_err(|errno| refused("madvise", errno))?;
        Ok(mapping)
    }

    /// Where the mapping and what guards it begins, and how long that is.
    fn with_guards(&self) -> (*mut c_void, usize) {
        let start = self.address.as_ptr().wrapping_sub(GUARD_BYTES);
        (start.cast(), reserved_bytes(self.length))
    }

    /// How many bytes are mapped.
    #[inline]
    pub fn length_bytes(&self) -> u64 {
        self.length as u64
    }

    /// What this process may do with it.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether this is the process that mapped it: a forked child has the value and not the memory.
    pub(crate) fn is_usable(&self) -> bool {
        self.guard.holds()
    }

    /// Where it begins. Valid until the mapping is dropped, for `length_bytes`.
    #[inline]
    pub(crate) fn address(&self) -> NonNull<u8> {
        self.address
    }

    /// `length` bytes from `offset` on.
    ///
    /// The bytes are shared memory: a *correct* sender does not touch them while a token for them is held
    /// (I-1). A faulty one can change them while they are read; then they are wrong, and still bytes.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`] when the range is not inside the mapping, whatever the two numbers are (I-3).
    pub fn slice(&self, offset: u64, length: u64) -> Result<&[u8], OutOfBounds> {
        let start = self.check(offset, length)?;
        // SAFETY: `check` has found `start + length <= self.length`, the mapping is readable and lives as long
        // as `self`, memfd memory is always initialised, and its length is sealed (no SIGBUS). Nobody in this
        // process writes a range that has been published (I-1); that another process keeps to it is the
        // protocol's promise, and any bit pattern is a valid `u8`.
        Ok(
            unsafe {
                std::slice::from_raw_parts(self.address.as_ptr().add(start), length as usize)
            },
        )
    }

    /// Whether the range is inside the mapping; gives its start as an index.
    pub(crate) fn check(&self, offset: u64, length: u64) -> Result<usize, OutOfBounds> {
        match offset.checked_add(length) {
            // The end fits into the mapping's length, which is a `usize`, so the start does too.
            Some(end) if end <= self.length as u64 => Ok(offset as usize),
            _ => Err(OutOfBounds {
                offset,
                length,
                mapped_bytes: self.length as u64,
            }),
        }
    }
}

/// Address space for a mapping and its guards; nothing at all where there are none.
struct Reserved {
    start: *mut c_void,
    bytes: usize,
}

/// How much address space a mapping of `length` bytes takes, with its guards.
fn reserved_bytes(length: usize) -> usize {
    match GUARD_BYTES {
        0 => length,
        guard => length.next_multiple_of(rustix::param::page_size()) + 2 * guard,
    }
}

impl Reserved {
    fn new(length: usize) -> Result<Reserved, Errno> {
        let bytes = reserved_bytes(length);
        let start = match GUARD_BYTES {
            0 => std::ptr::null_mut(),
            // SAFETY: a new mapping at an address of the kernel's choice touches nobody's memory.
            _ => unsafe {
                mmap_anonymous(
                    std::ptr::null_mut(),
                    bytes,
                    ProtFlags::empty(),
                    MapFlags::PRIVATE | MapFlags::NORESERVE,
                )
            }?,
        };
        Ok(Reserved { start, bytes })
    }

    /// Where the mapping itself belongs; null where the kernel chooses.
    fn inside(&self) -> *mut c_void {
        match GUARD_BYTES {
            0 => self.start,
            guard => self.start.wrapping_byte_add(guard),
        }
    }

    fn flags(&self) -> MapFlags {
        match GUARD_BYTES {
            0 => MapFlags::empty(),
            _ => MapFlags::FIXED,
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if GUARD_BYTES > 0 {
            // SAFETY: reserved by `new`, and the mapping that was to lie in it was not made.
            let unmapped = unsafe { munmap(self.start, self.bytes) };
            debug_assert!(unmapped.is_ok(), "a whole mapping can always be unmapped");
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if !self.is_usable() {
            // A forked child never had this mapping; something else may be at its address.
            return;
        }
        let (start, whole) = self.with_guards();
        // SAFETY: the range was mapped by `map` and nothing refers to it any more: slices borrow `self`, and
        // chunks and leases keep an `Arc` of it.
        let unmapped = unsafe { munmap(start, whole) };
        debug_assert!(unmapped.is_ok(), "a whole mapping can always be unmapped");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::memfd;

    fn mapping(bytes: u64) -> Mapping {
        let fd = memfd::create("dataflow-test-mapping", bytes).unwrap();
        Mapping::map(&fd, bytes, Access::ReadWrite).unwrap()
    }

    #[test]
    fn a_mapping_reads_what_another_wrote() {
        let fd = memfd::create("dataflow-test-mapping", 4096).unwrap();
        let writer = Mapping::map(&fd, 4096, Access::ReadWrite).unwrap();
        let reader = Mapping::map(&fd, 4096, Access::ReadOnly).unwrap();
        drop(fd);
        // SAFETY: inside the mapping, and no slice of it exists.
        unsafe { writer.address().as_ptr().add(100).write(7) };
        assert_eq!(reader.slice(99, 3).unwrap(), [0, 7, 0]);
        assert_eq!(
            (reader.length_bytes(), reader.access()),
            (4096, Access::ReadOnly)
        );
    }

    #[test]
    fn a_mapping_is_not_inherited_by_children() {
        let mapping = mapping(4096);
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let start = format!("{:x}-", mapping.address().as_ptr() as usize);
        let flags = smaps
            .lines()
            .skip_while(|line| !line.starts_with(&start))
            .find(|line| line.starts_with("VmFlags:"))
            .unwrap();
        assert!(flags.split(' ').any(|flag| flag == "dc"), "{flags}");
    }

    #[test]
    fn the_drop_in_a_child_leaves_alone_what_is_at_its_address() {
        let mapping = mapping(4096);
        let address = mapping.address().as_ptr();
        // SAFETY: the child makes system calls, drops a value that owns nothing on the heap, and never returns
        // into the test harness.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            // SAFETY: the address is free in the child (the mapping was not inherited), or the call fails; the
            // read is of what was mapped there.
            let code = unsafe {
                let other = libc::mmap(
                    address.cast(),
                    4096,
                    libc::PROT_READ,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE,
                    -1,
                    0,
                );
                let free = other == address.cast();
                drop(mapping);
                i32::from(!free) | i32::from(address.read_volatile())
            };
            // SAFETY: ends the child at once, without running anything of the parent's.
            unsafe { libc::_exit(code) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above; `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(
            status, 0,
            "the child was killed by the read, or the address was not free"
        );
        assert_eq!(mapping.slice(0, 1).unwrap(), [0]);
    }

    /// How a child of `fork` ends that reads one byte at this distance from the beginning of a mapping it makes.
    fn read_in_a_child(offset: isize) -> i32 {
        let fd = memfd::create("dataflow-unit-mapping", 4096).unwrap();
        // SAFETY: the child makes system calls and one read, and never returns into the test harness.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            let mapping = Mapping::map(&fd, 4096, Access::ReadOnly);
            // SAFETY: perhaps none, which is what is looked for: then the kernel ends the child. The child then
            // ends without running anything of the parent's.
            unsafe {
                if let Ok(mapping) = &mapping {
                    mapping.address().as_ptr().offset(offset).read_volatile();
                    libc::_exit(0);
                }
                libc::_exit(1);
            }
        }
        let mut status = 0;
        // SAFETY: waits for the child made above; `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        status
    }

    #[test]
    #[cfg(debug_assertions)]
    fn who_reads_outside_of_a_mapping_is_killed_in_a_test() {
        assert_eq!(read_in_a_child(0), 0);
        assert_eq!(read_in_a_child(4095), 0);
        for outside in [-1, 4096, 4096 + 64 * 1024 - 1, -64 * 1024] {
            assert_eq!(
                libc::WTERMSIG(read_in_a_child(outside)),
                libc::SIGSEGV,
                "{outside}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_range_reaches_outside(
            offset in prop_oneof![0..5000u64, any::<u64>()],
            length in prop_oneof![0..5000u64, any::<u64>()],
        ) {
            let mapping = mapping(4096);
            match mapping.slice(offset, length) {
                Ok(slice) => {
                    prop_assert!(u128::from(offset) + u128::from(length) <= 4096);
                    prop_assert_eq!(slice.len() as u64, length);
                }
                Err(error) => {
                    prop_assert!(u128::from(offset) + u128::from(length) > 4096);
                    prop_assert_eq!(error, OutOfBounds { offset, length, mapped_bytes: 4096 });
                }
            }
        }
    }
}
