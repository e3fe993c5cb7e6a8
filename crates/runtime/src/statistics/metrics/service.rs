//! The families of what serves the dataflows: the process itself, actors, peers, downloads, the pool, the auditor.

use dataflow_ids::PeerState;
use dataflow_ids::stats::{ActorRow, AuditRow, Downloads, PeerRow, PoolRow};

use super::family::{Family, Number, Reading, bytes, plain, seconds, whole};
use super::rows::Process;

const fn gauge_of(count: u64) -> Option<Number> {
    Some(Number::Whole(count))
}

/// What is known of the process that answers.
pub(super) const PROCESS: [Family<Process>; 4] = [
    seconds(
        "uptime",
        "How long statistics are kept here",
        Reading::Gauge(|process, _| Some(Number::of_ns(process.uptime.as_nanos()))),
    ),
    seconds(
        "control_beat_age",
        "How long ago the control loop gave its last sign of life",
        Reading::Gauge(|process, _| Some(Number::of_ns(process.beat_age.as_nanos()))),
    ),
    seconds(
        "snapshot_age",
        "How long ago the snapshot was published out of which all other figures are read",
        Reading::Gauge(|process, _| Some(Number::of_ns(process.snapshot_age.as_nanos()))),
    ),
    plain(
        "dataflows",
        "How many dataflows run",
        Reading::Gauge(|process, _| gauge_of(process.dataflows)),
    ),
];

/// What is counted of actors, by their kind.
pub(super) const ACTOR: [Family<ActorRow>; 7] = [
    plain(
        "actors",
        "How many actors there are",
        Reading::Gauge(|row, _| gauge_of(row.actors.get())),
    ),
    plain(
        "actor_messages_sent",
        "Every attempt to send an actor a message: each ends as handled, returned or dead-lettered",
        Reading::Counter(|row, _| whole(row.sent)),
    ),
    plain(
        "actor_messages_handled",
        "Messages whose handler returned",
        Reading::Counter(|row, _| whole(row.handled)),
    ),
    plain(
        "actor_messages_returned",
        "Messages that were given back to their sender",
        Reading::Counter(|row, _| whole(row.returned)),
    ),
    plain(
        "actor_messages_dead_lettered",
        "Messages that nobody will handle",
        Reading::Counter(|row, _| whole(row.dead_lettered)),
    ),
    plain(
        "actor_messages_waiting",
        "Messages in the queue of an actor, or in hand",
        Reading::Gauge(|row, _| gauge_of(row.waiting.get())),
    ),
    plain(
        "actor_rebuilds",
        "How often an actor was built again after a panic",
        Reading::Counter(|row, _| whole(row.rebuilt)),
    ),
];

/// What is known of peers.
pub(super) const PEER: [Family<PeerRow>; 4] = [
    plain(
        "peer_state",
        "How a peer stands: 1 at its state, 0 at the others",
        Reading::Gauges("state", |row, _| {
            let states = [
                PeerState::Healthy,
                PeerState::Degraded,
                PeerState::Unreachable,
                PeerState::Rejected,
            ];
            let of =
                |state: PeerState| (state.as_str(), Number::Whole(u64::from(row.state == state)));
            states.map(of).to_vec()
        }),
    ),
    seconds(
        "peer_state_age",
        "How long a peer stands as it does",
        Reading::Gauge(|row, at_ns| {
            Some(Number::of_ns(u128::from(
                at_ns.saturating_sub(row.since_ns),
            )))
        }),
    ),
    plain(
        "peer_transitions",
        "How often the state of a peer has changed",
        Reading::Counter(|row, _| whole(row.transitions)),
    ),
    seconds(
        "peer_round_trip",
        "How long the last answer of a peer took on the network",
        Reading::Gauge(|row, _| Some(Number::of_ns(u128::from(row.round_trip_ns?)))),
    ),
];

/// What is counted of downloads.
pub(super) const DOWNLOADS: [Family<Downloads>; 4] = [
    plain(
        "downloads_active",
        "Downloads of models that are in progress",
        Reading::Gauge(|downloads, _| gauge_of(downloads.active.get())),
    ),
    plain(
        "downloads_ready",
        "Downloads of models that have become ready",
        Reading::Counter(|downloads, _| whole(downloads.ready)),
    ),
    plain(
        "downloads_failed",
        "Downloads of models that have failed",
        Reading::Counter(|downloads, _| whole(downloads.failed)),
    ),
    bytes(
        "downloads_received",
        "Bytes of models that came in",
        Reading::Counter(|downloads, _| whole(downloads.bytes)),
    ),
];

/// What is counted of the pool of short jobs.
pub(super) const POOL: [Family<PoolRow>; 6] = [
    plain(
        "pool_threads",
        "Threads of the pool, by whether they have a job",
        Reading::Gauges("state", |row, _| {
            vec![
                ("running", Number::Whole(row.running.get())),
                ("idle", Number::Whole(row.idle.get())),
            ]
        }),
    ),
    plain(
        "pool_jobs_queued",
        "Jobs that wait for a thread",
        Reading::Gauge(|row, _| gauge_of(row.queued.get())),
    ),
    plain(
        "pool_threads_started",
        "Threads that were started",
        Reading::Counter(|row, _| whole(row.threads_started)),
    ),
    plain(
        "pool_threads_not_started",
        "Threads that could not be started",
        Reading::Counter(|row, _| whole(row.threads_not_started)),
    ),
    plain(
        "pool_jobs_completed",
        "Jobs that have ended, by how",
        Reading::Counters("result", |row, _| {
            vec![
                ("returned", whole(row.completed)),
                ("panicked", whole(row.panicked)),
            ]
        }),
    ),
    plain(
        "pool_jobs_refused",
        "Jobs that were given back",
        Reading::Counter(|row, _| whole(row.refused)),
    ),
];

/// What the auditor has found.
pub(super) const AUDIT: [Family<AuditRow>; 3] = [
    plain(
        "audit_recounted",
        "Members that the auditor has counted again",
        Reading::Counter(|row, _| whole(row.recounted)),
    ),
    plain(
        "audit_mismatches",
        "Kept sums that were not those of their members: 0, or there is a fault in ours",
        Reading::Counter(|row, _| whole(row.mismatches)),
    ),
    plain(
        "audit_refused_transitions",
        "Changes of a node's state that were not taken when they were told: its life cycle does not allow them, or others were missing before them, which is made up for",
        Reading::Counter(|row, _| whole(row.refused_transitions)),
    ),
];
