//! Any value of how a dataflow stands, and how it ended.

use std::path::PathBuf;

use dataflow_ids::LifeCycle;
use dataflow_wire::status::{
    DataflowStatus, EdgeCounts, EdgeStatus, LogLosses, NodeReport, NodeStatus, Outcome, Phase,
    Report, Waiting, WaitingFor,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::models::model_status;
use super::{
    dataflow_name, duration, edge_id, end, epoch, forcer, input_id, node_id, output_id,
    queue_policy, text, waits,
};

fn edge_counts() -> impl Strategy<Value = EdgeCounts> {
    any::<[u64; 11]>().prop_map(|counts| EdgeCounts {
        sent: counts[0],
        delivered: counts[1],
        released: counts[2],
        lost: counts[3],
        dropped_full: counts[4],
        dropped_receiver_closed: counts[5],
        dropped_memory: counts[6],
        queued: counts[7],
        held: counts[8],
        bytes: counts[9],
        blocked_ns: counts[10],
    })
}

pub(super) fn edge_status() -> impl Strategy<Value = EdgeStatus> {
    (
        (edge_id(), node_id(), output_id(), node_id(), input_id()),
        (queue_policy(), any::<u32>()),
        any::<[bool; 3]>(),
        option::of(text()),
        edge_counts(),
    )
        .prop_map(
            |(
                (edge, source, output, target, input),
                (policy, queue_size),
                [blocked, closed, drained],
                damage,
                counts,
            )| EdgeStatus {
                edge,
                source,
                output,
                target,
                input,
                policy,
                queue_size,
                blocked,
                closed,
                drained,
                damage,
                counts,
            },
        )
}

fn log_losses() -> impl Strategy<Value = LogLosses> {
    (any::<[u64; 4]>(), option::of(text())).prop_map(|(counts, why)| LogLosses {
        lines_thrown_away: counts[0],
        bytes_thrown_away: counts[1],
        lines_unwritten: counts[2],
        bytes_unwritten: counts[3],
        why,
    })
}

pub(super) fn node_status() -> impl Strategy<Value = NodeStatus> {
    (
        (node_id(), select(LifeCycle::ALL.to_vec()), duration()),
        (epoch(), option::of(any::<u32>()), any::<u32>()),
        (any::<u64>(), any::<u64>()),
        (option::of(end()), option::of(text())),
        (vec(waits::node_wait(), 0..3), log_losses()),
    )
        .prop_map(
            |(
                (node, state, state_for),
                (epoch, pid, restarts),
                (sent, delivered),
                (end, because),
                (waits, log),
            )| NodeStatus {
                node,
                state,
                state_for,
                epoch,
                pid,
                restarts,
                sent,
                delivered,
                end,
                because,
                waits,
                log,
            },
        )
}

pub(super) fn waiting() -> impl Strategy<Value = Waiting> {
    let what = prop_oneof![
        Just(WaitingFor::Exit),
        option::of(text()).prop_map(|because| WaitingFor::Ready { because }),
        (node_id(), output_id(), any::<u64>(), any::<u64>()).prop_map(
            |(source, output, held, queued)| WaitingFor::Tokens {
                source,
                output,
                held,
                queued
            }
        ),
    ];
    (
        node_id(),
        option::of(any::<u32>()),
        option::of(duration()),
        what,
    )
        .prop_map(|(node, pid, busy_for, what)| Waiting {
            node,
            pid,
            busy_for,
            what,
        })
}

pub(super) fn dataflow_status() -> impl Strategy<Value = DataflowStatus> {
    let phase = select(vec![
        Phase::Starting,
        Phase::Running,
        Phase::Stopping,
        Phase::Ended,
    ]);
    (
        (dataflow_name(), text(), text(), any::<u32>()),
        (duration(), phase),
        (
            vec(node_status(), 0..4),
            vec(edge_status(), 0..4),
            vec(waiting(), 0..4),
            vec(model_status(), 0..3),
        ),
    )
        .prop_map(
            |((name, run, file, pid), (up_for, phase), (nodes, edges, waiting, models))| {
                DataflowStatus {
                    name,
                    run,
                    file: PathBuf::from(file),
                    pid,
                    up_for,
                    phase,
                    nodes,
                    edges,
                    models,
                    waiting,
                }
            },
        )
}

fn node_report() -> impl Strategy<Value = NodeReport> {
    (
        node_id(),
        end(),
        any::<u32>(),
        vec(text(), 0..4),
        log_losses(),
    )
        .prop_map(|(node, end, restarts, last_lines, log)| NodeReport {
            node,
            end,
            restarts,
            last_lines,
            log,
        })
}

pub(super) fn report() -> impl Strategy<Value = Report> {
    let outcome = select(vec![Outcome::Drained, Outcome::Failed, Outcome::Forced]);
    (
        (dataflow_name(), text(), duration(), option::of(duration())),
        (outcome, text(), option::of(forcer())),
        (vec(node_report(), 0..4), vec(edge_status(), 0..4)),
    )
        .prop_map(
            |((name, run, up_for, stop_took), (outcome, because, forced), (nodes, edges))| Report {
                name,
                run,
                up_for,
                stop_took,
                outcome,
                because,
                forced,
                nodes,
                edges,
            },
        )
}
