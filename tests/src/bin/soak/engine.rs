//! Cycles, several at a time, until the time is over, the count is reached, or something does not hold.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dataflow_tests::{Random, open_descriptors, replayed_with};
use serde_json::json;

use crate::arguments::Arguments;
use crate::kind::Kind;
use crate::tally::{Tally, grouped};

/// How often it says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

struct Engine<'a> {
    arguments: &'a Arguments,
    seed: u64,
    began: Instant,
    /// The next cycle.
    next: AtomicU64,
    /// Something did not hold.
    violated: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    tallies: BTreeMap<Kind, Tally>,
    /// What running cycles may still do of the count.
    promised: u64,
    working: usize,
}

/// Runs, says how far it is, and shows what was seen.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    if ignores_interrupts() {
        eprintln!(
            "dataflow-soak: it was started with SIGINT ignored, as a shell does in the background, and would hand \
             that on to what it interrupts: start it with `env --default-signal dataflow-soak …`"
        );
        return ExitCode::FAILURE;
    }
    let engine = Engine {
        arguments,
        seed: arguments.seed(),
        began: Instant::now(),
        next: AtomicU64::new(0),
        violated: AtomicBool::new(false),
        state: Mutex::default(),
        changed: Condvar::new(),
    };
    eprintln!("dataflow-soak: seed {}", engine.seed);
    let descriptors = open_descriptors(std::process::id());
    std::thread::scope(|scope| {
        let jobs = if arguments.once {
            1
        } else {
            arguments.jobs.max(1)
        };
        engine.state().working = jobs;
        for _ in 0..jobs {
            scope.spawn(|| engine.work());
        }
        engine.say_progress();
    });
    let left = open_descriptors(std::process::id());
    if left != descriptors {
        eprintln!(
            "VIOLATION: {descriptors} descriptors were open at the beginning, and {left} are now"
        );
        engine.violated.store(true, Ordering::Relaxed);
    }
    engine.summary()
}

/// Whether this process ignores SIGINT.
fn ignores_interrupts() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let interrupt = 1u64 << (rustix::process::Signal::INT.as_raw() - 1);
    ignored.is_some_and(|mask| mask & interrupt != 0)
}

impl Engine<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some((kind, seed, share)) = self.next_cycle() {
            replayed_with(&format!(
                "{} --only {} --once --seed {seed}",
                std::env::args().next().unwrap_or_default(),
                kind.name()
            ));
            let result = std::panic::catch_unwind(|| kind.cycle(seed, share.unwrap_or(u64::MAX)));
            let mut state = self.state();
            state.promised -= share.unwrap_or(0);
            match result {
                Ok(mut tally) => {
                    tally.cycles = 1;
                    state.tallies.entry(kind).or_default().add(tally);
                }
                Err(_) => {
                    self.violated.store(true, Ordering::Relaxed);
                    eprintln!(
                        "VIOLATION in a cycle of {}: to repeat it, --only {} --once --seed {seed}",
                        kind.name(),
                        kind.name()
                    );
                }
            }
            drop(state);
            self.changed.notify_all();
            if self.arguments.once {
                break;
            }
        }
        self.state().working -= 1;
        self.changed.notify_all();
    }

    /// The next cycle, and how much it may count.
    fn next_cycle(&self) -> Option<(Kind, u64, Option<u64>)> {
        if self.violated.load(Ordering::Relaxed) {
            return None;
        }
        if let Some(duration) = self.arguments.duration()
            && self.began.elapsed() >= duration
        {
            return None;
        }
        let mut state = self.state();
        let mut share = None;
        if let (Some(count), Some(kind)) = (self.arguments.count, self.arguments.only) {
            let done = state.tallies.get(&kind).map_or(0, |tally| tally.done);
            let left = count.saturating_sub(done + state.promised);
            if left == 0 {
                return None;
            }
            share = Some(left.min(kind.share(count, self.arguments.jobs as u64)));
        }
        state.promised += share.unwrap_or(0);
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let seed = Random::seed_of(self.seed, index);
        let kind = self
            .arguments
            .only
            .unwrap_or_else(|| Kind::any(&mut Random::new(!seed)));
        Some((kind, seed, share))
    }

    fn say_progress(&self) {
        let mut state = self.state();
        while state.working > 0 {
            let said = Instant::now();
            while state.working > 0 && said.elapsed() < PROGRESS {
                let left = PROGRESS.saturating_sub(said.elapsed());
                state = self
                    .changed
                    .wait_timeout(state, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
            let so_far: Vec<_> = state
                .tallies
                .iter()
                .map(|(kind, tally)| format!("{} {}", kind.name(), grouped(tally.done)))
                .collect();
            let seconds = self.began.elapsed().as_secs();
            eprintln!("{seconds:>5} s  {}", so_far.join(", "));
        }
    }

    fn summary(&self) -> ExitCode {
        let state = self.state();
        let violated = self.violated.load(Ordering::Relaxed);
        let took = self.began.elapsed();
        if self.arguments.json {
            let kinds: BTreeMap<_, _> = state
                .tallies
                .iter()
                .map(|(kind, tally)| (kind.name(), tally.json()))
                .collect();
            println!(
                "{}",
                json!({
                    "seed": self.seed, "took_s": took.as_secs_f64(), "violated": violated, "kinds": kinds
                })
            );
        } else {
            for (kind, tally) in &state.tallies {
                println!("{}: {}", kind.name(), grouped(tally.done));
                print!("{}", tally.lines());
            }
            println!(
                "{} after {:.1} s, seed {}",
                if violated {
                    "VIOLATED"
                } else {
                    "everything held"
                },
                took.as_secs_f64(),
                self.seed
            );
        }
        if violated {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}
