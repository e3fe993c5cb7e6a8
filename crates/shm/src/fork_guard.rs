//! Whether this is still the process that mapped something, at the price of one load.
//!
//! A forked child inherits the library's objects but not its mappings (`MADV_DONTFORK`). Their drops must do
//! nothing there: no word of an edge may change twice, and the address may belong to something else by then.
//! The kernel wipes one page in every child (`MADV_WIPEONFORK`), so no system call is needed to find out.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// Why a guard could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the kernel gives no page that is wiped at a fork ({errno}): Linux 5.10 or newer with free memory is \
     needed"
)]
pub struct ForkGuardError {
    /// What the kernel said.
    pub errno: Errno,
}

/// Remembers the process that made it. Copies are free; so is the question.
#[derive(Debug, Clone, Copy)]
pub struct ForkGuard {
    word: &'static AtomicU64,
    generation: u64,
}

/// The last generation given out. An ordinary variable: a child inherits it, and so its own generation
/// differs from that of every ancestor.
static GENERATIONS: AtomicU64 = AtomicU64::new(0);

static PAGE: OnceLock<Result<&'static AtomicU64, Errno>> = OnceLock::new();

impl ForkGuard {
    /// A guard of this process.
    ///
    /// # Errors
    ///
    /// [`ForkGuardError`] when the kernel has no page for it.
    pub fn here() -> Result<Self, ForkGuardError> {
        let word = (*PAGE.get_or_init(map_page)).map_err(|errno| ForkGuardError { errno })?;
        let mut generation = word.load(Ordering::Relaxed);
        if generation == 0 {
            let fresh = GENERATIONS.fetch_add(1, Ordering::Relaxed) + 1;
            generation = match word.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => fresh,
                Err(of_another_thread) => of_another_thread,
            };
        }
        Ok(ForkGuard { word, generation })
    }

    /// A guard as a forked child has it: it never holds. For tests of what must not happen there.
    ///
    /// # Errors
    ///
    /// [`ForkGuardError`] when the kernel has no page for it.
    #[doc(hidden)]
    pub fn elsewhere() -> Result<Self, ForkGuardError> {
        let ForkGuard { word, .. } = ForkGuard::here()?;
        Ok(ForkGuard {
            word,
            generation: u64::MAX,
        })
    }

    /// Whether this is the process that made the guard.
    #[inline]
    pub fn holds(self) -> bool {
        self.word.load(Ordering::Relaxed) == self.generation
    }
}

fn map_page() -> Result<&'static AtomicU64, Errno> {
    let length = rustix::param::page_size();
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nobody's memory.
    let page = unsafe {
        mmap_anonymous(
            std::ptr::null_mut(),
            length,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )?
    };
    // SAFETY: the range is the mapping just made; the advice changes only what a child sees.
    let advised = unsafe { madvise(page, length, Advice::LinuxWipeOnFork) };
    if let Err(errno) = advised {
        // SAFETY: the mapping was made above and nothing refers to it.
        let _ = unsafe { rustix::mm::munmap(page, length) };
        return Err(errno);
    }
    // SAFETY: the page is zeroed, aligned for any type, mapped for reading and writing, and never unmapped;
    // it is accessed as this atomic only. In a child the kernel replaces it with zeros.
    Ok(unsafe { &*page.cast::<AtomicU64>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_holds_where_it_was_made_and_not_in_a_child() {
        let guard = ForkGuard::here().unwrap();
        assert!(guard.holds());
        // SAFETY: the child calls only functions that are safe after a fork of a threaded process (atomics,
        // `_exit`), and never returns into the test harness.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            let inherited = guard.holds();
            let own = ForkGuard::here().is_ok_and(ForkGuard::holds);
            let still_inherited = guard.holds();
            let code =
                i32::from(inherited) | i32::from(!own) << 1 | i32::from(still_inherited) << 2;
            // SAFETY: ends the child at once, without running anything of the parent's.
            unsafe { libc::_exit(code) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above; `status` outlives the call.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "the child saw (inherited, own, inherited again)");
        assert!(guard.holds());
    }
}
