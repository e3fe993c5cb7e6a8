//! What the pool is built on: a lock, a bell for each thread, and threads. A model checker puts its own here.

use std::ffi::CString;
use std::io;
use std::ops::DerefMut;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A lock, bells and threads.
pub(super) trait Machinery: Sized + Send + Sync + 'static {
    /// Guards a value.
    type Lock<T: Send + 'static>: Send + Sync;
    /// Holds a lock.
    type Guard<'a, T: Send + 'static>: DerefMut<Target = T>;
    /// Wakes the one thread that waits at it.
    type Bell: Send + Sync;

    fn lock_of<T: Send + 'static>(&self, value: T) -> Self::Lock<T>;
    fn lock<'a, T: Send + 'static>(&self, lock: &'a Self::Lock<T>) -> Self::Guard<'a, T>;
    fn bell(&self) -> Self::Bell;
    fn ring(&self, bell: &Self::Bell);

    /// Lets go of the lock, waits for the bell, for `at_most` if that is given, and takes the lock again. Returns
    /// whether the time was over. It may also return for no reason.
    fn wait<'a, T: Send + 'static>(
        &self,
        bell: &Self::Bell,
        lock: &'a Self::Lock<T>,
        guard: Self::Guard<'a, T>,
        at_most: Option<Duration>,
    ) -> (Self::Guard<'a, T>, bool);

    /// Starts a thread.
    fn start(&self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()>;

    /// Gives the calling thread a name.
    fn call_this_thread(&self, name: &str);
}

/// Those of the system.
#[derive(Debug, Clone, Copy)]
pub(super) struct System;

impl Machinery for System {
    type Lock<T: Send + 'static> = Mutex<T>;
    type Guard<'a, T: Send + 'static> = MutexGuard<'a, T>;
    type Bell = Condvar;

    fn lock_of<T: Send + 'static>(&self, value: T) -> Mutex<T> {
        Mutex::new(value)
    }

    fn lock<'a, T: Send + 'static>(&self, lock: &'a Mutex<T>) -> MutexGuard<'a, T> {
        // Nothing of others runs under it, so nothing panics under it.
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bell(&self) -> Condvar {
        Condvar::new()
    }

    fn ring(&self, bell: &Condvar) {
        bell.notify_one();
    }

    fn wait<'a, T: Send + 'static>(
        &self,
        bell: &Condvar,
        _lock: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        at_most: Option<Duration>,
    ) -> (MutexGuard<'a, T>, bool) {
        match at_most {
            None => {
                let guard = bell.wait(guard).unwrap_or_else(PoisonError::into_inner);
                (guard, false)
            }
            Some(at_most) => {
                let (guard, waited) = bell
                    .wait_timeout(guard, at_most)
                    .unwrap_or_else(PoisonError::into_inner);
                (guard, waited.timed_out())
            }
        }
    }

    fn start(&self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
            .map(drop)
    }

    fn call_this_thread(&self, name: &str) {
        if let Ok(name) = CString::new(shown(name)) {
            // Nothing depends on it.
            let _ = rustix::thread::set_name(&name);
        }
    }
}

/// Linux keeps 15 bytes of a name. No character is cut in two, and none is zero.
fn shown(name: &str) -> String {
    let mut end = name.len().min(15);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].replace('\0', " ")
}
