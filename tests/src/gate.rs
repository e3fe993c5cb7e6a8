//! A point in a node's program where it waits for the test, without a clock: a named pipe.
//!
//! The node opens it and reads to its end. The test opens the other side, which succeeds only once the node is
//! there, and closes it to let the node go on.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, OFlags};

use crate::PATIENCE;

/// The test's side of a gate.
#[derive(Debug)]
pub struct Gate {
    path: PathBuf,
    held: Option<File>,
}

impl Gate {
    pub(crate) fn new(path: PathBuf) -> Gate {
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .unwrap_or_else(|error| panic!("cannot make the gate {}: {error}", path.display()));
        Gate { path, held: None }
    }

    /// The pipe, to be handed to the node as an argument.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until a node stands at the gate. It stays there.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn wait_until_reached(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.held.is_none() {
            match rustix::fs::open(
                &self.path,
                OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
                Mode::empty(),
            ) {
                Ok(side) => self.held = Some(File::from(side)),
                Err(rustix::io::Errno::NXIO) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => panic!("nobody came to the gate {}: {error}", self.path.display()),
            }
        }
    }

    /// Waits until another node stands at the gate than the one that stood there, which is dead. It stays there.
    ///
    /// # Panics
    ///
    /// As [`Gate::wait_until_reached`].
    pub fn wait_for_the_next(&mut self) {
        // Held until then: whoever has come already would find the pipe ended, and go through.
        let before = self.held.take();
        self.wait_until_reached();
        drop(before);
    }

    /// Waits until a node stands at the gate, and lets it through.
    pub fn open(&mut self) {
        self.wait_until_reached();
        self.held = None;
    }
}
