//! What an actor has decided, kept where a panic of the actor cannot reach it.
//!
//! A machine of `core` decides on a copy; the copy and the commands that follow from it are committed in one
//! step. Each command is taken off the list after it was performed, so that the next incarnation performs what
//! the last one did not get to. Every command of `core` may be performed twice.

use std::cell::{Ref, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

/// How often a command is tried. One that panics that often is given up.
const ATTEMPTS_MAX: u32 = 2;

struct Inner<S, C> {
    state: S,
    pending: VecDeque<C>,
    /// How often the first of `pending` has been begun.
    attempts: u32,
}

/// A machine and its commands that are still to be performed.
pub(crate) struct Committed<S, C> {
    inner: Rc<RefCell<Inner<S, C>>>,
}

impl<S, C> Clone for Committed<S, C> {
    fn clone(&self) -> Self {
        Committed {
            inner: Rc::clone(&self.inner),
        }
    }
}

impl<S: Clone, C: Clone + fmt::Debug> Committed<S, C> {
    pub(crate) fn new(state: S) -> Self {
        Committed {
            inner: Rc::new(RefCell::new(Inner {
                state,
                pending: VecDeque::new(),
                attempts: 0,
            })),
        }
    }

    /// The machine, to look at. Not to be kept.
    pub(crate) fn read(&self) -> Ref<'_, S> {
        Ref::map(self.inner.borrow(), |inner| &inner.state)
    }

    /// Whether something that was decided is still to be performed.
    pub(crate) fn is_pending(&self) -> bool {
        !self.inner.borrow().pending.is_empty()
    }

    /// Decides on a copy, and commits it with what follows. A panic in `decide` changes nothing.
    pub(crate) fn decide(&self, decide: impl FnOnce(&mut S) -> Vec<C>) {
        let mut next = self.read().clone();
        let commands = decide(&mut next);
        let mut inner = self.inner.borrow_mut();
        inner.state = next;
        inner.pending.extend(commands);
    }

    /// Performs what is still to be performed, in order. Gives how many commands were given up.
    pub(crate) fn perform(&self, mut perform: impl FnMut(C)) -> u32 {
        let mut given_up = 0;
        loop {
            let command = {
                let mut inner = self.inner.borrow_mut();
                let Some(command) = inner.pending.front().cloned() else {
                    return given_up;
                };
                inner.attempts += 1;
                if inner.attempts > ATTEMPTS_MAX {
                    tracing::error!(?command, "command given up: it panicked twice");
                    inner.pending.pop_front();
                    inner.attempts = 0;
                    given_up += 1;
                    continue;
                }
                command
            };
            #[cfg(test)]
            crate::supervision::faults::step();
            perform(command);
            #[cfg(test)]
            crate::supervision::faults::step();
            let mut inner = self.inner.borrow_mut();
            inner.pending.pop_front();
            inner.attempts = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn what_a_panic_interrupted_is_performed_by_the_next() {
        let committed: Committed<u32, u32> = Committed::new(0);
        committed.decide(|state| {
            *state = 7;
            vec![1, 2, 3]
        });
        let mut performed = Vec::new();
        let interrupted = catch_unwind(AssertUnwindSafe(|| {
            committed.perform(|command| {
                assert_ne!(command, 2, "the injected fault");
                performed.push(command);
            })
        }));
        assert!(interrupted.is_err());
        assert!(committed.is_pending());
        let given_up = committed.perform(|command| performed.push(command));
        assert!(!committed.is_pending());
        assert_eq!((given_up, performed), (0, vec![1, 2, 3]));
        assert_eq!(*committed.read(), 7);
    }

    #[test]
    fn a_panic_while_deciding_changes_nothing() {
        let committed: Committed<u32, u32> = Committed::new(0);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            committed.decide(|state| {
                *state = 7;
                panic!("the injected fault")
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(*committed.read(), 0);
        assert_eq!(committed.perform(|_| unreachable!()), 0);
    }

    #[test]
    fn a_command_that_panics_twice_is_given_up() {
        let committed: Committed<u32, u32> = Committed::new(0);
        committed.decide(|_| vec![1, 2]);
        for _ in 0..2 {
            let _ = catch_unwind(AssertUnwindSafe(|| {
                committed.perform(|command| assert_ne!(command, 1))
            }));
        }
        let mut performed = Vec::new();
        assert_eq!(committed.perform(|command| performed.push(command)), 1);
        assert_eq!(performed, [2]);
    }
}
