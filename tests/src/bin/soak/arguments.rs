//! What can be typed.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;

use crate::kind::Kind;

/// Runs random cycles of kills, stops, pauses and floods over real dataflows, and checks after each that every
/// message is accounted for and nothing is left. The first violation ends it, with its seed and a bundle.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "dataflow-soak",
    after_help = "Exit codes: 0 everything held, 1 something did not."
)]
pub(crate) struct Arguments {
    /// For how long, in minutes
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Only cycles of this kind
    #[arg(long, value_enum)]
    pub(crate) only: Option<Kind>,
    /// With --only: until so much of it has been done, instead of for a time
    #[arg(long, requires = "only")]
    pub(crate) count: Option<u64>,
    /// With --only: one cycle
    #[arg(long, requires = "only", conflicts_with = "count")]
    pub(crate) once: bool,
    /// Where chance begins; without it, a new one each time
    #[arg(long)]
    seed: Option<u64>,
    /// How many dataflows at a time
    #[arg(long, default_value_t = 4)]
    pub(crate) jobs: usize,
    /// Write one JSON object at the end instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// The folder for what is kept of a violation
    #[arg(long)]
    bundles: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(1, |now| now.as_micros() as u64 % 1_000_000_000)
        })
    }

    /// `None` when a count or a single cycle decides.
    pub(crate) fn duration(&self) -> Option<std::time::Duration> {
        let by_time = self.count.is_none() && !self.once;
        by_time.then(|| std::time::Duration::from_secs_f64(self.minutes.max(0.0) * 60.0))
    }

    pub(crate) fn bundles(&self) -> PathBuf {
        self.bundles
            .clone()
            .unwrap_or_else(|| PathBuf::from("target/soak-bundles"))
    }
}
