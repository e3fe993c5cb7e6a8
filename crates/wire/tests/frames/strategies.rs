//! Any value of every message type.

mod agent;
mod statistics;
mod waits;

use std::path::PathBuf;
use std::time::Duration;

use dataflow_ids::{
    DataflowName, EdgeId, End, Epoch, Forcer, InputId, LifeCycle, ModelName, NodeId, NodeIndex,
    OutputId, QueuePolicy, RepoKind, SegmentId, Sequence, StopMode,
};
use dataflow_wire::client::{ClientReply, ClientRequest, NodeRefusal};
use dataflow_wire::node::{EdgeGrant, EdgeRole, TimerSpec, ToNode, ToRuntime, Welcome};
use dataflow_wire::status::{
    DataflowStatus, EdgeCounts, EdgeStatus, LogLosses, ModelFailure, ModelFile, ModelState,
    ModelStatus, ModelView, NodeReport, NodeStatus, Outcome, Phase, Report, Waiting, WaitingFor,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn name() -> impl Strategy<Value = String> {
    let first = select(b"abcXYZ019_".to_vec());
    let rest = vec(select(b"abcXYZ019_-.".to_vec()), 0..63);
    (first, rest).prop_map(|(first, rest)| {
        let mut name = char::from(first).to_string();
        name.extend(rest.into_iter().map(char::from));
        name
    })
}

fn node_id() -> impl Strategy<Value = NodeId> {
    name().prop_map(|name| NodeId::new(name).unwrap())
}

fn output_id() -> impl Strategy<Value = OutputId> {
    name().prop_map(|name| OutputId::new(name).unwrap())
}

fn input_id() -> impl Strategy<Value = InputId> {
    name().prop_map(|name| InputId::new(name).unwrap())
}

fn dataflow_name() -> impl Strategy<Value = DataflowName> {
    name().prop_map(|name| DataflowName::new(name).unwrap())
}

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..40).prop_map(|characters| characters.into_iter().collect())
}

fn duration() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0..1_000_000_000u32).prop_map(|(seconds, ns)| Duration::new(seconds, ns))
}

fn edge_id() -> impl Strategy<Value = EdgeId> {
    any::<u32>().prop_map(EdgeId)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    any::<u32>().prop_map(Epoch)
}

fn sequence() -> impl Strategy<Value = Sequence> {
    any::<u64>().prop_map(Sequence)
}

fn segment_id() -> impl Strategy<Value = SegmentId> {
    (any::<u32>(), epoch(), any::<u32>()).prop_map(|(node, epoch, number)| SegmentId {
        node: NodeIndex(node),
        epoch,
        number,
    })
}

fn queue_policy() -> impl Strategy<Value = QueuePolicy> {
    select(vec![
        QueuePolicy::DropOldest,
        QueuePolicy::Latest,
        QueuePolicy::Block,
    ])
}

fn stop_mode() -> impl Strategy<Value = StopMode> {
    select(vec![StopMode::Graceful, StopMode::Now])
}

fn forcer() -> impl Strategy<Value = Forcer> {
    select(vec![
        Forcer::DownForce,
        Forcer::SecondInterrupt,
        Forcer::ForceAfter,
        Forcer::StopForce,
        Forcer::RestartForce,
    ])
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Drained),
        forcer().prop_map(|by| End::Forced { by }),
        text().prop_map(|how| End::Crashed { how }),
    ]
}

pub(crate) fn to_runtime() -> impl Strategy<Value = ToRuntime> {
    prop_oneof![
        (any::<u32>(), text(), any::<u32>()).prop_map(|(protocol, library, pid)| {
            ToRuntime::Hello {
                protocol,
                library,
                pid,
            }
        }),
        Just(ToRuntime::Ready),
        Just(ToRuntime::Running),
        (segment_id(), any::<u64>())
            .prop_map(|(segment, length)| ToRuntime::SegmentCreated { segment, length }),
        segment_id().prop_map(|segment| ToRuntime::SegmentRetired { segment }),
        segment_id().prop_map(|segment| ToRuntime::SegmentUnmapped { segment }),
        (
            edge_id(),
            epoch(),
            sequence(),
            any::<u64>(),
            vec(sequence(), 0..20),
            duration()
        )
            .prop_map(|(edge, epoch, released_upto, queued, held, busy_for)| {
                ToRuntime::ReleaseAck {
                    edge,
                    epoch,
                    released_upto,
                    queued,
                    held,
                    busy_for,
                }
            }),
        Just(ToRuntime::StopDelivered),
        (edge_id(), text()).prop_map(|(edge, what)| ToRuntime::EdgeDamaged { edge, what }),
        text().prop_map(|text| ToRuntime::Warning { text }),
    ]
}

fn timer() -> impl Strategy<Value = TimerSpec> {
    (input_id(), duration()).prop_map(|(input, period)| TimerSpec { input, period })
}

fn welcome() -> impl Strategy<Value = Welcome> {
    (
        (any::<u32>(), dataflow_name(), text(), node_id()),
        (any::<u32>(), epoch()),
        (vec(output_id(), 0..4), vec(timer(), 0..4)),
        (any::<u32>(), any::<u64>()),
    )
        .prop_map(
            |(
                (protocol, dataflow, run, node),
                (index, epoch),
                (outputs, timers),
                (edges, output_memory_bytes),
            )| Welcome {
                protocol,
                dataflow,
                run,
                node,
                index: NodeIndex(index),
                epoch,
                outputs,
                timers,
                edges,
                output_memory_bytes,
            },
        )
}

fn edge_role() -> impl Strategy<Value = EdgeRole> {
    prop_oneof![
        output_id().prop_map(|output| EdgeRole::Sender { output }),
        (input_id(), duration()).prop_map(|(input, spin)| EdgeRole::Receiver { input, spin }),
    ]
}

fn edge_grant() -> impl Strategy<Value = EdgeGrant> {
    (
        (edge_id(), edge_role(), node_id(), any::<u32>()),
        (output_id(), node_id(), input_id(), queue_policy()),
        (any::<u32>(), any::<u32>(), any::<u64>()),
    )
        .prop_map(
            |(
                (edge, role, source, source_index),
                (output, target, input, policy),
                (queue_size, held_max, held_bytes_max),
            )| EdgeGrant {
                edge,
                role,
                source,
                source_index: NodeIndex(source_index),
                output,
                target,
                input,
                policy,
                queue_size,
                held_max,
                held_bytes_max,
            },
        )
}

pub(crate) fn to_node() -> impl Strategy<Value = ToNode> {
    prop_oneof![
        welcome().prop_map(ToNode::Welcome),
        text().prop_map(|reason| ToNode::Refused { reason }),
        edge_grant().prop_map(ToNode::Edge),
        Just(ToNode::Begin),
        (segment_id(), any::<u64>())
            .prop_map(|(segment, length)| ToNode::Segment { segment, length }),
        segment_id().prop_map(|segment| ToNode::SegmentRetire { segment }),
        segment_id().prop_map(|segment| ToNode::SegmentsComplete {
            sender: segment.node,
            epoch: segment.epoch,
        }),
        (edge_id(), epoch(), sequence(), any::<u32>()).prop_map(|(edge, epoch, upto, attempt)| {
            ToNode::ReleaseRequest {
                edge,
                epoch,
                upto,
                attempt,
            }
        }),
        (stop_mode(), vec((edge_id(), sequence()), 0..8))
            .prop_map(|(mode, upto)| ToNode::Stop { mode, upto }),
    ]
}

pub(crate) fn client_request() -> impl Strategy<Value = ClientRequest> {
    prop_oneof![
        any::<u32>().prop_map(|protocol| ClientRequest::Hello { protocol }),
        Just(ClientRequest::Status),
        (stop_mode(), option::of(duration()))
            .prop_map(|(mode, force_after)| ClientRequest::Stop { mode, force_after }),
        forcer().prop_map(|by| ClientRequest::Force { by }),
        Just(ClientRequest::Follow),
        (node_id(), option::of(forcer()))
            .prop_map(|(node, kill)| ClientRequest::StopNode { node, kill }),
        (node_id(), option::of(forcer()))
            .prop_map(|(node, kill)| ClientRequest::RestartNode { node, kill }),
        agent::requests(),
        statistics::requests(),
    ]
}

fn node_refusal() -> impl Strategy<Value = NodeRefusal> {
    prop_oneof![
        vec(node_id(), 0..4).prop_map(|known| NodeRefusal::Unknown { known }),
        Just(NodeRefusal::Stopping),
        end().prop_map(|end| NodeRefusal::Ended { end }),
        Just(NodeRefusal::NotStarted),
    ]
}

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

fn edge_status() -> impl Strategy<Value = EdgeStatus> {
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

fn node_status() -> impl Strategy<Value = NodeStatus> {
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

fn waiting() -> impl Strategy<Value = Waiting> {
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

fn dataflow_status() -> impl Strategy<Value = DataflowStatus> {
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

fn model_file() -> impl Strategy<Value = ModelFile> {
    (text(), any::<u64>(), any::<u64>(), any::<bool>()).prop_map(
        |(path, bytes_done, bytes_total, is_verified)| ModelFile {
            path,
            bytes_done,
            bytes_total,
            is_verified,
        },
    )
}

fn model_view() -> impl Strategy<Value = ModelView> {
    let state = select(vec![
        ModelState::Waiting,
        ModelState::Resolving,
        ModelState::Fetching,
        ModelState::Ready,
        ModelState::Failed,
        ModelState::Cancelled,
    ]);
    let failure = (text(), text(), text()).prop_map(|(code, what, remedy)| ModelFailure {
        code,
        what,
        remedy,
    });
    (
        (
            state,
            option::of(text()),
            vec(model_file(), 0..4),
            any::<(u64, u64)>(),
        ),
        (any::<u64>(), any::<u64>(), option::of(any::<u64>())),
        (option::of(duration()), option::of(text())),
        (option::of(text()), option::of(failure)),
    )
        .prop_map(
            |((state, commit, files, counts), bytes, wait, end)| ModelView {
                state,
                commit,
                files,
                files_total: counts.0,
                files_done: counts.1,
                bytes_done: bytes.0,
                bytes_total: bytes.1,
                bytes_per_second: bytes.2,
                time_left: wait.0,
                because: wait.1,
                path: end.0.map(PathBuf::from),
                failure: end.1,
            },
        )
}

fn model_status() -> impl Strategy<Value = ModelStatus> {
    let kind = select(vec![RepoKind::Model, RepoKind::Dataset, RepoKind::Space]);
    (node_id(), text(), kind, text(), model_view()).prop_map(
        |(model, repo, kind, revision, view)| ModelStatus {
            model: ModelName::new(model.as_str()).expect("the same letters"),
            repo,
            kind,
            revision,
            view,
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

fn report() -> impl Strategy<Value = Report> {
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

pub(crate) fn client_reply() -> impl Strategy<Value = ClientReply> {
    prop_oneof![
        (any::<u32>(), any::<u32>(), any::<bool>()).prop_map(|(protocol, pid, is_agent)| {
            ClientReply::Welcome {
                protocol,
                pid,
                is_agent,
            }
        }),
        text().prop_map(|reason| ClientReply::Refused { reason }),
        dataflow_status().prop_map(|status| ClientReply::Status(Box::new(status))),
        Just(ClientReply::Accepted),
        node_refusal().prop_map(ClientReply::NodeRefused),
        (vec(any::<u8>(), 0..40), any::<bool>())
            .prop_map(|(bytes, is_last)| ClientReply::Part { bytes, is_last }),
        vec(waiting(), 0..4).prop_map(ClientReply::Waiting),
        (node_status(), option::of(forcer())).prop_map(|(status, killed)| {
            let status = Box::new(status);
            ClientReply::NodeStands { status, killed }
        }),
        report().prop_map(|report| ClientReply::Ended(Box::new(report))),
        agent::replies(),
        statistics::replies(),
    ]
}
