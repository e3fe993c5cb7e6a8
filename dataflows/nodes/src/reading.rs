//! One look at the machine: counters and levels from `/proc`, as the kernel gives them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time that one core has spent since the machine started, in ticks of the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CoreTimes {
    /// Doing anything.
    pub busy: u64,
    /// Waiting for work, or for a disk.
    pub idle: u64,
}

/// What `/proc` says at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// When it was read, on any clock that does not jump.
    pub at: Duration,
    /// Per core, from `/proc/stat`.
    pub cores: Vec<CoreTimes>,
    /// Context switches since the machine started.
    pub context_switches: u64,
    /// Memory of the machine, in kB.
    pub memory_total_kb: u64,
    /// Memory that a new program could have, in kB.
    pub memory_available_kb: u64,
    /// Bytes received on every interface but the loopback.
    pub net_in_bytes: u64,
    /// Bytes sent on every interface but the loopback.
    pub net_out_bytes: u64,
    /// Tasks that were running or waiting for a core, over the last minute.
    pub load_1m: f64,
    /// Tasks that run or wait for a core now.
    pub tasks_runnable: u64,
}

/// Why the machine could not be read.
#[derive(Debug)]
pub enum ReadingError {
    /// A file of `/proc` cannot be read.
    File(PathBuf, std::io::Error),
    /// A file of `/proc` has no such entry where one was expected.
    Entry(PathBuf, &'static str),
}

impl std::fmt::Display for ReadingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReadingError::File(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            ReadingError::Entry(path, entry) => {
                write!(f, "{} has no usable `{entry}`", path.display())
            }
        }
    }
}

impl std::error::Error for ReadingError {}

impl Reading {
    /// Reads the files under `proc`, which is `/proc` outside tests.
    ///
    /// # Errors
    ///
    /// [`ReadingError`] when a file is missing or does not look as the kernel's documentation says.
    pub fn take(proc: &Path, at: Duration) -> Result<Reading, ReadingError> {
        let mut reading = Reading {
            at,
            ..Reading::default()
        };
        let read = |name: &str| {
            let path = proc.join(name);
            match fs::read_to_string(&path) {
                Ok(text) => Ok((path, text)),
                Err(error) => Err(ReadingError::File(path, error)),
            }
        };
        let (path, text) = read("stat")?;
        reading.stat(&text, &path)?;
        let (path, text) = read("meminfo")?;
        reading.memory(&text, &path)?;
        let (path, text) = read("loadavg")?;
        reading.load(&text, &path)?;
        let (_, text) = read("net/dev")?;
        reading.network(&text);
        Ok(reading)
    }

    fn stat(&mut self, text: &str, path: &Path) -> Result<(), ReadingError> {
        let wrong = |entry| ReadingError::Entry(path.to_owned(), entry);
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("ctxt") => {
                    self.context_switches = number(words.next()).ok_or_else(|| wrong("ctxt"))?;
                }
                // `cpu0 user nice system idle iowait irq softirq steal …`; `cpu` alone is their sum.
                Some(core) if core.len() > 3 && core.starts_with("cpu") => {
                    let ticks: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
                    if ticks.len() < 4 {
                        return Err(wrong("cpu"));
                    }
                    let idle = ticks[3] + ticks.get(4).copied().unwrap_or(0);
                    // The ninth and tenth, time of guests, are counted in user and nice already.
                    let all: u64 = ticks.iter().take(8).sum();
                    self.cores.push(CoreTimes {
                        busy: all - idle,
                        idle,
                    });
                }
                _ => {}
            }
        }
        if self.cores.is_empty() {
            return Err(wrong("cpu"));
        }
        Ok(())
    }

    fn memory(&mut self, text: &str, path: &Path) -> Result<(), ReadingError> {
        let of = |entry: &'static str| {
            text.lines()
                .find_map(|line| line.strip_prefix(entry)?.strip_prefix(':'))
                .and_then(|rest| number(rest.split_ascii_whitespace().next()))
                .ok_or_else(|| ReadingError::Entry(path.to_owned(), entry))
        };
        self.memory_total_kb = of("MemTotal")?;
        self.memory_available_kb = of("MemAvailable")?;
        Ok(())
    }

    fn load(&mut self, text: &str, path: &Path) -> Result<(), ReadingError> {
        // `0.20 0.18 0.12 1/80 11206`
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let wrong = |entry| ReadingError::Entry(path.to_owned(), entry);
        self.load_1m = words
            .first()
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| wrong("load of the last minute"))?;
        self.tasks_runnable = words
            .get(3)
            .and_then(|word| word.split_once('/'))
            .and_then(|(runnable, _)| runnable.parse().ok())
            .ok_or_else(|| wrong("number of runnable tasks"))?;
        Ok(())
    }

    fn network(&mut self, text: &str) {
        // `  eth0: bytes packets errs drop fifo frame compressed multicast bytes …`, after two header lines
        for line in text.lines() {
            let Some((interface, counters)) = line.split_once(':') else {
                continue;
            };
            if interface.trim() == "lo" {
                continue;
            }
            let counters: Vec<&str> = counters.split_ascii_whitespace().collect();
            self.net_in_bytes += number(counters.first().copied()).unwrap_or(0);
            self.net_out_bytes += number(counters.get(8).copied()).unwrap_or(0);
        }
    }
}

fn number(word: Option<&str>) -> Option<u64> {
    word?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_read() {
        let reading = Reading::take(Path::new("/proc"), Duration::ZERO).unwrap();
        assert!(reading.memory_total_kb >= reading.memory_available_kb);
        assert!(reading.cores.iter().any(|core| core.busy > 0));
        assert!(reading.context_switches > 0);
    }

    #[test]
    fn the_files_are_read_as_the_kernel_documents_them() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("net")).unwrap();
        write(
            "stat",
            "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 10 1 20 100 5 2 3 4 7 7\ncpu1 1 0 0 50 0 0 0 0 0 0\n\
             intr 5 0\nctxt 4711\nprocs_running 3\n",
        );
        write(
            "meminfo",
            "MemTotal:        8000 kB\nMemFree:  1 kB\nMemAvailable:    6000 kB\n",
        );
        write("loadavg", "0.25 0.18 0.12 3/80 11206\n");
        write(
            "net/dev",
            "Inter-|   Receive  |  Transmit\n face |bytes packets errs|bytes\n    \
             lo: 7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n  eth0: 100 2 0 0 0 0 0 0 30 1 0 0 0 0 0 0\n  \
             eth1:50 2 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n",
        );
        let reading = Reading::take(folder.path(), Duration::from_secs(1)).unwrap();
        assert_eq!(
            reading.cores,
            [
                CoreTimes {
                    busy: 40,
                    idle: 105
                },
                CoreTimes { busy: 1, idle: 50 }
            ]
        );
        assert_eq!(reading.context_switches, 4711);
        assert_eq!(reading.memory_total_kb, 8000);
        assert_eq!(reading.memory_available_kb, 6000);
        assert_eq!((reading.net_in_bytes, reading.net_out_bytes), (150, 50));
        assert_eq!((reading.load_1m, reading.tasks_runnable), (0.25, 3));
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Reading::take(folder.path(), Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("stat"), "{error}");
    }
}
