//! A command's end of the conversation with a running dataflow or an agent: blocking, one request after the other.

mod watcher;

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dataflow_ids::{Forcer, StopMode};
use dataflow_wire::client::{CLIENT_PROTOCOL, ClientReply, ClientRequest, Parts};
use dataflow_wire::frame::{
    self, DecodeError, FrameError, FrameReader, ReceiveError, Received, SendError,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::process::Stat;
use crate::registry::{FoundAgent, FoundRun};

pub use watcher::Watcher;

/// Why a running dataflow could not be talked to.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is nobody at the socket any more.
    #[error("{name} (pid {pid}) does not answer: {source}")]
    Unreachable {
        /// The dataflow, or the agent.
        name: String,
        /// The process that should be there.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The runtime refuses, and says why.
    #[error("the runtime refuses: {reason}")]
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// The runtime's process ended in the middle of the conversation.
    #[error("the runtime ended before it answered: `dataflow logs` tells what it had said")]
    Ended,
    /// The request could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The answer could not be received.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// The answer is no message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The parts of an answer make none.
    #[error(transparent)]
    Parts(#[from] DecodeError),
    /// The runtime answered with something else than the request asks for.
    #[error(
        "the runtime gave an answer that does not belong to the question: it is of another version"
    )]
    Unexpected,
}

/// After this long without an answer, it is looked what the runtime's process does, and again after as long.
const SILENCE: Duration = Duration::from_secs(1);

/// The runtime says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Its process.
    pub pid: u32,
    /// What the kernel says that it does: `R`, `S`, `T` when it is stopped, as in `/proc/PID/stat`. `None` when it
    /// is gone.
    pub state: Option<char>,
}

impl Silence {
    /// What the process does at this moment.
    pub fn of(pid: u32) -> Silence {
        Silence {
            pid,
            state: Stat::of(pid).map(|stat| stat.state),
        }
    }

    /// Whether a signal or a debugger has stopped it: then it says nothing before it is continued.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, Some('T' | 't'))
    }
}

/// Hears that a runtime says nothing.
pub type OnSilence = Box<dyn FnMut(&Silence) + Send>;

/// Whether an answer is due at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    AtOnce,
    /// When there is something to say.
    Sometime,
}

/// A connection to a running dataflow, or to an agent.
pub struct Client {
    stream: UnixStream,
    reader: FrameReader,
    parts: Parts,
    pid: u32,
    is_agent: bool,
    on_silence: OnSilence,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects, and compares the versions.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreachable`] when the run has just ended, [`ClientError::Refused`] when it is of another
    /// version or another user's.
    pub fn connect(run: &FoundRun) -> Result<Client, ClientError> {
        Client::connect_and_hear(run, Box::new(|_| {}))
    }

    /// As [`Client::connect`]. `on_silence` is called, again and again, while the runtime does not answer what it
    /// answers at once, or is stopped while more is waited for. It is waited for all the same.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub fn connect_and_hear(run: &FoundRun, on_silence: OnSilence) -> Result<Client, ClientError> {
        let name = format!("`{}`", run.name);
        Client::hello(run.connect(), name, run.pid, on_silence)
    }

    /// Connects to an agent; otherwise as [`Client::connect_and_hear`].
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub fn connect_to_agent(
        agent: &FoundAgent,
        on_silence: OnSilence,
    ) -> Result<Client, ClientError> {
        let name = format!("the agent `{}`", agent.this);
        Client::hello(agent.connect(), name, agent.pid, on_silence)
    }

    fn hello(
        connected: io::Result<UnixStream>,
        name: String,
        pid: u32,
        on_silence: OnSilence,
    ) -> Result<Client, ClientError> {
        let stream = connected.map_err(|source| ClientError::Unreachable { name, pid, source })?;
        Client::over(stream, pid, on_silence)
    }

    /// Says hello over a connection.
    pub(crate) fn over(
        stream: UnixStream,
        pid: u32,
        on_silence: OnSilence,
    ) -> Result<Client, ClientError> {
        let mut client = Client {
            stream,
            reader: FrameReader::new(),
            parts: Parts::default(),
            pid,
            is_agent: false,
            on_silence,
        };
        let protocol = CLIENT_PROTOCOL;
        match client.request(&ClientRequest::Hello { protocol })? {
            ClientReply::Welcome {
                protocol,
                pid,
                is_agent,
            } if protocol == CLIENT_PROTOCOL => {
                client.pid = pid;
                client.is_agent = is_agent;
                Ok(client)
            }
            ClientReply::Welcome { protocol, .. } => Err(ClientError::Refused {
                reason: format!(
                    "it speaks version {protocol} of this conversation and this command speaks \
                     {CLIENT_PROTOCOL}: use the `dataflow` that started it"
                ),
            }),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Whether the process is an agent's: it lives on when a dataflow has ended.
    pub fn is_agent(&self) -> bool {
        self.is_agent
    }

    /// To stop from another thread what this conversation runs, while this one listens.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn hosted_controls(&self) -> io::Result<HostedControls> {
        Ok(HostedControls {
            stream: Arc::new(Mutex::new(self.stream.try_clone()?)),
        })
    }

    /// The runtime's process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks, and waits for the first answer. `Stop` and `Follow` are answered by more: see [`Client::replies`].
    ///
    /// # Errors
    ///
    /// [`ClientError`] when the runtime refuses, ends, or says something that is no answer.
    pub fn request(&mut self, request: &ClientRequest) -> Result<ClientReply, ClientError> {
        self.send(request)?;
        self.wait_for_reply(Due::AtOnce)
    }

    /// Asks, and does not wait.
    ///
    /// # Errors
    ///
    /// [`ClientError::Send`] when the runtime has ended.
    pub fn send(&mut self, request: &ClientRequest) -> Result<(), ClientError> {
        Ok(frame::send(&self.stream, request, &[])?)
    }

    /// Waits for the next answer.
    ///
    /// # Errors
    ///
    /// As [`Client::request`].
    pub fn next_reply(&mut self) -> Result<ClientReply, ClientError> {
        self.wait_for_reply(Due::Sometime)
    }

    /// Waits until the socket has something to read.
    fn listen(&mut self, due: Due) {
        let timeout = Timespec {
            tv_sec: SILENCE.as_secs() as i64,
            tv_nsec: 0,
        };
        loop {
            let mut there = [PollFd::new(&self.stream, PollFlags::IN)];
            // What goes wrong here goes wrong when it is read, too.
            if poll(&mut there, Some(&timeout)) != Ok(0) {
                return;
            }
            let silence = Silence::of(self.pid);
            if due == Due::AtOnce || silence.is_stopped() {
                (self.on_silence)(&silence);
            }
        }
    }

    fn wait_for_reply(&mut self, due: Due) -> Result<ClientReply, ClientError> {
        let mut ended = false;
        loop {
            if let Some((reply, _)) = self.reader.next::<ClientReply>()? {
                match self.parts.take(reply)? {
                    Some(ClientReply::Refused { reason }) => {
                        return Err(ClientError::Refused { reason });
                    }
                    Some(reply) => return Ok(reply),
                    None => continue,
                }
            }
            if ended {
                return Err(ClientError::Ended);
            }
            self.listen(due);
            ended = self.reader.receive(&self.stream)? == Received::End;
        }
    }

    /// The answers that follow a `Stop` or a `Follow`, up to and including `Ended`.
    pub fn replies(&mut self) -> Replies<'_> {
        Replies {
            client: self,
            over: false,
        }
    }
}

/// Steers a dataflow that an agent runs for this command, from any thread.
#[derive(Debug, Clone)]
pub struct HostedControls {
    stream: Arc<Mutex<UnixStream>>,
}

impl HostedControls {
    /// As [`Controls::stop`](crate::Controls::stop).
    pub fn stop(&self, mode: StopMode, force_after: Option<Duration>) {
        self.send(&ClientRequest::Stop { mode, force_after });
    }

    /// As [`Controls::force`](crate::Controls::force).
    pub fn force(&self, by: Forcer) {
        self.send(&ClientRequest::Force { by });
    }

    /// Ends the conversation, for one that has waited long enough: the agent does what it was asked when it can.
    pub fn leave(&self) {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        // One that has ended needs no end.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }

    fn send(&self, request: &ClientRequest) {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        // An agent that has gone has taken its dataflows with it; who listens learns that.
        let _ = frame::send(&*stream, request, &[]);
    }
}

/// The stream of answers of a [`Client`].
#[derive(Debug)]
pub struct Replies<'a> {
    client: &'a mut Client,
    over: bool,
}

impl Iterator for Replies<'_> {
    type Item = Result<ClientReply, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let reply = self.client.next_reply();
        self.over = !matches!(&reply, Ok(reply) if !matches!(reply, ClientReply::Ended(_)));
        Some(reply)
    }
}
