//! The control thread: answers the runtime at once, whatever the user's code does.
//!
//! It is the only reader of the control socket. It never runs user code, takes no lock that a user's thread
//! holds while it waits, and, in Python, never takes the GIL: so nothing of the user's can delay an
//! acknowledgement (I-7).

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use dataflow_ids::{EdgeId, Epoch, Sequence};
use dataflow_shm::edge::{EdgeReceiverHandle, Tokens};
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
    pub(crate) receivers: BTreeMap<EdgeId, EdgeReceiverHandle>,
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
    /// The socket ended, or carried what no runtime says.
    Socket,
}

impl Control {
    /// Starts the thread. It is never joined: it lives as long as the socket, and so, in a node, as long as
    /// the process, whose messages may be released at any time.
    pub(crate) fn start(mut self) -> io::Result<()> {
        std::thread::Builder::new()
            .name("dataflow".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let Ended::Socket = self.converse();
                self.shared.set_runtime_gone();
                self.shared.segments.close();
                if let RuntimeLost::KillProcessGroup = self.runtime_lost {
                    // Nothing is left to be done when this fails: the parent's death signal remains.
                    let _ =
                        rustix::process::kill_current_process_group(rustix::process::Signal::KILL);
                }
                self.shared.wake_users();
            })
            .map(drop)
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
            Ok(Received::End) | Err(_) => return Err(Ended::Socket),
        }
        self.handle_frames()
    }

    /// Handles every whole frame that has been read.
    fn handle_frames(&mut self) -> Result<(), Ended> {
        loop {
            match self.reader.next::<ToNode>() {
                Ok(Some((message, descriptors))) => self.handle(message, descriptors),
                Ok(None) => return Ok(()),
                Err(_) => return Err(Ended::Socket),
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
        let Some(receiver) = self.receivers.get(&edge) else {
            return;
        };
        // Armed before it is looked at: a release in between wakes this thread once more than needed.
        receiver.watch(upto);
        self.watched.insert(edge, upto);
        self.acknowledge(edge, upto);
    }

    /// Says what is still owed on an edge; forgets the edge when that is nothing.
    fn acknowledge(&mut self, edge: EdgeId, upto: Sequence) {
        let Some(receiver) = self.receivers.get(&edge) else {
            return;
        };
        let tokens = receiver.tokens(upto);
        if tokens.is_empty() {
            self.watched.remove(&edge);
        }
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
            let Some(receiver) = self.receivers.get(&edge) else {
                continue;
            };
            if receiver.watch(upto) {
                self.acknowledge(edge, upto);
            }
        }
    }
}

/// The highest sequence up to which everything is released, as far as can be said without knowing which
/// messages are queued: they come after all that were taken.
fn released_upto(tokens: &Tokens, upto: Sequence) -> Sequence {
    let owed = match tokens.held.first() {
        Some(held) => held.0,
        None => upto.0.saturating_sub(tokens.queued) + 1,
    };
    Sequence(owed.saturating_sub(1).min(upto.0))
}
