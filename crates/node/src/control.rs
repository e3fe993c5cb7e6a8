//! The control thread: answers the runtime at once, whatever the user's code does.
//!
//! It is the only reader of the control socket. It never runs user code, takes no lock that a user's thread
//! holds while it waits, and, in Python, never takes the GIL: so nothing of the user's can delay an
//! acknowledgement (I-7).

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dataflow_ids::{EdgeId, Epoch, Sequence};
use dataflow_shm::edge::{EdgeReceiverHandle, Tokens};
use dataflow_shm::with_signals_blocked;
use dataflow_wire::frame::{FrameReader, Received};
use dataflow_wire::node::{ToNode, ToRuntime};
use rustix::event::{PollFd, PollFlags, poll};

use crate::shared::Shared;
use crate::wait::timespec;

/// Reserved for the thread's stack; it uses a few pages of it.
const STACK_BYTES: usize = 256 * 1024;

/// What a node does when the socket to its runtime ends.
#[derive(Default)]
pub enum RuntimeLost {
    /// Kills its own process group: nothing of a dataflow outlives its runtime.
    #[default]
    KillProcessGroup,
    /// Goes on, for tests that play the runtime: every call then fails with `RuntimeGone`.
    GoOn,
}

/// Everything the control thread owns.
pub(crate) struct Control {
    pub(crate) shared: Arc<Shared>,
    pub(crate) reader: FrameReader,
    /// What came before the user's side was ready for it.
    pub(crate) early: Vec<(ToNode, Vec<OwnedFd>)>,
    /// The edges that this node receives from; `None` for one that was damaged before this node could attach to it: it
    /// owes nothing there.
    pub(crate) receivers: BTreeMap<EdgeId, Option<EdgeReceiverHandle>>,
    /// The edges whose last release the runtime waits for, and up to where.
    pub(crate) watched: BTreeMap<EdgeId, Sequence>,
    pub(crate) runtime_lost: RuntimeLost,
}

/// What has something to say.
#[derive(Debug, Clone, Copy, Default)]
struct Ready {
    socket: bool,
    control: bool,
    future: bool,
}

/// Why the conversation ended.
enum Ended {
    /// The socket ended.
    Socket,
    /// Nothing more can be read from it, for this reason.
    Unreadable(String),
}

impl Control {
    /// Starts the thread. It is never joined: it lives as long as the socket, and so, in a node, as long as
    /// the process, whose messages may be released at any time.
    ///
    /// Signals are blocked on it for good: a handler of the program that ran here would delay acknowledgements
    /// (I-7), and could wait for the very thread it runs on.
    pub(crate) fn start(mut self) -> io::Result<()> {
        let builder = std::thread::Builder::new()
            .name("dataflow".to_owned())
            .stack_size(STACK_BYTES);
        let thread = with_signals_blocked(|| {
            builder.spawn(move || {
                if let Ended::Unreadable(why) = self.converse() {
                    self.say_last_words(&why);
                }
                self.shared.set_runtime_gone();
                self.shared.segments.close();
                if let RuntimeLost::KillProcessGroup = self.runtime_lost {
                    // Nothing is left to be done when this fails: the parent's death signal remains.
                    let _ =
                        rustix::process::kill_current_process_group(rustix::process::Signal::KILL);
                }
                self.shared.wake_users();
            })
        });
        thread.map(drop)
    }

    /// Says why this node ends, in its log and on stderr: what follows is a SIGKILL, which says nothing.
    fn say_last_words(&self, why: &str) {
        let text = format!(
            "node {} can hear its runtime no more, and ends: {why}",
            self.shared.node
        );
        write_to_stderr(&format!("dataflow: {text}\n"));
        self.shared.note(&ToRuntime::Warning { text });
    }

    fn converse(&mut self) -> Ended {
        for (message, descriptors) in std::mem::take(&mut self.early) {
            self.handle(message, descriptors);
        }
        // The handshake may have read further than its own end.
        if let Err(ended) = self.handle_frames() {
            return ended;
        }
        loop {
            let ready = self.sleep();
            if ready.future {
                self.shared.wake_future();
            }
            if ready.control {
                self.look_around();
            }
            if ready.socket
                && let Err(ended) = self.read_frames()
            {
                return ended;
            }
        }
    }

    /// Waits for the socket, a wake-up, or on behalf of a future for its event.
    fn sleep(&self) -> Ready {
        let shared = &self.shared;
        let future = shared.async_wait_until();
        let mut fds = [
            PollFd::new(&shared.socket, PollFlags::IN),
            PollFd::new(&shared.control_wake, PollFlags::IN),
            PollFd::new(&shared.receive_wake, PollFlags::IN),
        ];
        let watched = if future.is_some() { 3 } else { 2 };
        let timeout = future
            .flatten()
            .map(|until| timespec(until.saturating_duration_since(Instant::now())));
        match poll(&mut fds[..watched], timeout.as_ref()) {
            Ok(0) => Ready {
                future: true,
                ..Ready::default()
            },
            Ok(_) => Ready {
                socket: !fds[0].revents().is_empty(),
                control: !fds[1].revents().is_empty(),
                future: !fds[2].revents().is_empty(),
            },
            // A signal, or a moment without memory in the kernel: looked at again.
            Err(_) => Ready::default(),
        }
    }

    /// Reads what the socket has, and handles it.
    fn read_frames(&mut self) -> Result<(), Ended> {
        match self.reader.receive(self.shared.socket.as_fd()) {
            Ok(Received::Bytes(_)) => {}
            Ok(Received::WouldBlock) => return Ok(()),
            Ok(Received::End) => return Err(Ended::Socket),
            Err(error) => return Err(Ended::Unreadable(error.to_string())),
        }
        self.handle_frames()
    }

    /// Handles every whole frame that has been read.
    fn handle_frames(&mut self) -> Result<(), Ended> {
        loop {
            match self.reader.next::<ToNode>() {
                Ok(Some((message, descriptors))) => self.handle(message, descriptors),
                Ok(None) => return Ok(()),
                Err(error) => return Err(Ended::Unreadable(error.to_string())),
            }
        }
    }

    fn handle(&mut self, message: ToNode, descriptors: Vec<OwnedFd>) {
        match message {
            ToNode::Segment { segment, length } => {
                let Some(fd) = descriptors.into_iter().next() else {
                    return;
                };
                if let Err(error) = self.shared.segments.insert(segment, fd, length) {
                    self.shared.note(&ToRuntime::Warning {
                        text: error.to_string(),
                    });
                }
                // A message may wait for it.
                self.shared.wake_receiver();
            }
            ToNode::SegmentRetire { segment } => {
                if !self.shared.segments.retire(segment) {
                    // It never came here, so nothing is mapped.
                    self.shared.note(&ToRuntime::SegmentUnmapped { segment });
                }
                self.look_around();
            }
            ToNode::SegmentsComplete { sender, epoch } => {
                if self.shared.segments.complete(sender, epoch) {
                    // A message may wait for one that did not come.
                    self.shared.wake_receiver();
                }
            }
            ToNode::ReleaseRequest {
                edge, epoch, upto, ..
            } => self.answer(edge, epoch, upto),
            ToNode::Stop { mode, upto } => {
                self.shared.stop.ask(mode, upto);
                self.shared.wake_users();
            }
            // All of these belong to the beginning of the conversation.
            ToNode::Welcome(_) | ToNode::Refused { .. } | ToNode::Edge(_) | ToNode::Begin => {}
        }
    }

    /// Answers a request at once, and arms the answer that follows unasked at the last release.
    fn answer(&mut self, edge: EdgeId, epoch: Epoch, upto: Sequence) {
        if epoch != self.shared.epoch {
            return;
        }
        if upto == Sequence::NONE {
            return self.say_released(edge, upto, Tokens::default());
        }
        let Some(handle) = self.receivers.get(&edge) else {
            return;
        };
        if let Some(handle) = handle {
            // Armed before it is looked at: a release in between wakes this thread once more than needed.
            handle.watch(upto);
        }
        self.watched.insert(edge, upto);
        self.acknowledge(edge, upto);
    }

    /// Says what is still owed on an edge; forgets the edge when that is nothing.
    fn acknowledge(&mut self, edge: EdgeId, upto: Sequence) {
        let Some(handle) = self.receivers.get(&edge) else {
            return;
        };
        let tokens = handle
            .as_ref()
            .map_or_else(Tokens::default, |handle| handle.tokens(upto));
        if tokens.is_empty() {
            self.watched.remove(&edge);
        }
        self.say_released(edge, upto, tokens);
    }

    fn say_released(&self, edge: EdgeId, upto: Sequence, tokens: Tokens) {
        self.shared.note(&ToRuntime::ReleaseAck {
            edge,
            epoch: self.shared.epoch,
            released_upto: released_upto(&tokens, upto),
            queued: tokens.queued,
            held: tokens.held,
            busy_for: self.shared.activity.busy_for(),
        });
    }

    /// What may have happened since the last look: segments were unmapped, watched messages were released.
    /// Wake-ups are forgotten before the look, so that a later one is not.
    fn look_around(&mut self) {
        self.shared.control_wake.drain();
        for segment in self.shared.segments.take_unmapped() {
            self.shared.note(&ToRuntime::SegmentUnmapped { segment });
        }
        for (edge, upto) in self.watched.clone() {
            let Some(handle) = self.receivers.get(&edge) else {
                continue;
            };
            if handle.as_ref().is_none_or(|handle| handle.watch(upto)) {
                self.acknowledge(edge, upto);
            }
        }
    }
}

/// The highest sequence up to which everything is released. Queues have gaps: messages that were dropped.
fn released_upto(tokens: &Tokens, upto: Sequence) -> Sequence {
    tokens
        .lowest
        .map_or(upto, |lowest| Sequence(lowest.0.saturating_sub(1)))
}

/// Writes a line to stderr, if that takes it at once. Not through the standard library, whose lock a thread of the
/// program may have.
fn write_to_stderr(line: &str) {
    let stderr = rustix::stdio::stderr();
    let mut ready = [PollFd::from_borrowed_fd(stderr, PollFlags::OUT)];
    if let Ok(1) = poll(&mut ready, Some(&timespec(Duration::ZERO))) {
        // Nobody is left to hear of an error.
        let _ = rustix::io::write(stderr, line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_released_ends_before_the_lowest_that_is_owed_also_when_the_queue_has_gaps() {
        let owed = |queued, held: &[u64], lowest: Option<u64>| Tokens {
            queued,
            held: held.iter().copied().map(Sequence).collect(),
            lowest: lowest.map(Sequence),
        };
        let upto = Sequence(10);
        // 3 and 10 are queued; those between were dropped.
        assert_eq!(released_upto(&owed(2, &[], Some(3)), upto), Sequence(2));
        assert_eq!(released_upto(&owed(0, &[5, 7], Some(5)), upto), Sequence(4));
        assert_eq!(released_upto(&owed(0, &[], None), upto), upto);
    }
}
