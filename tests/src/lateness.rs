//! How late things came that had a beat.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How late each beat came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lateness {
    ns: Vec<u64>,
}

impl Lateness {
    /// One more beat.
    pub fn add_ns(&mut self, late_ns: u64) {
        self.ns.push(late_ns);
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.ns.len()
    }

    /// What `percent` of all beats do not exceed (nearest rank).
    pub fn percentile(&self, percent: f64) -> Duration {
        let mut sorted = self.ns.clone();
        sorted.sort_unstable();
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        let place = rank.clamp(1, sorted.len().max(1)) - 1;
        Duration::from_nanos(sorted.get(place).copied().unwrap_or(0))
    }

    /// Writes them where the test that has started this node looks for them.
    ///
    /// # Errors
    ///
    /// When no test has started it, or the file cannot be written.
    pub fn write_for_test(&self) -> io::Result<()> {
        let variable = |name: &str| std::env::var_os(name).ok_or_else(|| io::Error::other(name));
        let folder = PathBuf::from(variable("DATAFLOW_TEST_RECORDS")?);
        let lines: String = self.ns.iter().map(|ns| format!("{ns}\n")).collect();
        std::fs::write(folder.join(variable("DATAFLOW_NODE")?), lines)
    }

    /// Reads what a node has written.
    ///
    /// # Errors
    ///
    /// When it has not written it, or something else.
    pub fn read(records: &Path, node: &str) -> io::Result<Lateness> {
        let text = std::fs::read_to_string(records.join(node))?;
        let ns: Result<_, _> = text.lines().map(str::parse).collect();
        Ok(Lateness {
            ns: ns.map_err(io::Error::other)?,
        })
    }
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} beats, late by p50 {:?}, p99 {:?}, at most {:?}",
            self.count(),
            self.percentile(50.0),
            self.percentile(99.0),
            self.percentile(100.0)
        )
    }
}
