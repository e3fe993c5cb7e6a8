//! What each node waits for: every state with everything that is known beside it, and chains of any shape against a walk
//! that follows each of them by itself.

use std::collections::BTreeSet;

use dataflow_core::random::Random;
use dataflow_core::waiting::why::{
    Chain, ChainEnd, EdgeFacts, LINKS_MAX, Link, NodeFacts, Wait, explain,
};
use dataflow_ids::{EdgeId, Lacks, LifeCycle, NodeIndex, SenderSleep};

fn node(state: LifeCycle) -> NodeFacts {
    NodeFacts {
        state,
        has_process: true,
        is_connected: true,
    }
}

/// An edge over which messages flow.
fn edge(source: usize, target: usize) -> EdgeFacts {
    EdgeFacts {
        source: NodeIndex(source as u32),
        target: NodeIndex(target as u32),
        held_max: 64,
        queued: 3,
        held: 1,
        oldest_ns: None,
        sleeps_for: None,
        is_closed: false,
        is_drained: false,
        is_receiver_ready: true,
        is_unread: false,
    }
}

/// An edge whose queue is full, and whose sender sleeps.
fn full(source: usize, target: usize) -> EdgeFacts {
    EdgeFacts {
        queued: 10,
        sleeps_for: Some(SenderSleep::Queue),
        ..edge(source, target)
    }
}

fn link(edge: u32) -> Link {
    Link {
        edge: EdgeId(edge),
        lacks: Lacks::Queue,
    }
}

fn chain(edges: impl IntoIterator<Item = u32>) -> Wait {
    Wait::Room(Chain {
        links: edges.into_iter().map(link).collect(),
        left_out: 0,
        end: ChainEnd::There,
    })
}

fn running(count: usize) -> Vec<NodeFacts> {
    vec![node(LifeCycle::Running); count]
}

#[test]
fn every_state_is_explained_or_needs_no_explanation() {
    for state in LifeCycle::ALL {
        for has_process in [false, true] {
            for is_connected in [false, true] {
                let facts = NodeFacts {
                    state,
                    has_process,
                    is_connected,
                };
                let expected = match (state, is_connected) {
                    (LifeCycle::Declared, _) => vec![Wait::Place],
                    (LifeCycle::Placed, _) => vec![Wait::Start],
                    (LifeCycle::Downloading, _) => vec![Wait::Models],
                    (LifeCycle::Starting, false) => vec![Wait::Library],
                    (LifeCycle::Starting, true) => vec![Wait::FirstCall],
                    (LifeCycle::Ready | LifeCycle::Running, _) => vec![],
                    (LifeCycle::Stopping, _) => vec![Wait::Exit],
                    (LifeCycle::Draining, _) => vec![Wait::Tokens(vec![])],
                    (LifeCycle::Backoff, _) => vec![Wait::Backoff],
                    (LifeCycle::Parked, _) => vec![Wait::Person],
                    (LifeCycle::Lost, _) => vec![Wait::Peer],
                    (LifeCycle::Finished | LifeCycle::Failed, _) => vec![],
                };
                assert_eq!(explain(&[facts], &[]), [expected], "{facts:?}");
            }
        }
    }
}

#[test]
fn who_works_or_waits_for_its_next_message_is_not_explained() {
    let idle = EdgeFacts {
        queued: 0,
        held: 0,
        ..edge(0, 1)
    };
    for edge in [edge(0, 1), idle] {
        assert_eq!(explain(&running(2), &[edge]), [vec![], vec![]]);
    }
    // A queue that is full while nobody sleeps over it: it drops, or the sender is about to find out.
    let busy = EdgeFacts {
        sleeps_for: None,
        ..full(0, 1)
    };
    assert_eq!(explain(&running(2), &[busy]), [vec![], vec![]]);
}

#[test]
fn what_a_sender_lacks_is_what_it_says_it_sleeps_for() {
    use SenderSleep::{Queue, Readiness, Release};
    let asleep = |sleeps_for, queued, held| EdgeFacts {
        queued,
        held,
        sleeps_for: Some(sleeps_for),
        ..edge(0, 1)
    };
    let unready = |facts| EdgeFacts {
        is_receiver_ready: false,
        ..facts
    };
    for (facts, lacks) in [
        (unready(asleep(Readiness, 0, 0)), Some(Lacks::Readiness)),
        // It is ready: who waits for that is being woken.
        (asleep(Readiness, 0, 0), None),
        (asleep(Queue, 10, 0), Some(Lacks::Queue)),
        // Whatever was counted at another moment: one was taken just now, or all of them.
        (asleep(Queue, 9, 1), Some(Lacks::Queue)),
        (asleep(Queue, 0, 0), Some(Lacks::Queue)),
        (asleep(Queue, u64::MAX, u64::MAX), Some(Lacks::Queue)),
        (asleep(Release, 9, 65), Some(Lacks::Slots)),
        (asleep(Release, 9, 64), Some(Lacks::Memory)),
        // The queue has filled up to the brim with what takes the memory.
        (asleep(Release, 10, 64), Some(Lacks::Memory)),
        (asleep(Release, 0, 1), Some(Lacks::Memory)),
        (asleep(Release, 1, 0), Some(Lacks::Memory)),
        (asleep(Release, 0, 0), None),
    ] {
        let waits = explain(&running(2), &[facts]);
        let links = lacks.map(|lacks| Link {
            edge: EdgeId(0),
            lacks,
        });
        let expected: Vec<Wait> = (links.into_iter())
            .map(|link| {
                Wait::Room(Chain {
                    links: vec![link],
                    left_out: 0,
                    end: ChainEnd::There,
                })
            })
            .collect();
        assert_eq!(waits, [expected, vec![]], "{facts:?}");
    }
}

#[test]
fn nobody_waits_for_room_who_cannot_be_in_a_send_or_whose_edge_is_over() {
    let over = [
        EdgeFacts {
            is_closed: true,
            is_drained: true,
            ..full(0, 1)
        },
        EdgeFacts {
            is_unread: true,
            ..full(0, 1)
        },
    ];
    for edge in over {
        assert_eq!(explain(&running(2), &[edge])[0], []);
    }
    for state in LifeCycle::ALL {
        let nodes = [node(state), node(LifeCycle::Running)];
        let may_send = matches!(
            state,
            LifeCycle::Starting | LifeCycle::Ready | LifeCycle::Running | LifeCycle::Stopping
        );
        let waits = &explain(&nodes, &[full(0, 1)])[0];
        assert_eq!(waits == &[chain([0])], may_send, "{state}: {waits:?}");
    }
}

#[test]
fn a_chain_is_followed_to_the_one_that_all_wait_for() {
    // camera → planner → logger → disk; planner → screen, which has room.
    let edges = [full(0, 1), full(1, 2), edge(1, 4), full(2, 3)];
    let waits = explain(&running(5), &edges);
    assert_eq!(waits[0], [chain([0, 1, 3])]);
    assert_eq!(waits[1], [chain([1, 3])]);
    assert_eq!(waits[2], [chain([3])]);
    assert_eq!(waits[3..], [vec![], vec![]]);
}

#[test]
fn of_several_the_chain_goes_where_a_message_has_waited_for_the_longest_time() {
    let aged = |target, oldest_ns| EdgeFacts {
        oldest_ns,
        ..full(1, target)
    };
    let follows = |first, second| {
        let edges = [full(0, 1), aged(2, first), aged(3, second)];
        let waits = explain(&running(4), &edges);
        assert_eq!(waits[1], [chain([1]), chain([2])], "it waits for both");
        waits[0].clone()
    };
    assert_eq!(follows(Some(5), Some(7)), [chain([0, 2])]);
    assert_eq!(follows(Some(7), Some(5)), [chain([0, 1])]);
    assert_eq!(follows(Some(5), Some(5)), [chain([0, 1])]);
    assert_eq!(follows(None, Some(0)), [chain([0, 2])]);
    assert_eq!(follows(None, None), [chain([0, 1])]);
}

#[test]
fn of_a_long_chain_the_first_are_named_and_the_last() {
    for length in [LINKS_MAX, LINKS_MAX + 1, 1000] {
        let edges: Vec<EdgeFacts> = (0..length).map(|it| full(it, it + 1)).collect();
        let waits = explain(&running(length + 1), &edges);
        let Some(Wait::Room(chain)) = waits[0].first() else {
            panic!("{:?}", waits[0]);
        };
        assert_eq!(chain.end, ChainEnd::There);
        assert_eq!(chain.left_out, length - LINKS_MAX);
        let mut named: Vec<u32> = (0..LINKS_MAX as u32).collect();
        named[LINKS_MAX - 1] = length as u32 - 1;
        let links: Vec<u32> = chain.links.iter().map(|link| link.edge.0).collect();
        assert_eq!(links, named);
    }
}

#[test]
fn a_circle_is_named_as_one_and_ends() {
    let circle = |edges: &[u32]| {
        Wait::Room(Chain {
            links: edges.iter().map(|edge| link(*edge)).collect(),
            left_out: 0,
            end: ChainEnd::Circle,
        })
    };
    // 0 → 1 → 2 → 0, and 3 waits for 1.
    let edges = [full(0, 1), full(1, 2), full(2, 0), full(3, 1)];
    let waits = explain(&running(4), &edges);
    assert_eq!(waits[0], [circle(&[0, 1, 2])]);
    assert_eq!(waits[1], [circle(&[1, 2, 0])]);
    assert_eq!(waits[2], [circle(&[2, 0, 1])]);
    assert_eq!(waits[3], [circle(&[3, 1, 2, 0])]);
    assert_eq!(explain(&running(1), &[full(0, 0)]), [[circle(&[0])]]);
}

#[test]
fn who_has_ended_drains_until_nobody_owes_anything() {
    let nodes = [
        node(LifeCycle::Draining),
        node(LifeCycle::Running),
        node(LifeCycle::Running),
    ];
    let closed = |target, queued, held| EdgeFacts {
        is_closed: true,
        queued,
        held,
        ..edge(0, target)
    };
    let drained = EdgeFacts {
        is_drained: true,
        ..closed(2, 1, 1)
    };
    let owed = |edges: &[EdgeFacts]| explain(&nodes, edges)[0].clone();
    let tokens = |edges: &[u32]| {
        [Wait::Tokens(
            edges.iter().map(|edge| EdgeId(*edge)).collect(),
        )]
    };
    let edges = [closed(1, 0, 2), closed(2, 3, 0)];
    assert_eq!(owed(&edges), tokens(&[0, 1]));
    assert_eq!(owed(&[closed(1, 0, 0), drained]), tokens(&[]));
}

#[test]
fn who_has_nothing_left_to_read_is_waited_for_to_end() {
    let closed = EdgeFacts {
        is_closed: true,
        queued: 0,
        ..edge(0, 1)
    };
    let left = EdgeFacts {
        queued: 1,
        ..closed
    };
    let last =
        |facts, edges: &[EdgeFacts]| explain(&[node(LifeCycle::Finished), facts], edges)[1].clone();
    let reader = node(LifeCycle::Running);
    assert_eq!(last(reader, &[closed]), [Wait::Exit]);
    assert_eq!(last(reader, &[closed, left]), [], "it reads");
    assert_eq!(last(reader, &[closed, edge(0, 1)]), [], "more may come");
    let gone = NodeFacts {
        has_process: false,
        ..reader
    };
    assert_eq!(last(gone, &[closed]), [], "nobody waits for the dead");
}

#[test]
fn edges_between_nodes_that_are_not_there_explain_nothing() {
    let edges = [full(0, 7), full(7, 0), full(0, 1)];
    let waits = explain(&running(2), &edges);
    assert_eq!(waits, [vec![chain([2])], vec![]]);
}

/// Follows a chain without remembering anything of others.
fn walked(edges: &[EdgeFacts], first: u32) -> (Vec<u32>, ChainEnd) {
    let next = |node: NodeIndex| {
        let of_node = (0u32..)
            .zip(edges)
            .filter(|(_, it)| it.source == node && it.sleeps_for.is_some());
        let oldest = of_node.clone().map(|(_, it)| it.oldest_ns).max()?;
        let mut oldest_first = of_node.filter(|(_, it)| it.oldest_ns == oldest);
        oldest_first.next().map(|(edge, _)| edge)
    };
    let mut seen = BTreeSet::from([edges[first as usize].source]);
    let mut links = vec![first];
    let mut at = edges[first as usize].target;
    loop {
        if links.len() > LINKS_MAX {
            // It began with another edge than the chain of its node follows, so it may pass there once more.
            seen.remove(&edges[first as usize].source);
        }
        if !seen.insert(at) {
            return (links, ChainEnd::Circle);
        }
        let Some(edge) = next(at) else {
            return (links, ChainEnd::There);
        };
        links.push(edge);
        at = edges[edge as usize].target;
    }
}

#[test]
fn chains_of_any_shape_are_those_of_a_walk_of_each() {
    let mut random = Random::new(7);
    let mut below = |limit: u64| (random.draw() % limit) as usize;
    let (mut circles, mut longest) = (0, 0);
    for _ in 0..500 {
        let nodes = 2 + below(30);
        let edges: Vec<EdgeFacts> = (0..below(2 * nodes as u64))
            .map(|_| EdgeFacts {
                oldest_ns: Some(below(3) as u64),
                sleeps_for: (below(4) > 0).then_some(SenderSleep::Queue),
                ..full(below(nodes as u64), below(nodes as u64))
            })
            .collect();
        let waits = explain(&running(nodes), &edges);
        for (place, waits) in waits.iter().enumerate() {
            let own = (0u32..).zip(&edges);
            let blocking: Vec<u32> = own
                .filter(|(_, it)| it.source.0 as usize == place && it.sleeps_for.is_some())
                .map(|(edge, _)| edge)
                .collect();
            assert_eq!(waits.len(), blocking.len());
            for (wait, first) in waits.iter().zip(blocking) {
                let (links, end) = walked(&edges, first);
                let Wait::Room(chain) = wait else {
                    panic!("{wait:?}");
                };
                let named: Vec<u32> = chain.links.iter().map(|link| link.edge.0).collect();
                let shown = links.len().min(LINKS_MAX);
                assert_eq!(chain.end, end, "{edges:?}");
                match end {
                    ChainEnd::Circle => {
                        circles += 1;
                        assert_eq!((&named[..], chain.left_out), (&links[..shown], 0));
                    }
                    ChainEnd::There => {
                        longest = longest.max(links.len());
                        assert_eq!(named[..shown - 1], links[..shown - 1]);
                        assert_eq!(named.last(), links.last());
                        assert_eq!(named.len() + chain.left_out, links.len());
                    }
                }
            }
        }
    }
    assert!(circles > 100 && longest > LINKS_MAX, "{circles}, {longest}");
}
