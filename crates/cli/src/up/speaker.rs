//! The thread on which an `up` says what it says: a reader that stalls delays neither the dataflow nor its stop.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dataflow_runtime::RunEvent;
use dataflow_wire::status::{ModelState, Report, Waiting};

use super::show::Show;
use super::started::Started;
use crate::error::CliError;

/// How many events may wait for the reader; more are dropped and counted. The log files have every line.
const EVENTS_WAITING_MAX: usize = 10_000;
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

#[derive(Debug, Default)]
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
        let speaker = Speaker {
            shared: Arc::default(),
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
        self.lock().push(said);
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
            if let Some(said) = queue.pop() {
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
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Said>,
    /// How many events wait that may be dropped, and how much their texts are.
    events: usize,
    bytes: usize,
    /// Whether events are dropped: from the limit on, until there is room for many.
    is_dropping: bool,
    /// Whether something has been taken and is not written yet.
    is_speaking: bool,
    hurried_at: Option<Instant>,
}

impl Queue {
    fn push(&mut self, said: Said) {
        let Some(bytes) = droppable_bytes(&said) else {
            self.waiting.push_back(said);
            return;
        };
        if self.events >= EVENTS_WAITING_MAX || self.bytes + bytes > BYTES_WAITING_MAX {
            self.is_dropping = true;
        }
        if !self.is_dropping {
            self.events += 1;
            self.bytes += bytes;
            self.waiting.push_back(said);
        } else if let Some(Said::Dropped(count)) = self.waiting.back_mut() {
            *count += 1;
        } else {
            self.waiting.push_back(Said::Dropped(1));
        }
    }

    fn pop(&mut self) -> Option<Said> {
        let said = self.waiting.pop_front()?;
        if let Some(bytes) = droppable_bytes(&said) {
            self.events -= 1;
            self.bytes -= bytes;
            if self.events < EVENTS_WAITING_MAX / 2 && self.bytes < BYTES_WAITING_MAX / 2 {
                self.is_dropping = false;
            }
        }
        Some(said)
    }
}

/// The length of the text of an event that may be dropped; there can be any number of those. `None` for what is
/// said a few times in a run.
fn droppable_bytes(said: &Said) -> Option<usize> {
    match said {
        Said::Event(RunEvent::Phase(_)) => None,
        Said::Event(RunEvent::Log { line, .. }) => Some(line.len()),
        Said::Event(RunEvent::State { because, .. }) => {
            Some(because.as_ref().map_or(0, String::len))
        }
        // Of what comes on, the next word says more; how it ends is said once.
        Said::Event(RunEvent::Model(status)) => {
            let comes_on = matches!(
                status.view.state,
                ModelState::Resolving | ModelState::Fetching
            );
            comes_on.then(|| status.view.files.iter().map(|file| file.path.len()).sum())
        }
        Said::Event(_) | Said::Waiting(_) => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use dataflow_ids::NodeId;
    use dataflow_runtime::logs::LogStream;
    use dataflow_wire::status::Phase;

    use super::*;

    fn line(number: usize, length: usize) -> Said {
        Said::Event(RunEvent::Log {
            node: NodeId::new("n").unwrap(),
            stream: LogStream::Stdout,
            at: SystemTime::UNIX_EPOCH,
            line: format!("{number}{}", "x".repeat(length - 1)),
        })
    }

    fn counts(queue: &mut Queue) -> (u64, u64) {
        let (mut lines, mut dropped) = (0, 0);
        while let Some(said) = queue.pop() {
            match said {
                Said::Dropped(count) => dropped += count,
                Said::Event(RunEvent::Log { .. }) => lines += 1,
                _ => {}
            }
        }
        (lines, dropped)
    }

    #[test]
    fn lines_beyond_the_limit_are_counted_where_they_were_dropped_and_phases_are_not() {
        let mut queue = Queue::default();
        let limit = EVENTS_WAITING_MAX;
        for number in 0..limit + 7 {
            queue.push(line(number, 1));
        }
        queue.push(Said::Event(RunEvent::Phase(Phase::Stopping)));
        queue.push(line(0, 1));
        assert!(matches!(queue.waiting[limit], Said::Dropped(7)));
        assert!(matches!(
            queue.waiting[limit + 1],
            Said::Event(RunEvent::Phase(Phase::Stopping))
        ));
        assert!(matches!(queue.waiting[limit + 2], Said::Dropped(1)));
        // Room for one is not yet room for many: what is dropped is dropped in one piece.
        queue.pop();
        queue.push(line(0, 1));
        assert!(matches!(queue.waiting.back(), Some(Said::Dropped(2))));
        assert_eq!(counts(&mut queue), (limit as u64 - 1, 9));
        queue.push(line(0, 1));
        assert_eq!(counts(&mut queue), (1, 0));
        assert_eq!((queue.events, queue.bytes), (0, 0));
    }

    #[test]
    fn long_lines_are_bounded_by_their_bytes() {
        let mut queue = Queue::default();
        for _ in 0..20 {
            queue.push(line(0, BYTES_WAITING_MAX / 10));
        }
        assert_eq!(counts(&mut queue), (10, 10));
    }
}
