//! What a node waits for, and how people read it: a part of its status.

mod words;

use std::time::Duration;

pub use dataflow_ids::Lacks;
use dataflow_ids::{InputId, LifeCycle, ModelName, NodeId, OutputId, PeerId};
use serde::{Deserialize, Serialize};

use crate::status::ModelState;

/// What a node waits for at one moment. It has one line, which does not name the node itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeWait {
    /// A place where what it requires is left.
    Place {},
    /// The word to start: all nodes are placed first.
    Start {},
    /// Its models.
    Models {
        /// Those that are not there, in the order of the description.
        models: Vec<ModelWait>,
    },
    /// Its library: nothing was heard of it yet.
    Library {},
    /// Its first call of `recv`, `send` or `ready()`.
    FirstCall {},
    /// Room: it cannot send.
    Room {
        /// Whom it waits for, then whom that one waits for, and so on: at least one, at most eight.
        chain: Vec<Blocker>,
        /// How many are left out before the last of them.
        left_out: u64,
        /// Where the last of them stands, on whom all of the others wait.
        state: LifeCycle,
        /// Whether the chain leads back into itself: then nobody in it can go on.
        is_circle: bool,
    },
    /// The end of its own process, which was told to end or has nothing left to read.
    Exit {
        /// For how long its user's code has run without a call into the library, if it said so.
        busy_for: Option<Duration>,
    },
    /// What others owe of its messages: it has ended, and only then is it over.
    Tokens {
        /// Who owes something, in the order of the description.
        owed: Vec<Owed>,
    },
    /// The time of its next start, after a crash.
    Backoff {
        /// How far away that is.
        starts_in: Duration,
    },
    /// A person, who has stopped it.
    Person {},
    /// Its peer, which is lost.
    Peer {
        /// The peer, if the description names one.
        peer: Option<PeerId>,
    },
}

/// A model that a node waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelWait {
    /// Its name in the description.
    pub model: ModelName,
    /// Where it stands.
    pub state: ModelState,
    /// Bytes that are there, of all its files.
    pub bytes_done: u64,
    /// Bytes of all its files; 0 until they are known.
    pub bytes_total: u64,
    /// What it waits for itself, in one line.
    pub because: Option<String>,
}

/// A receiver that keeps a sender from sending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blocker {
    /// The receiver.
    pub node: NodeId,
    /// The receiver's input.
    pub input: InputId,
    /// Whose messages come in there.
    pub source: NodeId,
    /// The sender's output.
    pub output: OutputId,
    /// What the sender lacks.
    pub lacks: Lacks,
    /// Messages that wait in the queue.
    pub queued: u64,
    /// Messages that the receiver holds.
    pub held: u64,
    /// How long ago the oldest message in the queue was sent.
    pub oldest: Option<Duration>,
}

/// A receiver that owes messages of a node that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Owed {
    /// The receiver.
    pub node: NodeId,
    /// The receiver's input.
    pub input: InputId,
    /// The output whose messages they are.
    pub output: OutputId,
    /// How many it holds.
    pub held: u64,
    /// How many wait in its queue.
    pub queued: u64,
}
