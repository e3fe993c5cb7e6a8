//! Anonymous files in memory: made whole and sealed, and checked before they are trusted.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals, fstat,
    ftruncate, memfd_create,
};
use rustix::io::Errno;

use crate::memory_limit::{MemoryBound, memory_headroom};

/// The longest name that the kernel takes for a memfd, in bytes.
pub const MEMFD_NAME_BYTES_MAX: usize = 249;

/// How much one call allocates. A signal interrupts a call and undoes it, so steps make sure that a process
/// with a fast interval timer gets on.
const ALLOCATE_STEP_BYTES: u64 = 4 << 20;

/// What may never change about a memfd whose length others rely on.
pub(crate) const FIXED_LENGTH: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// Why shared memory could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// There is not enough memory, and taking it would have got somebody killed.
    #[error(
        "{bytes} bytes of shared memory are needed and {bound} has {available_bytes} left: lower \
         `output_memory_mb` or `queue_size`, or give it more memory"
    )]
    NotEnough {
        /// What is needed.
        bytes: u64,
        /// What is left.
        available_bytes: u64,
        /// Where it is short.
        bound: MemoryBound,
    },
    /// The kernel has no memory or no address space left.
    #[error("the kernel has no {bytes} bytes of shared memory left: {errno}")]
    OutOfMemory {
        /// What is needed.
        bytes: u64,
        /// What the kernel said.
        errno: Errno,
    },
    /// The process, or the machine, has no descriptor left.
    #[error("no descriptor is left for shared memory ({errno}): raise the limit with `ulimit -n`")]
    NoDescriptor {
        /// What the kernel said.
        errno: Errno,
    },
    /// The kernel refused for another reason.
    #[error("{call} of shared memory failed: {errno}")]
    Refused {
        /// The system call.
        call: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
}

impl MemoryError {
    pub(crate) fn from_errno(call: &'static str, bytes: u64, errno: Errno) -> Self {
        match errno {
            Errno::MFILE | Errno::NFILE => MemoryError::NoDescriptor { errno },
            Errno::NOMEM | Errno::NOSPC | Errno::FBIG | Errno::OVERFLOW => {
                MemoryError::OutOfMemory { bytes, errno }
            }
            errno => MemoryError::Refused { call, errno },
        }
    }
}

/// The name of a memfd of a run, by which a test or a person finds it in `/proc/*/maps`. A long run's name is cut,
/// never `tail`, which tells the run's memfds apart and is short.
pub(crate) fn name(run: &str, tail: &str) -> String {
    let room = MEMFD_NAME_BYTES_MAX.saturating_sub("dataflow-".len() + tail.len());
    let mut end = run.len().min(room);
    while !run.is_char_boundary(end) {
        end -= 1;
    }
    format!("dataflow-{}{tail}", &run[..end])
}

/// Makes a memfd with all of its memory allocated: a full memory is an error here, and no SIGBUS later.
///
/// A name above [`MEMFD_NAME_BYTES_MAX`] is cut. Seals can still be added.
pub(crate) fn create(name: &str, bytes: u64) -> Result<OwnedFd, MemoryError> {
    if let Some(headroom) = memory_headroom().filter(|headroom| headroom.available_bytes < bytes) {
        return Err(MemoryError::NotEnough {
            bytes,
            available_bytes: headroom.available_bytes,
            bound: headroom.bound,
        });
    }
    let end = (0..=name.len().min(MEMFD_NAME_BYTES_MAX))
        .rev()
        .find(|&end| name.is_char_boundary(end))
        .unwrap_or(0);
    let name = &name[..end];
    let fd = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map_err(|errno| MemoryError::from_errno("memfd_create", bytes, errno))?;
    ftruncate(&fd, bytes).map_err(|errno| MemoryError::from_errno("ftruncate", bytes, errno))?;
    let mut offset = 0;
    while offset < bytes {
        let step = ALLOCATE_STEP_BYTES.min(bytes - offset);
        match fallocate(&fd, FallocateFlags::empty(), offset, step) {
            Ok(()) => offset += step,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(MemoryError::from_errno("fallocate", bytes, errno)),
        }
    }
    Ok(fd)
}

/// Adds `seals`, and the seal that forbids any other.
pub(crate) fn seal<Fd: AsFd>(fd: Fd, seals: SealFlags) -> Result<(), MemoryError> {
    fcntl_add_seals(fd, seals | SealFlags::SEAL).map_err(|errno| MemoryError::Refused {
        call: "sealing",
        errno,
    })
}

/// Why a descriptor that a peer has passed is not the memory it was said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MemfdRefused {
    /// It is shorter or longer than it was said to be.
    #[error("it has {actual_bytes} bytes and was said to have {stated_bytes}")]
    WrongLength {
        /// What was said.
        stated_bytes: u64,
        /// What it has.
        actual_bytes: u64,
    },
    /// It has no memory for all of its length, so that reading it could end this process.
    #[error("only {allocated_bytes} of its {stated_bytes} bytes are allocated")]
    NotAllocated {
        /// What was said.
        stated_bytes: u64,
        /// What it has memory for.
        allocated_bytes: u64,
    },
    /// Its length could change under a mapping, or it is no memfd.
    #[error("it is no memfd that is sealed against shrinking and growing")]
    NotSealed,
    /// The kernel refused to look at it.
    #[error("it cannot be looked at: {errno}")]
    Unreadable {
        /// What the kernel said.
        errno: Errno,
    },
}

/// Checks what a peer has passed (I-3): exactly `bytes` long, allocated, and sealed with at least `seals`.
pub(crate) fn check<Fd: AsFd>(fd: Fd, bytes: u64, seals: SealFlags) -> Result<(), MemfdRefused> {
    // The seals first: without them what is seen of the length means nothing.
    let present = fcntl_get_seals(&fd).map_err(|_| MemfdRefused::NotSealed)?;
    if !present.contains(seals) {
        return Err(MemfdRefused::NotSealed);
    }
    let stat = fstat(&fd).map_err(|errno| MemfdRefused::Unreadable { errno })?;
    let actual_bytes = u64::try_from(stat.st_size).unwrap_or(0);
    if actual_bytes != bytes || bytes == 0 {
        return Err(MemfdRefused::WrongLength {
            stated_bytes: bytes,
            actual_bytes,
        });
    }
    // `stat` counts blocks of 512 bytes, whatever the file system's own block is.
    let allocated_bytes = u64::try_from(stat.st_blocks)
        .unwrap_or(0)
        .saturating_mul(512);
    if allocated_bytes < bytes {
        return Err(MemfdRefused::NotAllocated {
            stated_bytes: bytes,
            allocated_bytes,
        });
    }
    Ok(())
}
