//! Many seeds, dealt out to processes of their own: one thread each, so that what a seed leaves behind can be counted.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::notes::{Coverage, Tracing};
use super::one::{Simulated, simulate};

/// The environment variable that makes a process a worker: `first..end/every`.
const WORKER_VARIABLE: &str = "DATAFLOW_SIMULATE";
/// What a worker's lines begin with.
const MARK: &str = "@simulation ";
/// The longest that a seed may take, in real time.
const SEED_MAX: Duration = Duration::from_secs(120);
/// How much of a failing seed's trace is shown.
const TAIL_LINES: usize = 60;
/// After so many failing seeds a worker ends.
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

/// A worker could not be started, or has ended before its work was done.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It could not be started.
    #[error("a worker could not be started: {0}")]
    Start(#[from] io::Error),
    /// It ended in the middle of a seed.
    #[error("a worker ended in the middle of seed {seed:?}: replay it with `make simulate SEED=…`")]
    Ended {
        /// The seed that it had begun.
        seed: Option<String>,
    },
}

/// Simulates the seeds of a range in worker processes; `worker` makes the command that starts one, which must call
/// [`work_if_asked`] before anything else. `progress` is told how many are done, now and then.
///
/// # Errors
///
/// [`WorkerError`] when a worker cannot be started or does not get to its end.
pub fn simulate_all(
    seeds: Range<u64>,
    workers: u64,
    worker: impl Fn() -> Command,
    mut progress: impl FnMut(u64),
) -> Result<Summary, WorkerError> {
    let began = Instant::now();
    let mut summary = Summary::default();
    let (to_us, lines) = mpsc::channel();
    let mut children = Vec::new();
    for number in 0..workers {
        let share = format!("{}..{}/{workers}", seeds.start + number, seeds.end);
        let mut child = worker()
            .env(WORKER_VARIABLE, share)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let to_us = to_us.clone();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    // A reader that is gone has seen enough.
                    let _ = to_us.send((number, line));
                }
            });
        }
        children.push((child, None, false));
    }
    drop(to_us);
    for (number, line) in lines {
        let Some(line) = line.strip_prefix(MARK) else {
            continue;
        };
        let (_, begun, is_done) = &mut children[number as usize];
        match line.split_once(' ') {
            Some(("begin", seed)) => *begun = Some(seed.to_owned()),
            Some(("end", _)) => {
                summary.seeds += 1;
                progress(summary.seeds);
            }
            Some(("count", count)) => {
                if let Some((count, what)) = count.split_once(' ') {
                    summary.coverage.add(what, count.parse().unwrap_or(0));
                }
            }
            Some(("failure", text)) => summary.failures.push(text.replace('\x1f', "\n")),
            _ => *is_done = line == "done",
        }
    }
    for (mut child, seed, is_done) in children {
        let status = child.wait()?;
        if !is_done || !status.success() {
            return Err(WorkerError::Ended { seed });
        }
    }
    summary.took = began.elapsed();
    Ok(summary)
}

/// In a worker: does its share of the work, and gives `true`. To be called before the process has opened anything.
#[must_use]
pub fn work_if_asked() -> bool {
    let Some(share) = std::env::var_os(WORKER_VARIABLE) else {
        return false;
    };
    if let Some((seeds, every)) = share.to_str().and_then(read_share) {
        work(seeds, every);
    }
    true
}

fn read_share(share: &str) -> Option<(Range<u64>, usize)> {
    let (range, every) = share.split_once('/')?;
    let (first, end) = range.split_once("..")?;
    let seeds = first.parse().ok()?..end.parse().ok()?;
    Some((seeds, every.parse().ok()?))
}

fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    // Whoever does not listen any more does not want the work either.
    if writeln!(stdout, "{MARK}{line}")
        .and_then(|()| stdout.flush())
        .is_err()
    {
        std::process::exit(1);
    }
}

fn work(seeds: Range<u64>, every: usize) {
    let (alive, watched) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        while watched.recv_timeout(SEED_MAX) != Err(mpsc::RecvTimeoutError::Timeout) {}
        // Nobody else could end it: the seed does not give the thread back.
        std::process::abort();
    });
    let (mut coverage, mut failures) = (Coverage::default(), 0);
    for seed in seeds.step_by(every) {
        say(&format!("begin {seed}"));
        let simulated = simulate(seed, Tracing::Off);
        coverage.merge(&simulated.coverage);
        if simulated.violation.is_some() {
            say(&format!(
                "failure {}",
                tell(&simulated).replace('\n', "\x1f")
            ));
            failures += 1;
        }
        say(&format!("end {seed}"));
        let _ = alive.send(());
        if failures == FAILURES_MAX {
            break;
        }
    }
    for (what, count) in &coverage.0 {
        say(&format!("count {count} {what}"));
    }
    say("done");
    // With the thread that watches.
    std::process::exit(0);
}

/// Tells of a failing seed: what was wrong, the end of its trace, and how to see all of it.
fn tell(simulated: &Simulated) -> String {
    let seed = simulated.seed;
    let mut text = String::new();
    if let Some(violation) = &simulated.violation {
        let _ = writeln!(text, "seed {seed}: {violation}");
    }
    let again = simulate(seed, Tracing::On);
    if again.violation != simulated.violation {
        let _ = writeln!(
            text,
            "it does not go the same way again: {:?}",
            again.violation
        );
    }
    let mut tail: VecDeque<&str> = VecDeque::new();
    for line in again.trace.lines() {
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line);
    }
    for line in tail {
        let _ = writeln!(text, "  {line}");
    }
    let _ = write!(
        text,
        "replay it, with all of its trace: make simulate SEED={seed}"
    );
    text
}
