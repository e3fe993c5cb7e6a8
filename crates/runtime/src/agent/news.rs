//! What a dataflow on the agent tells the `up` that asked for it: whoever says it never waits, and what waits for a
//! command that does not read has a limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dataflow_wire::client::{ClientReply, RunNews};
use dataflow_wire::event::RunEvent;
use tokio::sync::Notify;

use crate::backlog::{Backlog, Told, droppable_bytes, texts_bytes};

/// How many bytes of texts may wait for the command.
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

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Notify,
}

/// What the command is told next.
#[derive(Debug)]
enum ToldNext {
    News(RunNews),
    Reply(ClientReply),
}

impl Told for ToldNext {
    fn droppable_bytes(&self) -> Option<usize> {
        match self {
            ToldNext::News(news) => news.droppable_bytes(),
            ToldNext::Reply(_) => None,
        }
    }

    fn dropped(count: u64) -> ToldNext {
        ToldNext::News(RunNews::Dropped(count))
    }

    fn dropped_mut(&mut self) -> Option<&mut u64> {
        match self {
            ToldNext::News(news) => news.dropped_mut(),
            ToldNext::Reply(_) => None,
        }
    }
}

impl Told for RunNews {
    fn droppable_bytes(&self) -> Option<usize> {
        match self {
            RunNews::Event(event) => droppable_bytes(event),
            RunNews::Dropped(_) => None,
        }
    }

    fn dropped(count: u64) -> RunNews {
        RunNews::Dropped(count)
    }

    fn dropped_mut(&mut self) -> Option<&mut u64> {
        match self {
            RunNews::Event(_) => None,
            RunNews::Dropped(count) => Some(count),
        }
    }
}

#[derive(Debug)]
struct Queue {
    waiting: Backlog<ToldNext>,
    /// Whether nothing more follows.
    is_over: bool,
    /// Whether nobody hears it.
    is_unheard: bool,
}

pub(super) fn news() -> (NewsSender, NewsReceiver) {
    let shared = Arc::new(Shared {
        queue: Mutex::new(Queue {
            waiting: Backlog::new(BYTES_WAITING_MAX),
            is_over: false,
            is_unheard: false,
        }),
        changed: Notify::new(),
    });
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
            self.shared.lock().push(ToldNext::News(news));
            self.shared.changed.notify_one();
        }
    }

    /// An answer of another kind, after everything before it.
    pub(super) fn reply(&self, reply: ClientReply) {
        self.shared.lock().push(ToldNext::Reply(reply));
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
    fn push(&mut self, told: ToldNext) {
        if !self.is_unheard {
            self.waiting.push(told);
        }
    }

    /// The next answer: many events in one.
    fn pop(&mut self) -> Option<ClientReply> {
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        while batch_bytes < BATCH_BYTES
            && batch.len() < BATCH_EVENTS_MAX
            && let Some(ToldNext::News(_)) = self.waiting.front()
            && let Some(ToldNext::News(news)) = self.waiting.pop()
        {
            if let RunNews::Event(event) = &news {
                batch_bytes += texts_bytes(event);
            }
            batch.push(news);
        }
        if !batch.is_empty() {
            return Some(ClientReply::News(batch));
        }
        match self.waiting.pop()? {
            ToldNext::Reply(reply) => Some(reply),
            ToldNext::News(news) => Some(ClientReply::News(vec![news])),
        }
    }
}

/// An event as a command is told it; `None` for the end, which is an answer of its own.
fn news_of(mut event: RunEvent) -> Option<RunNews> {
    match &mut event {
        RunEvent::Waiting(waiting) => waiting.truncate(WAITING_MAX),
        RunEvent::Ended(_) => return None,
        _ => {}
    }
    Some(RunNews::Event(event))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use dataflow_ids::NodeId;
    use dataflow_wire::log::LogStream;
    use dataflow_wire::status::Phase;

    use super::*;
    use crate::backlog::EVENTS_WAITING_MAX;

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
        let phase = ClientReply::News(vec![RunNews::Event(RunEvent::Phase(Phase::Stopping))]);
        assert_eq!(
            heard[EVENTS_WAITING_MAX..],
            [dropped(7), phase, dropped(1), ClientReply::Accepted]
        );
    }

    #[test]
    fn long_lines_come_in_replies_of_some_size() {
        let (sender, receiver) = news();
        for number in 0..2 * BYTES_WAITING_MAX / BATCH_BYTES {
            sender.event(line(number, BATCH_BYTES / 4), true);
        }
        match receiver.shared.lock().pop() {
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
            [ClientReply::News(vec![RunNews::Event(RunEvent::Phase(
                Phase::Running
            ))])]
        );
    }
}
