//! The families of a level: of everything, of each run, of each group.

use dataflow_core::stats::time_in_state_ns;
use dataflow_ids::stats::{Counter, EdgeCounters, Level};
use dataflow_ids::{DropReason, LifeCycle};

use super::family::{Family, Number, Reading, Several, bytes, plain, seconds};

/// What every level counts and has.
pub(super) const LEVEL: [Family<Level>; 19] = [
    plain(
        "nodes",
        "How many nodes are in each state",
        Reading::Gauges("state", |level, _| {
            by_state(|state| Number::Whole(level.states[state].get()))
        }),
    ),
    plain(
        "edges",
        "How many edges end in nodes",
        Reading::Gauge(|level, _| Some(Number::Whole(level.edges.get()))),
    ),
    plain(
        "node_transitions",
        "How often the state of nodes has changed",
        Reading::Counter(|level, _| whole(level.transitions)),
    ),
    plain(
        "node_restarts",
        "How often nodes were started again",
        Reading::Counter(|level, _| whole(level.restarts)),
    ),
    seconds(
        "node_state",
        "How long nodes were in each state, all of them together",
        Reading::Counters("state", |level, at_ns| {
            by_state(|state| Number::of_ns(time_in_state_ns(level, state, at_ns)))
        }),
    ),
    seconds(
        "node_cpu",
        "Time of processors that the processes of nodes have used",
        Reading::Counter(|level, _| span(level.cpu_ns)),
    ),
    bytes(
        "node_memory",
        "Resident memory of the processes of nodes",
        Reading::Gauge(|level, _| Some(Number::Whole(level.memory_bytes.get()))),
    ),
    plain(
        "messages_sent",
        "Messages that nodes have sent, once for each edge",
        Reading::Counter(|level, _| whole(level.out.sent)),
    ),
    bytes(
        "sent",
        "Payload that nodes have sent, once for each edge",
        Reading::Counter(|level, _| whole(level.out.bytes)),
    ),
    seconds(
        "send_blocked",
        "How long nodes have waited for room to send, once for each edge",
        Reading::Counter(|level, _| span(level.out.blocked_ns)),
    ),
    plain(
        "messages_delivered",
        "Messages that have reached nodes",
        Reading::Counter(|level, _| whole(level.into.delivered)),
    ),
    plain(
        "messages_released",
        "Messages that nodes need no more",
        Reading::Counter(|level, _| whole(level.into.released)),
    ),
    plain(
        "messages_lost",
        "Messages that nodes held when they died",
        Reading::Counter(|level, _| whole(level.into.lost)),
    ),
    plain(
        "messages_dropped",
        "Messages to nodes that were not delivered",
        Reading::Counters("reason", |level, _| by_reason(&level.into)),
    ),
    plain(
        "messages_queued",
        "Messages that wait for nodes",
        Reading::Gauge(|level, _| Some(Number::Whole(level.gauges.queued.get()))),
    ),
    plain(
        "messages_held",
        "Messages that nodes hold",
        Reading::Gauge(|level, _| Some(Number::Whole(level.gauges.held.get()))),
    ),
    seconds(
        "message_latency",
        "From the beginning of a send until the receiver's program had the message",
        Reading::Histogram(|level| &level.histograms.latency),
    ),
    seconds(
        "message_queue_wait",
        "From a message's place in the queue until the receiver took it",
        Reading::Histogram(|level| &level.histograms.queue_wait),
    ),
    seconds(
        "message_handling",
        "From when the receiver's program had a message until it asked for the next event",
        Reading::Histogram(|level| &level.histograms.handling),
    ),
];

/// What a counter says.
pub(super) fn whole(counter: Counter) -> Number {
    Number::Whole(counter.get())
}

/// What a counter of nanoseconds says.
pub(super) fn span(counter: Counter) -> Number {
    Number::of_ns(u128::from(counter.get()))
}

/// Messages that were not delivered, by why.
pub(super) fn by_reason(counters: &EdgeCounters) -> Several {
    let reasons = DropReason::ALL.iter();
    reasons
        .map(|reason| (reason.as_str(), whole(counters.dropped(*reason))))
        .collect()
}

/// A number for each state.
fn by_state(number: impl Fn(LifeCycle) -> Number) -> Several {
    let states = LifeCycle::ALL.iter();
    states
        .map(|state| (state.as_str(), number(*state)))
        .collect()
}
