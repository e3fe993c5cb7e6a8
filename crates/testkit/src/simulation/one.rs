//! One seed, from an empty system to an empty system.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;

use super::drive::{Driver, run_name};
use super::notes::{Coverage, Notes, Tracing, Violation};
use super::plan::plan;
use super::script::script;
use super::world::World;

thread_local! {
    /// The panics on this thread since somebody looked.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static LISTENS: RefCell<bool> = const { RefCell::new(false) };
}

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulated {
    /// The seed.
    pub seed: u64,
    /// What happened in it, how often.
    pub coverage: Coverage,
    /// Everything that happened, line by line, if it was asked for.
    pub trace: String,
    /// The first thing that was wrong.
    pub violation: Option<Violation>,
}

/// Simulates one seed on the calling thread, which must not be one of a tokio runtime. Whether descriptors stay
/// behind is known only if no other thread opens any meanwhile.
///
/// # Panics
///
/// When the system has no descriptors or memory for an event loop.
#[must_use]
pub fn simulate(seed: u64, tracing: Tracing) -> Simulated {
    listen_to_panics();
    let before = open_descriptors();
    let system = actix_rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("an event loop without descriptors needs little memory")
    });
    let simulated = catch_unwind(AssertUnwindSafe(|| {
        system.block_on(async {
            let notes = Notes::new(tracing);
            let plans = plan(seed);
            notes.trace(|| format!("seed {seed}: {plans:#?}"));
            let script = script(seed, &plans);
            let world = Rc::new(World::new(seed, notes, plans));
            match Driver::new(&world, script) {
                Ok(driver) => driver.drive().await,
                Err(error) => world.notes.wrong("the run begins", || error.to_string()),
            }
            let (coverage, trace) = world.notes.take();
            Simulated {
                seed,
                coverage,
                trace,
                violation: world.notes.violation(),
            }
        })
    }));
    drop(system);
    let panics = PANICS.take();
    LISTENS.set(false);
    let mut simulated = simulated.unwrap_or_else(|_| Simulated {
        seed,
        coverage: Coverage::default(),
        trace: String::new(),
        violation: None,
    });
    let violation = simulated.violation.take();
    let wrong = |rule, what| Violation {
        rule,
        what,
        at: Duration::ZERO,
    };
    simulated.violation = violation
        .or_else(|| panics.first().map(|what| wrong("panics", what.clone())))
        .or_else(|| left_behind(seed, &before).map(|what| wrong("I-5", what)));
    simulated
}

/// Panics of a simulation are found in its result, and say nothing on stderr.
fn listen_to_panics() {
    static ONCE: Once = Once::new();
    LISTENS.set(true);
    PANICS.take();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if LISTENS.with_borrow(|listens| *listens) {
                PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            } else {
                before(panic);
            }
        }));
    });
}

/// What every descriptor of this process leads to, in the order of their numbers.
fn open_descriptors() -> Vec<String> {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    let mut open: Vec<String> = open
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .map(|leads_to| leads_to.to_string_lossy().into_owned())
        // The one through which this is read.
        .filter(|leads_to| !leads_to.contains("/fd"))
        .collect();
    open.sort();
    open
}

/// What a seed has left behind: descriptors, and mappings of its memory (I-5).
fn left_behind(seed: u64, before: &[String]) -> Option<String> {
    let now = open_descriptors();
    if now.len() != before.len() {
        return Some(format!(
            "{} descriptors were open before, {} are: {}",
            before.len(),
            now.len(),
            now.join(" ")
        ));
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let name = run_name(seed, 0);
    let name = name.trim_end_matches('0');
    let mapped = maps.lines().filter(|line| line.contains(name)).count();
    (mapped > 0).then(|| format!("{mapped} mappings of its memory are left"))
}
