//! Any wait of a node.

use dataflow_ids::{LifeCycle, ModelName, PeerId};
use dataflow_wire::status::ModelState;
use dataflow_wire::waits::{Blocker, Lacks, ModelWait, NodeWait, Owed};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{duration, input_id, name, node_id, output_id, text};

fn model_wait() -> impl Strategy<Value = ModelWait> {
    let state = select(vec![
        ModelState::Waiting,
        ModelState::Resolving,
        ModelState::Fetching,
        ModelState::Failed,
    ]);
    (name(), state, any::<[u64; 2]>(), option::of(text())).prop_map(
        |(name, state, [bytes_done, bytes_total], because)| ModelWait {
            model: ModelName::new(name).unwrap(),
            state,
            bytes_done,
            bytes_total,
            because,
        },
    )
}

fn blocker() -> impl Strategy<Value = Blocker> {
    let lacks = select(vec![
        Lacks::Readiness,
        Lacks::Queue,
        Lacks::Slots,
        Lacks::Memory,
    ]);
    (
        (node_id(), input_id(), node_id(), output_id()),
        (lacks, any::<[u64; 2]>(), option::of(duration())),
    )
        .prop_map(
            |((node, input, source, output), (lacks, [queued, held], oldest))| Blocker {
                node,
                input,
                source,
                output,
                lacks,
                queued,
                held,
                oldest,
            },
        )
}

fn owed() -> impl Strategy<Value = Owed> {
    (node_id(), input_id(), output_id(), any::<[u64; 2]>()).prop_map(
        |(node, input, output, [held, queued])| Owed {
            node,
            input,
            output,
            held,
            queued,
        },
    )
}

/// What a node waits for: any of it.
pub(super) fn node_wait() -> impl Strategy<Value = NodeWait> {
    let peer = name().prop_map(|name| PeerId::new(name).unwrap());
    let state = select(LifeCycle::ALL.to_vec());
    prop_oneof![
        Just(NodeWait::Place {}),
        Just(NodeWait::Start {}),
        vec(model_wait(), 0..3).prop_map(|models| NodeWait::Models { models }),
        Just(NodeWait::Library {}),
        Just(NodeWait::FirstCall {}),
        (vec(blocker(), 0..4), any::<u64>(), state, any::<bool>()).prop_map(
            |(chain, left_out, state, is_circle)| NodeWait::Room {
                chain,
                left_out,
                state,
                is_circle,
            }
        ),
        option::of(duration()).prop_map(|busy_for| NodeWait::Exit { busy_for }),
        vec(owed(), 0..6).prop_map(|owed| NodeWait::Tokens { owed }),
        duration().prop_map(|starts_in| NodeWait::Backoff { starts_in }),
        Just(NodeWait::Person {}),
        option::of(peer).prop_map(|peer| NodeWait::Peer { peer }),
    ]
}
