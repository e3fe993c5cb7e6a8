//! Waiting without the GIL: for the runtime, and for one's turn with a half of the node.

use std::cell::Cell;
use std::time::Duration;

use dataflow_node::{Handle, OnSignal, SignalHook};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::error;

/// The longest that is asked of Python's lock in one go: above it lie years, and then an `OverflowError`.
const LOCK_TIMEOUT_MAX: Duration = Duration::from_secs(1_000_000_000);

/// Which half of a node a call uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Receiving = 1,
    Sending = 2,
}

thread_local! {
    /// The halves that this thread uses, or waits for, at this moment, as bits.
    static IN_USE: Cell<u8> = const { Cell::new(0) };
}

/// Runs `wait` without the GIL. When a signal interrupts it, Python's handlers run; what they raise ends it and
/// is given beside the result.
pub(crate) fn without_gil<T: Send>(
    py: Python<'_>,
    wait: impl FnOnce(&mut SignalHook<'_>) -> T + Send,
) -> (T, Option<PyErr>) {
    let mut raised = None;
    let result = py.detach(|| {
        wait(&mut || {
            Python::attach(|py| match py.check_signals() {
                Ok(()) => OnSignal::GoOn,
                Err(error) => {
                    raised = Some(error);
                    OnSignal::GiveUp
                }
            })
        })
    });
    (result, raised)
}

/// Gives a half of the node to one thread after the other.
///
/// The lock is one of Python's: Ctrl-C ends the wait for it, which no lock of Rust offers, and a thread has it for
/// as long as it waits for an event or for room.
pub(crate) struct Turns {
    half: Half,
    lock: Py<PyAny>,
    node: Handle,
}

impl Turns {
    pub(crate) fn new(py: Python<'_>, half: Half, node: Handle) -> PyResult<Turns> {
        let lock = py
            .import(intern!(py, "_thread"))?
            .call_method0(intern!(py, "allocate_lock"))?;
        Ok(Turns {
            half,
            lock: lock.unbind(),
            node,
        })
    }

    /// Waits for this thread's turn.
    ///
    /// A process forked from the node's is refused at once: there, nobody would ever give the lock back. A
    /// signal's handler runs in the middle of the call that it has interrupted, so it cannot use the same half:
    /// that is an error and not a dead lock.
    pub(crate) fn take<'py>(&self, py: Python<'py>) -> PyResult<Turn<'py>> {
        let in_use = self.begin()?;
        let lock = self.lock.bind(py).clone();
        lock.call_method0(intern!(py, "acquire"))?;
        Ok(Turn {
            lock,
            _in_use: in_use,
        })
    }

    /// As [`Turns::take`], at most for `timeout`; `None` when that has passed.
    pub(crate) fn take_within<'py>(
        &self,
        py: Python<'py>,
        timeout: Duration,
    ) -> PyResult<Option<Turn<'py>>> {
        let in_use = self.begin()?;
        let lock = self.lock.bind(py).clone();
        let seconds = timeout.min(LOCK_TIMEOUT_MAX).as_secs_f64();
        let acquired = lock.call_method1(intern!(py, "acquire"), (true, seconds))?;
        if !acquired.is_truthy()? {
            return Ok(None);
        }
        Ok(Some(Turn {
            lock,
            _in_use: in_use,
        }))
    }

    /// What everybody begins with who wants a turn.
    fn begin(&self) -> PyResult<InUse> {
        if self.node.is_forked() {
            return Err(error::forked());
        }
        InUse::mark(self.half)
    }
}

/// This thread's turn, until it goes.
pub(crate) struct Turn<'py> {
    lock: Bound<'py, PyAny>,
    _in_use: InUse,
}

impl<'py> Turn<'py> {
    /// See [`without_gil`].
    pub(crate) fn without_gil<T: Send>(
        &self,
        wait: impl FnOnce(&mut SignalHook<'_>) -> T + Send,
    ) -> (T, Option<PyErr>) {
        without_gil(self.lock.py(), wait)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let released = self.lock.call_method0(intern!(self.lock.py(), "release"));
        debug_assert!(released.is_ok(), "a lock that was acquired can be released");
    }
}

/// The mark in [`IN_USE`], until it goes.
struct InUse(Half);

impl InUse {
    fn mark(half: Half) -> PyResult<InUse> {
        let before = IN_USE.get();
        if before & half as u8 != 0 {
            return Err(PyRuntimeError::new_err(
                "a signal handler has interrupted the same call of this node and cannot make it again: let \
                 the handler set a flag or raise, and act on it afterwards",
            ));
        }
        IN_USE.set(before | half as u8);
        Ok(InUse(half))
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        IN_USE.set(IN_USE.get() & !(self.0 as u8));
    }
}
