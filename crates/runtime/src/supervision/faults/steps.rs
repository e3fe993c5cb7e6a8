//! Injected faults, for tests: panics at chosen steps of one actor on this thread.

use std::cell::RefCell;
use std::fmt;

thread_local! {
    static FAULTS: RefCell<Faults> = RefCell::default();
    static TASKS: RefCell<Option<(&'static str, u32)>> = const { RefCell::new(None) };
}

/// From now on, tasks of this kind on this thread panic so many times.
pub(crate) fn arm_task(kind: &'static str, times: u32) {
    TASKS.set(Some((kind, times)));
}

/// A place where a task of this kind may panic.
pub(crate) fn task_step(kind: &str) {
    let is_due = TASKS.with_borrow_mut(|tasks| match tasks {
        Some((victim, left @ 1..)) if *victim == kind => {
            *left -= 1;
            true
        }
        _ => false,
    });
    assert!(!is_due, "the injected fault");
}

#[derive(Default)]
struct Faults {
    /// Who runs at this moment.
    current: Option<String>,
    /// Whose steps count.
    victim: Option<String>,
    steps: u64,
    /// The steps at which it panics, counted from 1.
    at: Vec<u64>,
}

/// From now on, these steps of `victim` on this thread panic, counted from 1.
pub(crate) fn arm(victim: impl fmt::Display, at: &[u64]) {
    FAULTS.with_borrow_mut(|faults| {
        *faults = Faults {
            victim: Some(victim.to_string()),
            at: at.to_vec(),
            ..Faults::default()
        };
    });
}

/// How many steps the victim has made.
pub(crate) fn steps() -> u64 {
    FAULTS.with_borrow(|faults| faults.steps)
}

/// An actor runs from here on.
pub(crate) fn enter(actor: &str) {
    FAULTS.with_borrow_mut(|faults| faults.current = Some(actor.to_owned()));
}

/// A place where the actor that runs may panic.
pub(crate) fn step() {
    let is_due = FAULTS.with_borrow_mut(|faults| {
        if faults.current.is_none() || faults.current != faults.victim {
            return false;
        }
        faults.steps += 1;
        faults.at.contains(&faults.steps)
    });
    assert!(!is_due, "the injected fault");
}
