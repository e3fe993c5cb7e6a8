//! The families of a level: of everything, of each run, of each group.

use dataflow_core::stats::time_in_state_ns;
use dataflow_ids::LifeCycle;
use dataflow_ids::stats::Level;

use super::carried;
use super::family::{Family, Number, Reading, Several, bytes, plain, seconds, span, whole};

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
    carried::sent("Messages that nodes have sent, once for each edge"),
    carried::sent_bytes("Payload that nodes have sent, once for each edge"),
    carried::blocked("How long nodes have waited for room to send, once for each edge"),
    carried::delivered("Messages that have reached nodes"),
    carried::released("Messages that nodes need no more"),
    carried::lost("Messages that nodes held when they died"),
    carried::dropped("Messages to nodes that were not delivered"),
    carried::queued("Messages that wait for nodes"),
    carried::held("Messages that nodes hold"),
    carried::latency(),
    carried::queue_wait(),
    carried::handling(),
];

/// A number for each state.
fn by_state(number: impl Fn(LifeCycle) -> Number) -> Several {
    let states = LifeCycle::ALL.iter();
    states
        .map(|state| (state.as_str(), number(*state)))
        .collect()
}
