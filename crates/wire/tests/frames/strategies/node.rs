//! Any value of what a node and its runtime say to each other.

use dataflow_ids::NodeIndex;
use dataflow_wire::node::{EdgeGrant, EdgeRole, TimerSpec, ToNode, ToRuntime, Welcome};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{
    dataflow_name, duration, edge_id, epoch, input_id, node_id, output_id, queue_policy,
    segment_id, sequence, stop_mode, text,
};

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
