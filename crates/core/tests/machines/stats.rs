//! Sums agree with their members, and counters never fall, whatever happens (I-13, I-14).

use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::stats::{EdgeCounters, EdgeGauges, EdgeTotals, Statistics, Totals, Transition};
use dataflow_ids::{EdgeId, Epoch, LifeCycle, NodeIndex};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    AddNode(NodeIndex),
    AddEdge(EdgeId, NodeIndex, NodeIndex),
    RemoveNode(NodeIndex),
    RemoveEdge(EdgeId),
    Transition(NodeIndex, LifeCycle, Epoch),
    Reading(EdgeId, EdgeTotals),
}

/// What any process could have written: mostly plausible, sometimes not.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 0..50_u64, 1 => any::<u64>()]
}

fn totals() -> impl Strategy<Value = EdgeTotals> {
    (
        prop::array::uniform9(number()),
        prop::array::uniform2(number()),
    )
        .prop_map(|(counters, [queued, held])| {
            let [
                sent,
                delivered,
                released,
                lost,
                full,
                closed,
                memory,
                bytes,
                blocked_ns,
            ] = counters;
            EdgeTotals {
                counters: EdgeCounters {
                    sent,
                    delivered,
                    released,
                    lost,
                    dropped_full: full,
                    dropped_receiver_closed: closed,
                    dropped_memory: memory,
                    bytes,
                    blocked_ns,
                },
                gauges: EdgeGauges { queued, held },
            }
        })
}

fn step() -> impl Strategy<Value = Step> {
    let node = || (0..5_u32).prop_map(NodeIndex);
    let edge = || (0..6_u32).prop_map(EdgeId);
    prop_oneof![
        2 => node().prop_map(Step::AddNode),
        2 => (edge(), node(), node()).prop_map(|(edge, from, to)| Step::AddEdge(edge, from, to)),
        1 => node().prop_map(Step::RemoveNode),
        1 => edge().prop_map(Step::RemoveEdge),
        6 => (node(), prop::sample::select(LifeCycle::ALL.to_vec()), 0..4_u32)
            .prop_map(|(node, to, epoch)| Step::Transition(node, to, Epoch(epoch))),
        6 => (edge(), totals()).prop_map(|(edge, totals)| Step::Reading(edge, totals)),
    ]
}

fn never_fell(before: &Totals, after: &Totals) -> bool {
    before.transitions <= after.transitions
        && before.restarts <= after.restarts
        && before.counters.is_at_most(after.counters)
}

proptest! {
    #[test]
    fn kept_sums_equal_a_recount_and_no_counter_falls(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut statistics = Statistics::new();
        let mut at = Time::START;
        for step in steps {
            at = at.after(Duration::from_millis(1));
            let before = statistics.snapshot();
            match step {
                Step::AddNode(node) => statistics.add_node(node, at),
                Step::AddEdge(edge, from, to) => statistics.add_edge(edge, from, to),
                Step::RemoveNode(node) => statistics.remove_node(node),
                Step::RemoveEdge(edge) => statistics.remove_edge(edge),
                Step::Transition(node, to, epoch) => {
                    let transition = Transition { node, to, epoch, at };
                    statistics.transition(transition);
                    let once = statistics.clone();
                    statistics.transition(transition);
                    prop_assert_eq!(&statistics, &once, "a repetition changes nothing");
                }
                Step::Reading(edge, totals) => {
                    let delta = statistics.edge(edge, totals);
                    prop_assert_eq!(delta.is_some(), before.edges.contains_key(&edge));
                    if let Some(again) = statistics.edge(edge, totals) {
                        prop_assert_eq!(again.grown, EdgeCounters::default());
                    }
                }
            }
            prop_assert_eq!(statistics.audit(), Ok(()));
            prop_assert_eq!(statistics.totals().states.sum(), statistics.totals().nodes);
            prop_assert!(never_fell(&before.totals, statistics.totals()));
            for (node, then) in &before.nodes {
                if let Some(now) = statistics.node(*node) {
                    prop_assert!(then.transitions <= now.transitions);
                    prop_assert!(then.restarts <= now.restarts);
                    prop_assert!(then.out.is_at_most(now.out) && then.into.is_at_most(now.into));
                }
            }
            for (edge, then) in &before.edges {
                if let Some(now) = statistics.edge_statistics(*edge) {
                    prop_assert!(then.counters.is_at_most(now.counters));
                }
            }
            if statistics.snapshot() != before {
                prop_assert!(statistics.revision() > before.revision);
            }
        }
    }
}

#[test]
fn what_a_removed_edge_counted_stays_in_the_sums() {
    let mut statistics = Statistics::new();
    let (source, target) = (NodeIndex(0), NodeIndex(1));
    statistics.add_node(source, Time::START);
    statistics.add_node(target, Time::START);
    let mut totals = EdgeTotals::default();
    totals.counters.sent = 7;
    totals.gauges.queued = 3;
    for _ in 0..3 {
        statistics.add_edge(EdgeId(0), source, target);
        statistics.edge(EdgeId(0), totals);
        statistics.remove_edge(EdgeId(0));
    }
    assert_eq!(statistics.totals().counters.sent, 21);
    assert_eq!(statistics.totals().queued, 0);
    assert_eq!(statistics.node(source).unwrap().out.sent, 21);
    assert_eq!(statistics.node(target).unwrap().into.sent, 21);
    assert_eq!(statistics.audit(), Ok(()));
}
