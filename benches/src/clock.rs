//! The clock that both ends of a measurement read: the machine's monotonic clock.

use rustix::time::{ClockId, Timespec};

pub use dataflow_node::monotonic_now_ns as now_ns;

/// Sleeps until the clock reads `deadline_ns`; returns at once when that has passed.
pub fn sleep_until(deadline_ns: u64) {
    let until = Timespec {
        tv_sec: (deadline_ns / 1_000_000_000) as i64,
        tv_nsec: (deadline_ns % 1_000_000_000) as i64,
    };
    // A signal only makes one message early.
    let _ = rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, &until);
}

/// The time of a processor that the calling thread has used: what others do meanwhile is not in it.
pub fn thread_ns() -> u64 {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// CPU time of this process's parent, in ticks of 10 ms: the runtime's, when a node asks. 0 if it is unknown.
pub fn parent_cpu_ticks() -> u64 {
    let Some(parent) = rustix::process::getppid() else {
        return 0;
    };
    let stat = std::fs::read_to_string(format!("/proc/{parent}/stat")).unwrap_or_default();
    // The command's name stands in brackets and may hold anything; fields 14 and 15 are user and system time.
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum()
}
