//! On which processors a thread runs.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors that this thread may run on, as one of them and all others; `None` when there is one only.
///
/// # Errors
///
/// When the kernel does not say.
pub fn apart() -> io::Result<Option<(CpuSet, CpuSet)>> {
    let all = sched_getaffinity(None)?;
    let there: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|processor| all.is_set(*processor))
        .collect();
    let [first, others @ ..] = there.as_slice() else {
        return Ok(None);
    };
    let set = |processors: &[usize]| {
        let mut set = CpuSet::new();
        for processor in processors {
            set.set(*processor);
        }
        set
    };
    Ok((!others.is_empty()).then(|| (set(&[*first]), set(others))))
}

/// Lets this thread, and the threads and processes that it starts from now on, run on these processors alone until what
/// this gives is dropped.
///
/// # Errors
///
/// When the kernel refuses.
pub fn stay_on(processors: &CpuSet) -> io::Result<Stay> {
    let before = sched_getaffinity(None)?;
    sched_setaffinity(None, processors)?;
    Ok(Stay { before })
}

/// While it is there, the thread that made it runs on fewer processors.
#[derive(Debug)]
pub struct Stay {
    before: CpuSet,
}

impl Drop for Stay {
    fn drop(&mut self) {
        // The processors were there a moment ago.
        let _ = sched_setaffinity(None, &self.before);
    }
}
