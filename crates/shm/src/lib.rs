//! The data plane: memfd segments, edges and wake-ups. The only room with unsafe code.
#![allow(unsafe_code)]

mod eventfd;
mod fork_guard;
mod mapping;
mod memfd;
mod memory_limit;

pub use eventfd::{EventFd, EventFdError};
pub use fork_guard::{ForkGuard, ForkGuardError};
pub use mapping::{Access, MapError, Mapping, OutOfBounds};
pub use memfd::{MEMFD_NAME_BYTES_MAX, MemfdRefused, MemoryError};
pub use memory_limit::{Headroom, MemoryBound, memory_headroom, memory_total_bytes};
