//! A segment from its sender's side: made, mapped, sealed, and handed on.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use dataflow_ids::{NodeId, SegmentId};
use rustix::fs::SealFlags;

use crate::mapping::{Access, MapError, Mapping};
use crate::memfd::{self, FIXED_LENGTH};

/// What every segment is sealed with: its length never changes, and nobody but its sender, who has mapped it
/// before, can ever write it. The seal that forbids other seals is added to these.
pub(crate) const SEGMENT_SEALS: SealFlags = FIXED_LENGTH.union(SealFlags::FUTURE_WRITE);

/// A segment that its sender has just made. Its descriptor goes to the runtime before any slot names it.
#[derive(Debug)]
pub struct NewSegment {
    /// Its name.
    pub segment: SegmentId,
    /// Its length in bytes.
    pub length: u64,
    /// Its memfd, sealed. The sender does not need it any more once it is sent.
    pub fd: OwnedFd,
}

/// The name of a segment's memfd.
pub(crate) fn memfd_name(run: &str, node: &NodeId, segment: SegmentId) -> String {
    let tail = format!("-{node}-{}-{}", segment.epoch, segment.number);
    memfd::name(run, &tail)
}

/// Makes a segment of `bytes` bytes, allocated and mapped for writing, then seals it.
///
/// It is not prefaulted. `MADV_POPULATE_WRITE` was measured (64 MiB, two virtual cores, Linux 6.18): it takes
/// 25 ms and shortens the first fill from 31 ms to 6 ms, so the sum stays the same (allocate, populate and fill
/// 56 ms; allocate and fill 55 ms), also when it takes the place of `fallocate`. It only moves the cost into the
/// growth, and there it is paid for chunks that may never be used. What helps is to use hot chunks again.
pub(crate) fn create(
    run: &str,
    node: &NodeId,
    segment: SegmentId,
    bytes: u64,
) -> Result<(NewSegment, Arc<Mapping>), MapError> {
    let fd = memfd::create(&memfd_name(run, node, segment), bytes)?;
    let mapping = Mapping::map(&fd, bytes, Access::ReadWrite)?;
    memfd::seal(&fd, SEGMENT_SEALS)?;
    let new = NewSegment {
        segment,
        length: bytes,
        fd,
    };
    Ok((new, Arc::new(mapping)))
}
