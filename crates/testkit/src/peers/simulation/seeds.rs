//! Many seeds, dealt out to threads.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::notes::Simulated;
use super::world::simulate;
use crate::simulation::{Coverage, Tracing};

/// How much of a failing seed's trace is shown.
const TAIL_LINES: usize = 60;
/// After so many failing seeds no more are begun.
const FAILURES_MAX: usize = 3;

/// What came of many seeds.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How many were simulated.
    pub seeds: u64,
    /// What happened in them.
    pub coverage: Coverage,
    /// What was wrong: a seed, the violation, the end of its trace, and how to see all of it.
    pub failures: Vec<String>,
    /// How long it took, in real time.
    pub took: Duration,
}

/// Simulates the seeds of a range on so many threads. `progress` is told how many are done.
pub fn simulate_all(seeds: Range<u64>, threads: usize, progress: impl Fn(u64) + Sync) -> Summary {
    let began = Instant::now();
    let summary = Mutex::new(Summary::default());
    let (next, has_failed) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !has_failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let simulated = simulate(seed, Tracing::Off);
                    let mut summary = summary.lock().unwrap_or_else(|it| it.into_inner());
                    summary.seeds += 1;
                    summary.coverage.merge(&simulated.coverage);
                    if simulated.violation.is_some() {
                        summary.failures.push(tell(&simulated));
                        let are_enough = summary.failures.len() >= FAILURES_MAX;
                        has_failed.fetch_or(are_enough, Ordering::Relaxed);
                    }
                    progress(summary.seeds);
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(|it| it.into_inner());
    summary.took = began.elapsed();
    summary
}

/// Tells of a failing seed: what was wrong, the end of its trace, and how to see all of it.
fn tell(simulated: &Simulated) -> String {
    let seed = simulated.seed;
    let again = simulate(seed, Tracing::On);
    let mut text = match &simulated.violation {
        Some(violation) => format!("seed {seed}: {violation}\n"),
        None => format!("seed {seed}\n"),
    };
    if again.violation != simulated.violation {
        text += &format!("it does not go the same way again: {:?}\n", again.violation);
    }
    let lines: Vec<&str> = again.trace.lines().collect();
    for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
        text += &format!("  {line}\n");
    }
    text + &format!("replay it, with all of its trace: make simulate PEERS=1 SEED={seed}")
}
