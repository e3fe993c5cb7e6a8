//! Any value of what a command and a runtime say to each other.

use dataflow_wire::client::{ClientReply, ClientRequest, NodeRefusal};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::status::{dataflow_status, node_status, report, waiting};
use super::{agent, duration, end, forcer, node_id, statistics, stop_mode, text};

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
