//! Any statistics, and any change of them.

use dataflow_ids::stats::{
    ActorRow, AuditRow, Counter, DataflowRow, Delta, DownloadRow, Downloads, EdgeCounters,
    EdgeGauges, EdgeHistograms, EdgeKey, EdgeRow, Gauge, GroupRow, HISTOGRAM_BUCKETS, Histogram,
    Keeper, Level, NodeKey, NodeNumbers, NodeRow, PeerRow, PoolRow, ProcessNumbers, Retired,
    RunNumber, StatesNs, Statistics,
};
use dataflow_ids::{Lacks, LifeCycle, NodeIndex, PeerId, PeerState, QueuePolicy};
use dataflow_wire::client::{ClientReply, ClientRequest};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{dataflow_name, duration, edge_id, epoch, input_id, name, node_id, output_id, text};

fn counter() -> impl Strategy<Value = Counter> {
    any::<u64>().prop_map(Counter::new)
}

fn gauge() -> impl Strategy<Value = Gauge> {
    any::<u64>().prop_map(Gauge::new)
}

fn counters() -> impl Strategy<Value = EdgeCounters> {
    prop::array::uniform9(counter()).prop_map(|each| EdgeCounters {
        sent: each[0],
        delivered: each[1],
        released: each[2],
        lost: each[3],
        dropped_full: each[4],
        dropped_receiver_closed: each[5],
        dropped_memory: each[6],
        bytes: each[7],
        blocked_ns: each[8],
    })
}

fn gauges() -> impl Strategy<Value = EdgeGauges> {
    (gauge(), gauge(), gauge()).prop_map(|(queued, held, blocked)| EdgeGauges {
        queued,
        held,
        blocked,
    })
}

fn histogram() -> impl Strategy<Value = Histogram> {
    let counts = vec((0..HISTOGRAM_BUCKETS, any::<u64>()), 0..5);
    (counts, any::<u64>()).prop_map(|(counts, sum_ns)| {
        let mut buckets = [0; HISTOGRAM_BUCKETS];
        for (bucket, count) in counts {
            buckets[bucket] = count;
        }
        Histogram { buckets, sum_ns }
    })
}

fn histograms() -> impl Strategy<Value = EdgeHistograms> {
    (histogram(), histogram(), histogram()).prop_map(|(latency, queue_wait, handling)| {
        EdgeHistograms {
            latency,
            queue_wait,
            handling,
        }
    })
}

fn times() -> impl Strategy<Value = StatesNs<u128>> {
    vec(any::<u128>(), LifeCycle::ALL.len()).prop_map(|each| {
        let mut times = StatesNs::default();
        for (state, time) in LifeCycle::ALL.into_iter().zip(each) {
            times[state] = time;
        }
        times
    })
}

fn retired() -> impl Strategy<Value = Retired> {
    let numbers = prop::array::uniform4(counter());
    (numbers, times(), counters(), counters(), histograms()).prop_map(
        |(numbers, time_in_state_ns, out, into, histograms)| Retired {
            nodes: numbers[0],
            transitions: numbers[1],
            restarts: numbers[2],
            time_in_state_ns,
            out,
            into,
            cpu_ns: numbers[3],
            histograms,
        },
    )
}

fn level() -> impl Strategy<Value = Level> {
    let states = vec(gauge(), LifeCycle::ALL.len());
    let numbers = (
        prop::array::uniform3(gauge()),
        prop::array::uniform3(counter()),
    );
    let traffic = (counters(), counters(), gauges());
    (
        states,
        numbers,
        times(),
        times(),
        traffic,
        histograms(),
        retired(),
    )
        .prop_map(
            |(
                each,
                (gauges, counters),
                time_in_state_ns,
                since_ns,
                traffic,
                histograms,
                retired,
            )| {
                let mut level = Level {
                    nodes: gauges[0],
                    edges: gauges[1],
                    memory_bytes: gauges[2],
                    transitions: counters[0],
                    restarts: counters[1],
                    cpu_ns: counters[2],
                    time_in_state_ns,
                    since_ns,
                    out: traffic.0,
                    into: traffic.1,
                    gauges: traffic.2,
                    histograms,
                    retired,
                    ..Level::default()
                };
                for (state, gauge) in LifeCycle::ALL.into_iter().zip(each) {
                    level.states[state] = gauge;
                }
                level
            },
        )
}

fn peer_id() -> impl Strategy<Value = PeerId> {
    name().prop_map(|name| PeerId::new(name).unwrap())
}

fn run_number() -> impl Strategy<Value = RunNumber> {
    any::<u64>().prop_map(RunNumber)
}

fn dataflow() -> impl Strategy<Value = DataflowRow> {
    let who = (run_number(), peer_id(), text(), dataflow_name());
    (who, any::<u64>(), level()).prop_map(|((number, peer, run, name), added_ns, level)| {
        DataflowRow {
            number,
            peer,
            run,
            name,
            added_ns,
            level,
        }
    })
}

fn group() -> impl Strategy<Value = GroupRow> {
    (option::of(node_id()), level()).prop_map(|(name, level)| GroupRow { name, level })
}

fn node_key() -> impl Strategy<Value = NodeKey> {
    (run_number(), any::<u32>()).prop_map(|(run, node)| NodeKey {
        run,
        node: NodeIndex(node),
    })
}

fn node() -> impl Strategy<Value = NodeRow> {
    let times = vec(any::<u64>(), LifeCycle::ALL.len());
    let numbers = (
        prop::array::uniform4(any::<u64>()),
        prop::array::uniform3(counter()),
    );
    let who = (
        node_key(),
        node_id(),
        option::of(any::<u32>()),
        option::of(any::<u64>()),
    );
    let state = (epoch(), select(LifeCycle::ALL.to_vec()), gauge());
    (who, numbers, state, times, counters(), counters()).prop_map(
        |(who, (numbers, counted), (epoch, state, memory_bytes), times, out, into)| {
            let mut time_in_state_ns = StatesNs::default();
            for (state, time) in LifeCycle::ALL.into_iter().zip(times) {
                time_in_state_ns[state] = time;
            }
            let numbers = NodeNumbers {
                sequence: numbers[0],
                added_revision: numbers[1],
                epoch,
                state,
                added_ns: numbers[2],
                since_ns: numbers[3],
                time_in_state_ns,
                transitions: counted[0],
                restarts: counted[1],
                out,
                into,
                process: ProcessNumbers {
                    cpu_ns: counted[2],
                    memory_bytes,
                    read_at_ns: who.3,
                },
            };
            NodeRow {
                key: who.0,
                name: who.1,
                pid: who.2,
                numbers,
            }
        },
    )
}

fn edge_key() -> impl Strategy<Value = EdgeKey> {
    (run_number(), edge_id()).prop_map(|(run, edge)| EdgeKey { run, edge })
}

fn edge() -> impl Strategy<Value = EdgeRow> {
    let ends = (any::<u32>(), output_id(), any::<u32>(), input_id());
    let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), any::<bool>());
    let policy = select(vec![
        QueuePolicy::DropOldest,
        QueuePolicy::Latest,
        QueuePolicy::Block,
    ]);
    let waits = (
        option::of(any::<u64>()),
        option::of(select(Lacks::ALL.to_vec())),
    );
    (
        edge_key(),
        ends,
        numbers,
        policy,
        waits,
        counters(),
        gauges(),
        histograms(),
    )
        .prop_map(
            |(key, ends, numbers, policy, waits, counters, gauges, histograms)| EdgeRow {
                key,
                sequence: numbers.0,
                added_revision: numbers.1,
                source: NodeIndex(ends.0),
                output: ends.1,
                target: NodeIndex(ends.2),
                input: ends.3,
                policy,
                queue_size: numbers.2,
                counters,
                gauges,
                oldest_ns: waits.0,
                lacks: waits.1,
                is_closed: numbers.3,
                histograms: Box::new(histograms),
            },
        )
}

fn actor() -> impl Strategy<Value = ActorRow> {
    let numbers = prop::array::uniform5(counter());
    (text(), numbers, gauge(), gauge()).prop_map(|(actor, numbers, actors, waiting)| ActorRow {
        actor,
        actors,
        sent: numbers[0],
        handled: numbers[1],
        returned: numbers[2],
        dead_lettered: numbers[3],
        waiting,
        rebuilt: numbers[4],
    })
}

fn peer() -> impl Strategy<Value = PeerRow> {
    let state = select(vec![
        PeerState::Healthy,
        PeerState::Degraded,
        PeerState::Unreachable,
        PeerState::Rejected,
    ]);
    let numbers = (any::<u64>(), counter(), option::of(any::<u64>()));
    (peer_id(), state, text(), numbers).prop_map(|(peer, state, because, numbers)| PeerRow {
        peer,
        state,
        since_ns: numbers.0,
        because,
        transitions: numbers.1,
        round_trip_ns: numbers.2,
    })
}

fn downloads() -> impl Strategy<Value = Downloads> {
    let numbers = (any::<u64>(), any::<u64>(), option::of(any::<u64>()));
    let row = (text(), text(), numbers).prop_map(|(model, state, numbers)| DownloadRow {
        model,
        state,
        bytes_done: numbers.0,
        bytes_total: numbers.1,
        bytes_per_second: numbers.2,
    });
    let counted = prop::array::uniform3(counter());
    (vec(row, 0..3), gauge(), counted).prop_map(|(rows, active, counted)| Downloads {
        rows,
        active,
        ready: counted[0],
        failed: counted[1],
        bytes: counted[2],
    })
}

fn pool() -> impl Strategy<Value = PoolRow> {
    let gauges = prop::array::uniform3(gauge());
    (gauges, prop::array::uniform5(counter())).prop_map(|(gauges, counters)| PoolRow {
        running: gauges[0],
        idle: gauges[1],
        queued: gauges[2],
        threads_started: counters[0],
        threads_not_started: counters[1],
        completed: counters[2],
        panicked: counters[3],
        refused: counters[4],
    })
}

fn audit() -> impl Strategy<Value = AuditRow> {
    prop::array::uniform3(counter()).prop_map(|numbers| AuditRow {
        recounted: numbers[0],
        mismatches: numbers[1],
        refused_transitions: numbers[2],
    })
}

fn statistics() -> impl Strategy<Value = Statistics> {
    let when = (any::<u64>(), any::<u64>(), any::<u64>());
    let levels = (level(), vec(dataflow(), 0..3), vec(group(), 0..3));
    let members = (vec(node(), 0..3), vec(edge(), 0..3));
    let actors = (vec(actor(), 0..3), vec(peer(), 0..3));
    let others = (downloads(), option::of(pool()), audit());
    (when, levels, members, actors, others).prop_map(|(when, levels, members, actors, others)| {
        Statistics {
            keeper: Keeper(when.0),
            revision: when.1,
            at_ns: when.2,
            total: levels.0,
            dataflows: levels.1,
            groups: levels.2,
            nodes: members.0,
            edges: members.1,
            actors: actors.0,
            peers: actors.1,
            downloads: others.0,
            pool: others.1,
            audit: others.2,
        }
    })
}

fn delta() -> impl Strategy<Value = Delta> {
    let which = prop::array::uniform5(any::<bool>());
    let gone = (
        vec(run_number(), 0..3),
        vec(node_key(), 0..3),
        vec(edge_key(), 0..3),
    );
    (statistics(), any::<u64>(), which, gone).prop_map(|(now, from, which, gone)| Delta {
        keeper: now.keeper,
        from,
        to: now.revision,
        at_ns: now.at_ns,
        total: which[0].then_some(Box::new(now.total)),
        dataflows: now.dataflows,
        dataflows_gone: gone.0,
        groups: now.groups,
        nodes: now.nodes,
        nodes_gone: gone.1,
        edges: now.edges,
        edges_gone: gone.2,
        actors: which[1].then_some(now.actors),
        peers: which[2].then_some(now.peers),
        downloads: which[3].then_some(now.downloads),
        pool: now.pool,
        audit: which[4].then_some(now.audit),
    })
}

pub(super) fn requests() -> impl Strategy<Value = ClientRequest> {
    duration().prop_map(|every| ClientRequest::Watch { every })
}

pub(super) fn replies() -> impl Strategy<Value = ClientReply> {
    prop_oneof![
        statistics().prop_map(|all| ClientReply::Statistics(Box::new(all))),
        delta().prop_map(|delta| ClientReply::StatisticsDelta(Box::new(delta))),
    ]
}
