//! Where a crash may come: before each change to the cache. Only tests do something here.

/// A change to the cache follows.
#[cfg(not(test))]
#[inline]
pub(super) fn step() {}

#[cfg(test)]
pub(super) use for_tests::{count_steps, die_at_step, step};

#[cfg(test)]
mod for_tests {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
        static DIE_AT: Cell<Option<u64>> = const { Cell::new(None) };
    }

    pub(in super::super) fn step() {
        let steps = STEPS.get() + 1;
        STEPS.set(steps);
        if DIE_AT.get() == Some(steps) {
            // As nothing else: no drop runs, and nothing is flushed.
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        }
    }

    /// This process is killed before its step of this number, counted from now.
    pub(in super::super) fn die_at_step(number: u64) {
        STEPS.set(0);
        DIE_AT.set(Some(number));
    }

    /// How many changes something makes.
    pub(in super::super) fn count_steps(doing: impl FnOnce()) -> u64 {
        STEPS.set(0);
        doing();
        STEPS.get()
    }
}
