//! The data plane: memfd segments, edges and wake-ups. The only room with unsafe code.
#![allow(unsafe_code)]

pub mod child;
mod clock;
pub mod edge;
mod eventfd;
mod fork_guard;
mod inherited;
mod mapping;
mod memfd;
mod memory_limit;
mod pool;
mod received;
mod segment;
mod signals;

pub use clock::monotonic_now_ns;
pub use eventfd::{EventFd, EventFdError, descriptors_were_closed};
pub use fork_guard::{ForkGuard, ForkGuardError};
pub use inherited::{InheritedError, inherited_socket};
pub use mapping::{Access, MapError, Mapping, OutOfBounds};
pub use memfd::{MEMFD_NAME_BYTES_MAX, MemfdRefused, MemoryError};
pub use memory_limit::{Headroom, MemoryBound, memory_headroom, memory_total_bytes};
pub use pool::{
    AllocateError, CHUNK_ALIGNMENT_BYTES, Chunk, GrowError, Growth, PoolUsage, SEGMENT_BYTES_MIN,
    SegmentPool, SegmentPoolConfig, UnknownChunk,
};
pub use received::{InsertError, ReceivedSegments, SegmentError, SegmentInUse};
pub use segment::NewSegment;
pub use signals::with_signals_blocked;
