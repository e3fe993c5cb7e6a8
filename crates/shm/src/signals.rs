//! Keeping signals away from a thread that must never run a program's handlers.

use std::mem::MaybeUninit;

/// Does `act` with all signals blocked for this thread, then sets the mask as it was.
///
/// A thread that `act` starts inherits the mask and keeps it: the kernel then gives the process's signals to
/// another thread, and no handler of the program ever runs on this one.
pub fn with_signals_blocked<T>(act: impl FnOnce() -> T) -> T {
    let _restored = Mask::all_blocked();
    act()
}

/// The mask that a thread had before; set again when this goes, also after a panic.
struct Mask {
    before: libc::sigset_t,
}

impl Mask {
    fn all_blocked() -> Mask {
        let mut all = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: `sigfillset` initialises the first set; the second call then reads that and initialises the other.
        // Both live across the calls, and neither can fail: `SIG_SETMASK` is a valid way to change a mask.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Mask {
                before: before.assume_init(),
            }
        }
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        // SAFETY: the mask is the one that the kernel gave for this thread.
        unsafe {
            libc::pthread_sigmask(
                libc::SIG_SETMASK,
                &raw const self.before,
                std::ptr::null_mut(),
            )
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigBlk:"))
            .unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap()
    }

    #[test]
    fn a_thread_started_meanwhile_has_them_blocked_for_good_and_the_starter_does_not() {
        let before = blocked();
        let started = with_signals_blocked(|| std::thread::spawn(blocked));
        assert_eq!(blocked(), before);
        let mask = started.join().unwrap();
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGALRM] {
            assert_ne!(mask & 1 << (signal - 1), 0, "signal {signal}");
        }
    }
}
