//! What a process takes of the machine, and where the binary `dataflow` is.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// The `dataflow` that was built in the profile of the bench that asks.
///
/// # Errors
///
/// When there is none.
pub fn binary() -> Result<PathBuf, Box<dyn Error>> {
    let bench = std::env::current_exe()?;
    let folders = bench.ancestors().skip(1).take(3);
    let found = folders
        .map(|folder| folder.join("dataflow"))
        .find(|binary| binary.is_file());
    found.ok_or_else(|| "`dataflow` is not built beside this bench: see `make bench`".into())
}

/// The time of processors that the threads have used that a process has now, in nanoseconds.
///
/// # Errors
///
/// When there is no such process, or the kernel does not count.
pub fn processor_ns(process: u32) -> Result<u64, Box<dyn Error>> {
    let mut sum_ns = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end meanwhile; what it used is not missed.
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let ran_ns = text.split(' ').next().ok_or("an empty schedstat")?;
        sum_ns += ran_ns.parse::<u64>()?;
    }
    Ok(sum_ns)
}

/// The memory that a process has in RAM, in bytes.
///
/// # Errors
///
/// When there is no such process.
pub fn resident_bytes(process: u32) -> Result<u64, Box<dyn Error>> {
    let statm = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("statm"))?;
    let pages = statm.split(' ').nth(1).ok_or("a short statm")?;
    Ok(pages.parse::<u64>()? * rustix::param::page_size() as u64)
}
