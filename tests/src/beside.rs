//! Commands that ask nobody, run beside those whose time is judged: a machine that stands still accuses nobody.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::dataflow_binary;

/// How long it is until the next one.
const EVERY: Duration = Duration::from_millis(50);

/// One command: when it was asked, and how long it took.
pub type Asked = (Instant, Duration);

/// Runs `dataflow --version`, which takes no runtime and no Hub, again and again until it is dropped.
#[derive(Debug)]
pub struct CommandsBeside {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Asked>>>,
}

impl CommandsBeside {
    /// Begins with the first.
    #[must_use]
    pub fn start() -> CommandsBeside {
        let done = Arc::<AtomicBool>::default();
        let is_done = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            let mut asked = Vec::new();
            while !is_done.load(Ordering::Relaxed) {
                let at = Instant::now();
                let output = Command::new(dataflow_binary()).arg("--version").output();
                assert!(output.is_ok_and(|output| output.status.success()));
                asked.push((at, at.elapsed()));
                std::thread::sleep(EVERY);
            }
            asked
        });
        CommandsBeside {
            done,
            thread: Some(thread),
        }
    }

    /// Waits for the end of the last one, and gives all.
    ///
    /// # Panics
    ///
    /// When one of them did not work.
    #[must_use]
    pub fn end(mut self) -> Vec<Asked> {
        self.done.store(true, Ordering::Relaxed);
        let thread = self.thread.take().map(JoinHandle::join);
        let asked = thread.expect("it has not ended before");
        asked.expect("a command that asks nobody works")
    }
}

/// Also by a failed assertion: the thread would run for ever.
impl Drop for CommandsBeside {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

/// The longest of the commands that ran at the same time as this one.
#[must_use]
pub fn longest_beside((at, took): Asked, others: &[Asked]) -> Duration {
    others
        .iter()
        .filter(|(other, other_took)| *other < at + took && at < *other + *other_took)
        .map(|(_, other_took)| *other_took)
        .max()
        .unwrap_or_default()
}
