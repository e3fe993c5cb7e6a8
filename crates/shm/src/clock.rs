//! The clock that messages and waits are stamped with.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`: the same in every process of this machine, and what Python calls
/// `time.monotonic_ns()`.
#[inline]
pub fn monotonic_now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec as u64).saturating_mul(1_000_000_000) + now.tv_nsec as u64
}
