//! What is counted of what serves the dataflows: actors, peers, downloads, the pool, and the auditor.

use serde::{Deserialize, Serialize};

use super::list::{ROWS_MAX, at_most};
use super::number::{Counter, Gauge};
use crate::{PeerId, PeerState};

/// All actors of one kind. Each message that was sent is in exactly one of the other four (I-10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRow {
    /// Which kind: `dataflow`, `node`, `scheduler`, `stats`, `peer`, `download`.
    pub actor: String,
    /// How many there are.
    pub actors: Gauge,
    /// Every attempt to send one of them a message.
    pub sent: Counter,
    /// Handlers that returned.
    pub handled: Counter,
    /// Messages given back to their sender.
    pub returned: Counter,
    /// Messages that nobody will handle.
    pub dead_lettered: Counter,
    /// Messages in the queue or in hand.
    pub waiting: Gauge,
    /// How often one of them was built again after a panic.
    pub rebuilt: Counter,
}

impl ActorRow {
    /// The kind of those that watch a peer each. Only an agent has some.
    pub const PEER: &'static str = "peer";
    /// The kind of those that fetch models: of a run, or of an agent for all its dataflows.
    pub const DOWNLOAD: &'static str = "download";

    /// There is none of this kind, and there never was.
    #[must_use]
    pub fn none(actor: &str) -> ActorRow {
        ActorRow {
            actor: actor.to_owned(),
            actors: Gauge::default(),
            sent: Counter::default(),
            handled: Counter::default(),
            returned: Counter::default(),
            dead_lettered: Counter::default(),
            waiting: Gauge::default(),
            rebuilt: Counter::default(),
        }
    }
}

/// A peer at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    /// Its name.
    pub peer: PeerId,
    /// How it stands.
    pub state: PeerState,
    /// Since when.
    pub since_ns: u64,
    /// Why, in one line.
    pub because: String,
    /// How often its state has changed.
    pub transitions: Counter,
    /// How long its last answer took on the network.
    pub round_trip_ns: Option<u64>,
}

/// A download at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadRow {
    /// `acme/tiny-detector@main`.
    pub model: String,
    /// Where it stands, in the words of `dataflow ps`.
    pub state: String,
    /// Bytes that are there.
    pub bytes_done: u64,
    /// Bytes of all its files; 0 until they are known.
    pub bytes_total: u64,
    /// Bytes a second that come in.
    pub bytes_per_second: Option<u64>,
}

/// All downloads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Downloads {
    /// Those that are wanted, at most [`DownloadRow::SHOWN_MAX`] of them.
    #[serde(deserialize_with = "at_most::<ROWS_MAX, _, _>")]
    pub rows: Vec<DownloadRow>,
    /// How many are in progress.
    pub active: Gauge,
    /// How many have become ready.
    pub ready: Counter,
    /// How many have failed.
    pub failed: Counter,
    /// Bytes that came in.
    pub bytes: Counter,
}

impl DownloadRow {
    /// How many downloads are shown one by one.
    pub const SHOWN_MAX: usize = 64;
}

/// The pool of short jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PoolRow {
    /// Jobs that a thread has.
    pub running: Gauge,
    /// Threads that wait for a job.
    pub idle: Gauge,
    /// Jobs that wait for a thread.
    pub queued: Gauge,
    /// Threads that were started.
    pub threads_started: Counter,
    /// Threads that could not be started.
    pub threads_not_started: Counter,
    /// Jobs that have returned.
    pub completed: Counter,
    /// Jobs that have panicked.
    pub panicked: Counter,
    /// Jobs that were given back.
    pub refused: Counter,
}

/// What the auditor has done. It counts members again all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditRow {
    /// Members that were counted again.
    pub recounted: Counter,
    /// Kept sums that were not those of their members. It is 0, or there is a fault in ours (I-13).
    pub mismatches: Counter,
    /// Transitions that were not taken when they were told: the table of the life cycle does not allow them, or others were
    /// missing before them, which is made up for.
    pub refused_transitions: Counter,
}
