//! What waits for a reader that may be slow: nobody waits for the reader, what waits has a limit, and what is beyond that
//! is counted where it would have stood.

use std::collections::VecDeque;

use dataflow_wire::event::RunEvent;
use dataflow_wire::status::ModelState;

/// How many events may wait; more are dropped and counted. The log files have every line.
pub(crate) const EVENTS_WAITING_MAX: usize = 10_000;

/// Something that a reader is told.
pub trait Told {
    /// How long its texts are, in bytes, if it may be dropped: there can be any number of those. `None` for what is said a
    /// few times in a run.
    fn droppable_bytes(&self) -> Option<usize>;

    /// That so many were dropped.
    fn dropped(count: u64) -> Self;

    /// How many were dropped, if this says that.
    fn dropped_mut(&mut self) -> Option<&mut u64>;
}

/// The length of an event's texts, in bytes, if it may be dropped.
#[must_use]
pub fn droppable_bytes(event: &RunEvent) -> Option<usize> {
    match event {
        RunEvent::Phase(_) | RunEvent::Ended(_) => None,
        // Of what comes on, the next word says more; how it ends is said once.
        RunEvent::Model(status) => {
            let state = status.view.state;
            let comes_on = matches!(state, ModelState::Resolving | ModelState::Fetching);
            comes_on.then(|| texts_bytes(event))
        }
        RunEvent::Log { .. } | RunEvent::State { .. } | RunEvent::Waiting(_) => {
            Some(texts_bytes(event))
        }
    }
}

/// The length of an event's texts, in bytes, of which there may be many.
#[must_use]
pub fn texts_bytes(event: &RunEvent) -> usize {
    match event {
        RunEvent::Log { line, .. } => line.len(),
        RunEvent::State { because, .. } => because.as_ref().map_or(0, String::len),
        RunEvent::Model(status) => status.view.files.iter().map(|file| file.path.len()).sum(),
        RunEvent::Waiting(_) | RunEvent::Phase(_) | RunEvent::Ended(_) => 0,
    }
}

/// What waits, oldest first.
#[derive(Debug)]
pub struct Backlog<T> {
    waiting: VecDeque<T>,
    /// How many of them may be dropped, and how long their texts are.
    events: usize,
    bytes: usize,
    bytes_max: usize,
    /// Whether events are dropped: from the limit on, until there is room for many.
    is_dropping: bool,
}

impl<T: Told> Backlog<T> {
    /// Nothing waits. The texts of what may be dropped have at most `bytes_max` bytes together, and there are at most
    /// 10,000 of it.
    #[must_use]
    pub fn new(bytes_max: usize) -> Backlog<T> {
        Backlog {
            waiting: VecDeque::new(),
            events: 0,
            bytes: 0,
            bytes_max,
            is_dropping: false,
        }
    }

    /// One more waits, or is counted as dropped.
    pub fn push(&mut self, told: T) {
        let Some(bytes) = told.droppable_bytes() else {
            self.waiting.push_back(told);
            return;
        };
        if self.events >= EVENTS_WAITING_MAX || self.bytes + bytes > self.bytes_max {
            self.is_dropping = true;
        }
        if !self.is_dropping {
            self.events += 1;
            self.bytes += bytes;
            self.waiting.push_back(told);
        } else if let Some(count) = self.waiting.back_mut().and_then(T::dropped_mut) {
            *count += 1;
        } else {
            self.waiting.push_back(T::dropped(1));
        }
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<T> {
        let told = self.waiting.pop_front()?;
        if let Some(bytes) = told.droppable_bytes() {
            self.events -= 1;
            self.bytes -= bytes;
            if self.events < EVENTS_WAITING_MAX / 2 && self.bytes < self.bytes_max / 2 {
                self.is_dropping = false;
            }
        }
        Some(told)
    }

    /// The oldest.
    #[must_use]
    pub fn front(&self) -> Option<&T> {
        self.waiting.front()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Nobody reads any more.
    pub fn clear(&mut self) {
        self.waiting.clear();
        (self.events, self.bytes, self.is_dropping) = (0, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use dataflow_ids::NodeId;
    use dataflow_wire::client::RunNews;
    use dataflow_wire::log::LogStream;
    use dataflow_wire::status::Phase;

    use super::*;

    fn line(length: usize) -> RunNews {
        RunNews::Event(RunEvent::Log {
            node: NodeId::new("n").unwrap(),
            stream: LogStream::Stdout,
            at: SystemTime::UNIX_EPOCH,
            line: "x".repeat(length),
        })
    }

    fn phase() -> RunNews {
        RunNews::Event(RunEvent::Phase(Phase::Stopping))
    }

    fn counts(backlog: &mut Backlog<RunNews>) -> (usize, u64) {
        let (mut lines, mut dropped) = (0, 0);
        while let Some(told) = backlog.pop() {
            match told {
                RunNews::Dropped(count) => dropped += count,
                RunNews::Event(RunEvent::Log { .. }) => lines += 1,
                RunNews::Event(_) => {}
            }
        }
        (lines, dropped)
    }

    #[test]
    fn lines_beyond_the_limit_are_counted_where_they_were_dropped_and_phases_are_not() {
        let mut backlog = Backlog::new(1 << 20);
        let limit = EVENTS_WAITING_MAX;
        for _ in 0..limit + 7 {
            backlog.push(line(1));
        }
        backlog.push(phase());
        backlog.push(line(1));
        let after = [RunNews::Dropped(7), phase(), RunNews::Dropped(1)];
        assert!(backlog.waiting.range(limit..).eq(&after));
        // Room for one is not yet room for many: what is dropped is dropped in one piece.
        backlog.pop();
        backlog.push(line(1));
        assert_eq!(backlog.waiting.back(), Some(&RunNews::Dropped(2)));
        assert_eq!(counts(&mut backlog), (limit - 1, 9));
        backlog.push(line(1));
        assert_eq!(counts(&mut backlog), (1, 0));
        assert_eq!((backlog.events, backlog.bytes), (0, 0));
    }

    #[test]
    fn long_lines_are_bounded_by_their_bytes() {
        let mut backlog = Backlog::new(1000);
        for _ in 0..20 {
            backlog.push(line(100));
        }
        assert_eq!(counts(&mut backlog), (10, 10));
    }

    #[test]
    fn what_has_waited_for_nobody_takes_no_room() {
        let mut backlog = Backlog::new(1000);
        for _ in 0..20 {
            backlog.push(line(100));
        }
        backlog.clear();
        backlog.push(line(100));
        assert_eq!(counts(&mut backlog), (1, 0));
    }
}
