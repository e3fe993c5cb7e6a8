//! Any value of every message type; here are the words that they are made of.

mod agent;
mod client;
mod models;
mod node;
mod statistics;
mod status;
mod waits;

use std::time::Duration;

use dataflow_ids::{
    DataflowName, EdgeId, End, Epoch, Forcer, InputId, NodeId, NodeIndex, OutputId, QueuePolicy,
    SegmentId, Sequence, StopMode,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

pub(crate) use client::{client_reply, client_request};
pub(crate) use node::{to_node, to_runtime};

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
