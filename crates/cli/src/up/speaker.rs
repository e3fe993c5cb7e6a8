//! The thread on which an `up` says what it says: a reader that stalls delays neither the dataflow nor its stop.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dataflow_runtime::RunEvent;
use dataflow_runtime::backlog::{Backlog, Told, droppable_bytes};
use dataflow_wire::status::{Report, Waiting};

use super::show::Show;
use super::started::Started;
use crate::error::CliError;

/// How many bytes of lines may wait for the reader.
const BYTES_WAITING_MAX: usize = 16 * 1024 * 1024;
/// How long a reader is still waited for once a person has forced the end.
const HURRIED_WAIT_MAX: Duration = Duration::from_secs(1);

/// Something to be said.
#[derive(Debug)]
pub(super) enum Said {
    /// A run begins.
    Started(Started),
    /// A run in the background is up.
    UpInBackground(Started),
    /// What a signal has brought about: the dataflow stops.
    Stopping,
    /// What a signal has brought about: every process of the dataflow is killed.
    Forced,
    /// For whom a run in the background waits while it starts.
    Waiting(Vec<Waiting>),
    /// Something has happened.
    Event(RunEvent),
    /// So many events were dropped here.
    Dropped(u64),
    /// Nodes draw on the terminal no more.
    TerminalIsFree,
    /// The run has ended.
    Ended(Box<Report>),
}

/// Takes what is to be said, and never waits.
#[derive(Debug, Clone)]
pub(super) struct Speaker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Speaker {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// [`CliError::System`] when there is none.
    pub(super) fn start(mut show: Show) -> Result<Speaker, CliError> {
        let queue = Queue {
            waiting: Backlog::new(BYTES_WAITING_MAX),
            is_speaking: false,
            hurried_at: None,
        };
        let speaker = Speaker {
            shared: Arc::new(Shared {
                queue: Mutex::new(queue),
                changed: Condvar::new(),
            }),
        };
        let thread = speaker.clone();
        std::thread::Builder::new()
            .name("dataflow-show".to_owned())
            .spawn(move || {
                loop {
                    let said = thread.next();
                    show.say(said);
                    thread.lock().is_speaking = false;
                    thread.shared.changed.notify_all();
                }
            })
            .map_err(CliError::system("start the thread that writes"))?;
        Ok(speaker)
    }

    /// Has something said, after everything before it.
    pub(super) fn say(&self, said: Said) {
        self.lock().waiting.push(said);
        self.shared.changed.notify_all();
    }

    /// From now on the end is not to wait for a reader that stalls.
    pub(super) fn hurry(&self) {
        self.lock().hurried_at.get_or_insert_with(Instant::now);
        self.shared.changed.notify_all();
    }

    /// Waits until everything has been said. In a hurry: for a short time at most.
    pub(super) fn finish(&self) {
        let begun = Instant::now();
        let mut queue = self.lock();
        while queue.is_speaking || !queue.waiting.is_empty() {
            let changed = &self.shared.changed;
            queue = match queue.hurried_at {
                None => changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(hurried_at) => {
                    let waited = hurried_at.max(begun).elapsed();
                    let Some(left) = HURRIED_WAIT_MAX.checked_sub(waited) else {
                        return;
                    };
                    let result = changed.wait_timeout(queue, left);
                    result.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Waits for the next thing to be said.
    fn next(&self) -> Said {
        let mut queue = self.lock();
        loop {
            if let Some(said) = queue.waiting.pop() {
                queue.is_speaking = true;
                return said;
            }
            let changed = self.shared.changed.wait(queue);
            queue = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.shared
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What waits for the reader.
#[derive(Debug)]
struct Queue {
    waiting: Backlog<Said>,
    /// Whether something has been taken and is not written yet.
    is_speaking: bool,
    hurried_at: Option<Instant>,
}

impl Told for Said {
    fn droppable_bytes(&self) -> Option<usize> {
        match self {
            Said::Event(event) => droppable_bytes(event),
            Said::Waiting(_) => Some(0),
            _ => None,
        }
    }

    fn dropped(count: u64) -> Said {
        Said::Dropped(count)
    }

    fn dropped_mut(&mut self) -> Option<&mut u64> {
        match self {
            Said::Dropped(count) => Some(count),
            _ => None,
        }
    }
}
