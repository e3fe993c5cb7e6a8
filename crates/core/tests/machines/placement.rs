//! The ledger never promises what is not there, and decides the same whatever the order of the peers.

use std::collections::BTreeMap;

use dataflow_core::placement::{Capabilities, Ledger, Obstacle, Requirement};
use dataflow_ids::{NodeIndex, PeerId};
use proptest::prelude::*;

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("room", "lab|hall", 0..2)
}

fn peer(name: impl Into<String>) -> PeerId {
    PeerId::new(name).expect("a name")
}

fn peers() -> impl Strategy<Value = Vec<(PeerId, Capabilities)>> {
    prop::collection::btree_map(
        "[a-e]",
        (0..100_u64, 0..8_u32, any::<bool>(), labels()),
        0..5,
    )
    .prop_map(|peers| {
        let offering = |(name, (memory_bytes, cpus, gpu, labels))| {
            let capabilities = Capabilities {
                memory_bytes,
                cpus,
                gpu,
                labels,
            };
            (peer(name), capabilities)
        };
        peers.into_iter().map(offering).collect()
    })
}

fn requirement() -> impl Strategy<Value = Requirement> {
    (
        0..60_u64,
        0..4_u32,
        prop::bool::weighted(0.2),
        labels(),
        prop::option::weighted(0.2, "[a-f]".prop_map(peer)),
    )
        .prop_map(|(memory_bytes, cpus, gpu, labels, peer)| Requirement {
            memory_bytes,
            cpus,
            gpu,
            labels,
            peer,
        })
}

#[derive(Debug, Clone)]
enum Step {
    Reserve(NodeIndex, Requirement),
    Release(NodeIndex),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = || (0..6_u32).prop_map(NodeIndex);
    let step = prop_oneof![
        3 => (node(), requirement()).prop_map(|(node, it)| Step::Reserve(node, it)),
        1 => node().prop_map(Step::Release),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn nothing_is_promised_twice_and_the_order_of_the_peers_changes_nothing(
        peers in peers(),
        steps in steps(),
    ) {
        let mut ledger = Ledger::new(peers.clone());
        let mut reversed = Ledger::new(peers.iter().rev().cloned());
        for step in steps {
            match step {
                Step::Reserve(node, requirement) => {
                    let before = ledger.clone();
                    let result = ledger.reserve(node, requirement.clone());
                    prop_assert_eq!(&result, &reversed.reserve(node, requirement.clone()));
                    match &result {
                        Ok(peer) => {
                            let (_, offered) = peers.iter().find(|(id, _)| id == peer).unwrap();
                            prop_assert!(offered.gpu || !requirement.gpu);
                            for (label, value) in &requirement.labels {
                                prop_assert_eq!(offered.labels.get(label), Some(value));
                            }
                            prop_assert!(requirement.peer.as_ref().is_none_or(|it| it == peer));
                        }
                        Err(infeasible) => {
                            prop_assert_eq!(infeasible.obstacles.len(), peers.len());
                            prop_assert!(infeasible.obstacles.values().all(|it| !it.is_empty()));
                            prop_assert_eq!(&ledger, &before);
                        }
                    }
                    let once = ledger.clone();
                    prop_assert_eq!(ledger.reserve(node, requirement), result);
                    prop_assert_eq!(&ledger, &once);
                }
                Step::Release(node) => {
                    ledger.release(node);
                    prop_assert_eq!(ledger.release(node), None);
                    reversed.release(node);
                }
            }
            for (peer, offered) in &peers {
                let promised = (0..6)
                    .filter_map(|node| ledger.reservation(NodeIndex(node)))
                    .filter(|it| it.peer == *peer);
                let (memory, cpus) = promised.fold((0, 0), |(memory, cpus), it| {
                    (memory + it.requirement.memory_bytes, cpus + it.requirement.cpus)
                });
                prop_assert!(memory <= offered.memory_bytes && cpus <= offered.cpus);
                let free = ledger.free(peer).unwrap();
                prop_assert_eq!(free.memory_bytes, offered.memory_bytes - memory);
                prop_assert_eq!(free.cpus, offered.cpus - cpus);
            }
        }
    }
}

#[test]
fn infeasible_names_every_peer_with_its_reasons() {
    let offered = Capabilities {
        memory_bytes: 4,
        cpus: 2,
        ..Capabilities::default()
    };
    let mut ledger = Ledger::new([(peer("here"), offered)]);
    let requirement = Requirement {
        memory_bytes: 8,
        gpu: true,
        labels: [("room".to_owned(), "lab".to_owned())].into(),
        ..Requirement::default()
    };
    let error = ledger.reserve(NodeIndex(0), requirement).unwrap_err();
    assert_eq!(error.obstacles[&peer("here")].len(), 3);
    assert_eq!(
        error.obstacles[&peer("here")][0],
        Obstacle::Memory {
            required_bytes: 8,
            free_bytes: 4
        }
    );
    assert_eq!(
        error.to_string(),
        "no peer can take it; here: 8 bytes of memory are required, 4 are free, it has no GPU, \
         it has no label `room` (`lab` is required)"
    );
}
