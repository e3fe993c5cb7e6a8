//! What a dataflow on the agent tells the `up` that asked for it: whoever says it never waits, and what waits for a
//! command that does not read has a limit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dataflow_wire::client::{ClientReply, RunNews};
use dataflow_wire::status::ModelState;
use tokio::sync::Notify;

use crate::events::RunEvent;

/// How many events may wait for the command; more are dropped and counted. The log files have every line.
const EVENTS_WAITING_MAX: usize = 10_000;
/// How many bytes of their texts may wait.
const BYTES_WAITING_MAX: usize = 8 * 1024 * 1024;
/// How many bytes of texts go in one reply, about.
const BATCH_BYTES: usize = 256 * 1024;
/// How many events go in one reply.
const BATCH_EVENTS_MAX: usize = 1024;
/// Of how many waits a command is told at a time.
const WAITING_MAX: usize = 1000;

/// Says what happens, from any thread.
#[derive(Debug, Clone)]
pub(super) struct NewsSender {
    shared: Arc<Shared>,
}

/// Hears it.
#[derive(Debug)]
pub(super) struct NewsReceiver {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Notify,
}

/// What the command is told next.
#[derive(Debug)]
enum Told {
    News(RunNews),
    Reply(ClientReply),
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Told>,
    /// How many events wait that may be dropped, and how much their texts are.
    events: usize,
    bytes: usize,
    /// Whether events are dropped: from the limit on, until there is room for many.
    is_dropping: bool,
    /// Whether nothing more follows.
    is_over: bool,
    /// Whether nobody hears it.
    is_unheard: bool,
}

pub(super) fn news() -> (NewsSender, NewsReceiver) {
    let shared = Arc::<Shared>::default();
    let sender = NewsSender {
        shared: Arc::clone(&shared),
    };
    (sender, NewsReceiver { shared })
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NewsSender {
    /// Something has happened. Lines are left out when `wants_lines` is not so.
    pub(super) fn event(&self, event: RunEvent, wants_lines: bool) {
        if let RunEvent::Log { .. } = event
            && !wants_lines
        {
            return;
        }
        if let Some(news) = news_of(event) {
            self.shared.lock().push(Told::News(news));
            self.shared.changed.notify_one();
        }
    }

    /// An answer of another kind, after everything before it.
    pub(super) fn reply(&self, reply: ClientReply) {
        self.shared.lock().push(Told::Reply(reply));
        self.shared.changed.notify_one();
    }

    /// Nothing follows.
    pub(super) fn end(&self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_one();
    }
}

impl NewsReceiver {
    /// Waits for the next answer. `None`: nothing follows.
    pub(super) async fn next(&mut self) -> Option<ClientReply> {
        loop {
            {
                let mut queue = self.shared.lock();
                if let Some(reply) = queue.pop() {
                    return Some(reply);
                }
                if queue.is_over {
                    return None;
                }
            }
            self.shared.changed.notified().await;
        }
    }
}

impl Drop for NewsReceiver {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.is_unheard = true;
        queue.waiting.clear();
    }
}

impl Queue {
    fn push(&mut self, told: Told) {
        if self.is_unheard {
            return;
        }
        let Some(bytes) = droppable_bytes(&told) else {
            self.waiting.push_back(told);
            return;
        };
        if self.events >= EVENTS_WAITING_MAX || self.bytes + bytes > BYTES_WAITING_MAX {
            self.is_dropping = true;
        }
        if !self.is_dropping {
            self.events += 1;
            self.bytes += bytes;
            self.waiting.push_back(told);
        } else if let Some(Told::News(RunNews::Dropped(count))) = self.waiting.back_mut() {
            *count += 1;
        } else {
            self.waiting.push_back(Told::News(RunNews::Dropped(1)));
        }
    }

    /// The next answer: many events in one.
    fn pop(&mut self) -> Option<ClientReply> {
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        while batch_bytes < BATCH_BYTES
            && batch.len() < BATCH_EVENTS_MAX
            && let Some(Told::News(_)) = self.waiting.front()
            && let Some(Told::News(news)) = self.take()
        {
            batch_bytes += texts_bytes(&news);
            batch.push(news);
        }
        if !batch.is_empty() {
            return Some(ClientReply::News(batch));
        }
        match self.take()? {
            Told::Reply(reply) => Some(reply),
            Told::News(news) => Some(ClientReply::News(vec![news])),
        }
    }

    fn take(&mut self) -> Option<Told> {
        let told = self.waiting.pop_front()?;
        if let Some(bytes) = droppable_bytes(&told) {
            self.events -= 1;
            self.bytes -= bytes;
            if self.events < EVENTS_WAITING_MAX / 2 && self.bytes < BYTES_WAITING_MAX / 2 {
                self.is_dropping = false;
            }
        }
        Some(told)
    }
}

fn texts_bytes(news: &RunNews) -> usize {
    match news {
        RunNews::Log { line, .. } => line.len(),
        RunNews::State { because, .. } => because.as_ref().map_or(0, String::len),
        RunNews::Model(status) => status.view.files.iter().map(|file| file.path.len()).sum(),
        RunNews::Waiting(_) | RunNews::Phase(_) | RunNews::Dropped(_) => 0,
    }
}

/// The length of the texts of what may be dropped; there can be any number of those. `None` for what is said a few
/// times in a run.
fn droppable_bytes(told: &Told) -> Option<usize> {
    let Told::News(news) = told else { return None };
    match news {
        RunNews::Phase(_) | RunNews::Dropped(_) => None,
        // Of what comes on, the next word says more; how it ends is said once.
        RunNews::Model(status) => {
            let state = status.view.state;
            let comes_on = matches!(state, ModelState::Resolving | ModelState::Fetching);
            comes_on.then(|| texts_bytes(news))
        }
        RunNews::Log { .. } | RunNews::State { .. } | RunNews::Waiting(_) => {
            Some(texts_bytes(news))
        }
    }
}

/// An event as a command is told it; `None` for the end, which is an answer of its own.
fn news_of(event: RunEvent) -> Option<RunNews> {
    Some(match event {
        RunEvent::Log {
            node,
            stream,
            at,
            line,
        } => RunNews::Log {
            node,
            stream,
            at,
            line,
        },
        RunEvent::State {
            node,
            from,
            to,
            epoch,
            because,
        } => RunNews::State {
            node,
            from,
            to,
            epoch,
            because,
        },
        RunEvent::Model(status) => RunNews::Model(status),
        RunEvent::Phase(phase) => RunNews::Phase(phase),
        RunEvent::Waiting(mut waiting) => {
            waiting.truncate(WAITING_MAX);
            RunNews::Waiting(waiting)
        }
        RunEvent::Ended(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use dataflow_ids::NodeId;
    use dataflow_wire::log::LogStream;
    use dataflow_wire::status::Phase;

    use super::*;

    fn line(number: usize, length: usize) -> RunEvent {
        RunEvent::Log {
            node: NodeId::new("n").unwrap(),
            stream: LogStream::Stdout,
            at: SystemTime::UNIX_EPOCH,
            line: format!("{number}{}", "x".repeat(length - 1)),
        }
    }

    /// Everything that is there, with the events one by one.
    fn heard(receiver: &mut NewsReceiver) -> Vec<ClientReply> {
        let mut heard = Vec::new();
        while let Some(reply) = receiver.shared.lock().pop() {
            match reply {
                ClientReply::News(news) => {
                    heard.extend(news.into_iter().map(|news| ClientReply::News(vec![news])));
                }
                reply => heard.push(reply),
            }
        }
        heard
    }

    #[test]
    fn a_command_that_does_not_read_misses_lines_which_are_counted_and_no_phase_and_no_end() {
        let (sender, mut receiver) = news();
        for number in 0..EVENTS_WAITING_MAX + 7 {
            sender.event(line(number, 1), true);
        }
        sender.event(RunEvent::Phase(Phase::Stopping), true);
        sender.event(line(0, 1), true);
        sender.reply(ClientReply::Accepted);
        let heard = heard(&mut receiver);
        let dropped = |count| ClientReply::News(vec![RunNews::Dropped(count)]);
        let phase = ClientReply::News(vec![RunNews::Phase(Phase::Stopping)]);
        assert_eq!(
            heard[EVENTS_WAITING_MAX..],
            [dropped(7), phase, dropped(1), ClientReply::Accepted]
        );
        let queue = receiver.shared.lock();
        assert_eq!((queue.events, queue.bytes), (0, 0));
    }

    #[test]
    fn long_lines_are_bounded_by_their_bytes_and_come_in_replies_of_some_size() {
        let (sender, receiver) = news();
        for number in 0..2 * BYTES_WAITING_MAX / BATCH_BYTES {
            sender.event(line(number, BATCH_BYTES / 4), true);
        }
        let mut queue = receiver.shared.lock();
        assert!(queue.bytes <= BYTES_WAITING_MAX);
        match queue.pop() {
            Some(ClientReply::News(news)) => assert_eq!(news.len(), 4),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_waits_for_somebody_who_has_gone() {
        let (sender, receiver) = news();
        sender.event(line(1, 1), true);
        drop(receiver);
        sender.event(line(2, 1), true);
        assert!(sender.shared.lock().waiting.is_empty());
    }

    #[test]
    fn who_wants_no_lines_is_told_the_rest() {
        let (sender, mut receiver) = news();
        sender.event(line(1, 1), false);
        sender.event(RunEvent::Phase(Phase::Running), false);
        assert_eq!(
            heard(&mut receiver),
            [ClientReply::News(vec![RunNews::Phase(Phase::Running)])]
        );
    }
}
