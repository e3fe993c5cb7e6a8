//! The figures of what serves the dataflows: actors, peers, downloads, the pool, the auditor.

use dataflow_descriptor::harmless_text;
use dataflow_ids::PeerState;
use dataflow_ids::stats::{ActorRow, AuditRow, DownloadRow, Downloads, PeerRow, PoolRow};
use serde::Serialize;

use super::span::{Known, seconds};

/// A text from another process, for one line of a terminal.
pub(super) fn line(text: &str) -> String {
    harmless_text(text)
}

/// The figures of all actors of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::top) struct ActorFigures {
    /// Which kind.
    pub(in crate::top) actor: String,
    /// How many there are.
    pub(in crate::top) actors: u64,
    /// Every attempt to send one of them a message.
    pub(in crate::top) sent: u64,
    /// Messages that were handled.
    pub(in crate::top) handled: u64,
    /// And how many in a second.
    pub(in crate::top) handled_per_s: Option<f64>,
    /// Messages in the queue or in hand.
    pub(in crate::top) waiting: u64,
    /// Messages given back to their sender.
    pub(in crate::top) returned: u64,
    /// Messages that nobody will handle.
    pub(in crate::top) dead_lettered: u64,
    /// How often one of them was built again after a panic.
    pub(in crate::top) rebuilt: u64,
}

impl ActorFigures {
    pub(super) fn of(known: &Known<'_>, row: &ActorRow) -> ActorFigures {
        let before = known.for_rates.and_then(|statistics| {
            let mut rows = statistics.actors.iter();
            rows.find(|before| before.actor == row.actor)
        });
        ActorFigures {
            actor: line(&row.actor),
            actors: row.actors.get(),
            sent: row.sent.get(),
            handled: row.handled.get(),
            handled_per_s: known.rate(before.map(|before| before.handled), row.handled),
            waiting: row.waiting.get(),
            returned: row.returned.get(),
            dead_lettered: row.dead_lettered.get(),
            rebuilt: row.rebuilt.get(),
        }
    }
}

/// The figures of a peer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::top) struct PeerFigures {
    /// Its name.
    pub(in crate::top) peer: String,
    /// How it stands.
    pub(in crate::top) state: PeerState,
    /// For how long, in seconds.
    pub(in crate::top) state_for_s: f64,
    /// How long its last answer took on the network, in seconds.
    pub(in crate::top) round_trip_s: Option<f64>,
    /// How often its state has changed.
    pub(in crate::top) transitions: u64,
    /// Why, in one line.
    pub(in crate::top) because: String,
}

impl PeerFigures {
    pub(super) fn of(known: &Known<'_>, row: &PeerRow) -> PeerFigures {
        PeerFigures {
            peer: row.peer.to_string(),
            state: row.state,
            state_for_s: known.since_s(row.since_ns),
            round_trip_s: row.round_trip_ns.map(seconds),
            transitions: row.transitions.get(),
            because: line(&row.because),
        }
    }
}

/// The figures of a download.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::top) struct DownloadFigures {
    /// `acme/tiny-detector@main`.
    pub(in crate::top) model: String,
    /// Where it stands.
    pub(in crate::top) state: String,
    /// Bytes that are there.
    pub(in crate::top) bytes_done: u64,
    /// Bytes of all its files; 0 until they are known.
    pub(in crate::top) bytes_total: u64,
    /// Bytes a second that come in.
    pub(in crate::top) bytes_per_s: Option<u64>,
}

impl From<&DownloadRow> for DownloadFigures {
    fn from(row: &DownloadRow) -> DownloadFigures {
        DownloadFigures {
            model: line(&row.model),
            state: line(&row.state),
            bytes_done: row.bytes_done,
            bytes_total: row.bytes_total,
            bytes_per_s: row.bytes_per_second,
        }
    }
}

/// The figures of all downloads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::top) struct DownloadsFigures {
    /// Those that are wanted: some of them, when there are very many.
    pub(in crate::top) models: Vec<DownloadFigures>,
    /// How many are in progress.
    pub(in crate::top) active: u64,
    /// How many have become ready.
    pub(in crate::top) ready: u64,
    /// How many have failed.
    pub(in crate::top) failed: u64,
    /// Bytes that came in.
    pub(in crate::top) bytes: u64,
    /// And how many in a second.
    pub(in crate::top) bytes_per_s: Option<f64>,
}

impl DownloadsFigures {
    pub(super) fn of(known: &Known<'_>, downloads: &Downloads) -> DownloadsFigures {
        let before = known.for_rates.map(|before| before.downloads.bytes);
        DownloadsFigures {
            models: downloads.rows.iter().map(Into::into).collect(),
            active: downloads.active.get(),
            ready: downloads.ready.get(),
            failed: downloads.failed.get(),
            bytes: downloads.bytes.get(),
            bytes_per_s: known.rate(before, downloads.bytes),
        }
    }
}

/// The figures of the pool of short jobs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::top) struct PoolFigures {
    /// Jobs that a thread has.
    pub(in crate::top) running: u64,
    /// Threads that wait for a job.
    pub(in crate::top) idle: u64,
    /// Jobs that wait for a thread.
    pub(in crate::top) queued: u64,
    /// Jobs that have returned.
    pub(in crate::top) completed: u64,
    /// And how many in a second.
    pub(in crate::top) completed_per_s: Option<f64>,
    /// Jobs that have panicked.
    pub(in crate::top) panicked: u64,
    /// Jobs that were given back.
    pub(in crate::top) refused: u64,
    /// Threads that were started.
    pub(in crate::top) threads_started: u64,
    /// Threads that could not be started.
    pub(in crate::top) threads_not_started: u64,
}

impl PoolFigures {
    pub(super) fn of(known: &Known<'_>, row: &PoolRow) -> PoolFigures {
        let before = known.for_rates.and_then(|before| before.pool);
        PoolFigures {
            running: row.running.get(),
            idle: row.idle.get(),
            queued: row.queued.get(),
            completed: row.completed.get(),
            completed_per_s: known.rate(before.map(|before| before.completed), row.completed),
            panicked: row.panicked.get(),
            refused: row.refused.get(),
            threads_started: row.threads_started.get(),
            threads_not_started: row.threads_not_started.get(),
        }
    }
}

/// What the auditor has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(in crate::top) struct AuditFigures {
    /// Members that were counted again.
    pub(in crate::top) recounted: u64,
    /// Kept sums that were not those of their members.
    pub(in crate::top) mismatches: u64,
    /// Transitions that the life cycle does not allow.
    pub(in crate::top) refused_transitions: u64,
}

impl From<&AuditRow> for AuditFigures {
    fn from(row: &AuditRow) -> AuditFigures {
        AuditFigures {
            recounted: row.recounted.get(),
            mismatches: row.mismatches.get(),
            refused_transitions: row.refused_transitions.get(),
        }
    }
}
