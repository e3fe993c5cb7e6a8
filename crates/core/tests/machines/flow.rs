//! Every dataflow ends after a stop, in order, whatever its graph and whoever dies.

use dataflow_core::flow::{Because, FlowCommand, FlowEdge, FlowEvent, FlowMachine, Graph, Phase};
use dataflow_core::outcome::Outcome;
use dataflow_ids::{
    EdgeId, End, Forcer, LifeCycle, NodeIndex, OnFailure, RestartOn, RestartPolicy, StopMode,
};
use proptest::prelude::*;

use crate::world::{Cycles, Scenario, World};

/// Far more steps than any of these dataflows needs for its end.
const STEPS_MAX: u32 = 400_000;

fn graph() -> impl Strategy<Value = (u32, Vec<(u32, u32)>)> {
    (1..7_u32).prop_flat_map(|nodes| {
        let edges = prop::collection::vec((0..nodes, 0..nodes), 0..10);
        (Just(nodes), edges)
    })
}

/// Only edges from a lower to a higher number: no cycles.
fn graph_without_cycles() -> impl Strategy<Value = (u32, Vec<(u32, u32)>)> {
    graph().prop_map(|(nodes, edges)| {
        let forward = |(from, to): (u32, u32)| (from.min(to), from.max(to));
        let edges = edges.into_iter().filter(|(from, to)| from != to);
        (nodes, edges.map(forward).collect())
    })
}

fn stop(mode: StopMode) -> FlowEvent {
    FlowEvent::Stop {
        mode,
        by: "`dataflow down`".into(),
    }
}

fn wish() -> impl Strategy<Value = FlowEvent> {
    prop_oneof![
        6 => Just(stop(StopMode::Graceful)),
        2 => Just(stop(StopMode::Now)),
        1 => Just(FlowEvent::Force { by: Forcer::DownForce }),
    ]
}

fn scenario() -> impl Strategy<Value = Scenario> {
    (
        graph(),
        any::<u64>(),
        prop::sample::select(vec![OnFailure::Stop, OnFailure::Continue]),
        prop::sample::select(vec![
            RestartOn::Never,
            RestartOn::OnFailure,
            RestartOn::Always,
        ]),
        0..4_u32,
        0..20_u64,
        prop::sample::select(vec![Cycles::Endless, Cycles::Dying]),
        prop::collection::vec((0..2_000_u32, wish()), 1..4),
    )
        .prop_map(
            |((nodes, edges), seed, on_failure, on, crashes, messages, cycles, wishes)| Scenario {
                nodes,
                edges,
                seed,
                on_failure,
                restart: RestartPolicy {
                    on,
                    ..RestartPolicy::default()
                },
                crashes,
                messages,
                cycles,
                wishes,
            },
        )
}

fn run(scenario: &Scenario) -> World {
    let mut world = World::new(scenario);
    world.ask(FlowEvent::Start);
    for step in 0..STEPS_MAX {
        for (at, wish) in &scenario.wishes {
            if *at == step {
                world.ask(wish.clone());
            }
        }
        if world.is_over() {
            return world;
        }
        world.step();
    }
    let stuck: Vec<_> = world.machines().collect();
    panic!(
        "it does not end: {:#?}\n{:#?}\n{stuck:#?}",
        world.flow, world.edges
    );
}

proptest! {
    #[test]
    fn every_dataflow_ends_after_a_stop(scenario in scenario()) {
        let world = run(&scenario);
        for machine in world.machines() {
            prop_assert!(machine.state().is_final());
        }
        for edge in &world.edges {
            prop_assert_eq!(edge.closed_at, Some(edge.sent), "{:?}", edge);
            prop_assert!(edge.taken + edge.dropped <= edge.sent);
        }
        let outcome = Outcome::of(world.machines().filter_map(|machine| machine.end()));
        prop_assert_eq!(world.outcome, Some(outcome));
    }

    #[test]
    fn a_graceful_stop_never_overtakes_data(
        (nodes, edges) in graph_without_cycles(),
        seed: u64,
        messages in 0..40_u64,
        at in 0..3_000_u32,
    ) {
        let scenario = Scenario {
            nodes,
            edges,
            seed,
            on_failure: OnFailure::Stop,
            restart: RestartPolicy::default(),
            crashes: 0,
            messages,
            cycles: Cycles::Endless,
            wishes: vec![(at, stop(StopMode::Graceful))],
        };
        let world = run(&scenario);
        prop_assert_eq!(world.outcome, Some(Outcome::Drained));
        for edge in world.edges.iter().filter(|_| world.was_up) {
            prop_assert_eq!((edge.taken, edge.dropped), (edge.sent, 0), "{:?}", edge);
        }
    }

    #[test]
    fn without_a_stop_a_dataflow_ends_when_its_sources_have(
        (nodes, edges) in graph_without_cycles(),
        seed: u64,
        messages in 0..20_u64,
    ) {
        // A program without the library would run for ever, as it may: it is left out.
        let edges: Vec<_> = edges.into_iter().chain((0..nodes).map(|node| (node, nodes))).collect();
        let scenario = Scenario {
            nodes: nodes + 1,
            edges,
            seed,
            on_failure: OnFailure::Stop,
            restart: RestartPolicy::default(),
            crashes: 0,
            messages,
            cycles: Cycles::Endless,
            wishes: Vec::new(),
        };
        let world = run(&scenario);
        prop_assert_eq!(world.outcome, Some(Outcome::Drained));
        prop_assert_eq!(world.flow.because(), &Because::AllEnded);
        for edge in &world.edges {
            prop_assert_eq!((edge.taken, edge.dropped), (edge.sent, 0), "{:?}", edge);
        }
    }
}

proptest! {
    #[test]
    fn without_a_stop_a_cycle_that_is_fed_ends_when_it_is_at_rest_and_loses_nothing(
        (nodes, edges) in graph(),
        seed: u64,
        messages in 0..20_u64,
    ) {
        // One more node feeds all the others.
        let edges: Vec<_> = edges.into_iter().chain((0..nodes).map(|node| (nodes, node))).collect();
        let scenario = Scenario {
            nodes: nodes + 1,
            edges,
            seed,
            on_failure: OnFailure::Stop,
            restart: RestartPolicy::default(),
            crashes: 0,
            messages,
            cycles: Cycles::Dying,
            wishes: Vec::new(),
        };
        let world = run(&scenario);
        prop_assert_eq!(world.outcome, Some(Outcome::Drained));
        prop_assert_eq!(world.flow.because(), &Because::AllEnded);
        for edge in &world.edges {
            prop_assert_eq!((edge.taken, edge.dropped), (edge.sent, 0), "{:?}", edge);
        }
    }
}

fn machine(nodes: u32, edges: &[(u32, u32)], on_failure: OnFailure) -> FlowMachine {
    let edges: Vec<FlowEdge> = (0..)
        .zip(edges)
        .map(|(edge, (source, target))| FlowEdge {
            edge: EdgeId(edge),
            source: NodeIndex(*source),
            target: NodeIndex(*target),
        })
        .collect();
    let graph = Graph::new(nodes, &edges).expect("nodes exist");
    FlowMachine::new(graph, on_failure)
}

fn state(node: u32, state: LifeCycle, end: Option<End>) -> FlowEvent {
    FlowEvent::NodeState {
        node: NodeIndex(node),
        state,
        end,
    }
}

fn crashed() -> End {
    End::Crashed {
        how: "exit code 3".into(),
    }
}

fn closed(edge: u32) -> FlowEvent {
    FlowEvent::EdgeClosed { edge: EdgeId(edge) }
}

fn drained(edge: u32) -> FlowEvent {
    FlowEvent::EdgeDrained { edge: EdgeId(edge) }
}

/// Starts all nodes and makes them Ready.
fn up(machine: &mut FlowMachine, nodes: u32) {
    machine.handle(FlowEvent::Start);
    for node in 0..nodes {
        machine.handle(state(node, LifeCycle::Ready, None));
    }
    assert_eq!(machine.phase(), Phase::Running);
}

#[test]
fn up_is_said_once_when_every_node_has_been_ready() {
    let mut flow = machine(2, &[(0, 1)], OnFailure::Stop);
    flow.handle(FlowEvent::Start);
    assert_eq!(flow.handle(state(1, LifeCycle::Ready, None)), []);
    assert_eq!(flow.handle(state(1, LifeCycle::Backoff, None)), []);
    assert_eq!(
        flow.handle(state(0, LifeCycle::Ready, None)),
        [FlowCommand::Up]
    );
    assert_eq!(flow.handle(state(0, LifeCycle::Ready, None)), []);
}

#[test]
fn a_graceful_stop_tells_sources_only_and_a_second_one_changes_nothing() {
    let mut flow = machine(3, &[(0, 1), (1, 2)], OnFailure::Stop);
    up(&mut flow, 3);
    let node = NodeIndex(0);
    let mode = StopMode::Graceful;
    assert_eq!(
        flow.handle(stop(mode)),
        [FlowCommand::StopBegun, FlowCommand::StopNode { node, mode }]
    );
    assert_eq!(flow.handle(stop(mode)), []);
    let told = flow.handle(stop(StopMode::Now));
    assert_eq!(told.len(), 3, "now everybody is told: {told:?}");
    assert_eq!(flow.handle(stop(StopMode::Now)), []);
    assert_eq!(flow.handle(stop(StopMode::Graceful)), []);
}

/// A source, a cycle that it feeds, and a receiver of the cycle.
#[test]
fn what_was_told_to_stop_a_node_can_be_told_again_until_it_has_ended() {
    let mut machine = machine(4, &[(0, 1), (1, 2), (2, 1), (2, 3)], OnFailure::Stop);
    up(&mut machine, 4);
    let told = |machine: &FlowMachine, node| machine.told_to_stop(NodeIndex(node));
    assert!(
        (0..4).all(|node| told(&machine, node).is_none()),
        "nobody yet"
    );
    machine.handle(stop(StopMode::Graceful));
    let mode = StopMode::Graceful;
    let node = NodeIndex(0);
    assert_eq!(
        told(&machine, 0),
        Some(FlowCommand::StopNode { node, mode })
    );
    assert!(
        (1..4).all(|node| told(&machine, node).is_none()),
        "only the source"
    );
    machine.handle(ended(0, LifeCycle::Draining));
    assert_eq!(told(&machine, 0), None, "it has ended");
    let all = machine.handle(closed(0));
    let Some(FlowCommand::StopCycle { members, .. }) = all.last() else {
        panic!("{all:?}");
    };
    for member in members {
        match told(&machine, member.node.0) {
            Some(FlowCommand::StopCycle { members, .. }) => {
                assert_eq!(members, std::slice::from_ref(member));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told(&machine, 3), None, "it ends when its inputs close");
    machine.handle(stop(StopMode::Now));
    let (node, mode) = (NodeIndex(3), StopMode::Now);
    assert_eq!(
        told(&machine, 3),
        Some(FlowCommand::StopNode { node, mode })
    );
}

#[test]
fn a_failed_node_stops_the_rest_and_is_named() {
    let mut flow = machine(2, &[], OnFailure::Stop);
    up(&mut flow, 2);
    let commands = flow.handle(state(1, LifeCycle::Draining, Some(crashed())));
    let (node, mode) = (NodeIndex(0), StopMode::Graceful);
    assert_eq!(
        commands,
        [
            FlowCommand::OutputsDrained { node: NodeIndex(1) },
            FlowCommand::StopBegun,
            FlowCommand::StopNode { node, mode },
        ]
    );
    flow.handle(state(1, LifeCycle::Failed, Some(crashed())));
    flow.handle(state(0, LifeCycle::Draining, Some(End::Drained)));
    assert_eq!(
        flow.handle(state(0, LifeCycle::Finished, Some(End::Drained))),
        [FlowCommand::Ended {
            outcome: Outcome::Failed,
            because: Because::NodeFailed {
                node: NodeIndex(1),
                how: "exit code 3".into()
            },
        }]
    );
    assert_eq!(
        flow.handle(stop(StopMode::Now)),
        [],
        "nothing follows the end"
    );
}

#[test]
fn on_failure_continue_lets_the_rest_go_on_and_the_outcome_says_that_one_failed() {
    let mut flow = machine(2, &[], OnFailure::Continue);
    up(&mut flow, 2);
    let commands = flow.handle(state(1, LifeCycle::Draining, Some(crashed())));
    assert_eq!(
        commands,
        [FlowCommand::OutputsDrained { node: NodeIndex(1) }]
    );
    flow.handle(state(1, LifeCycle::Failed, Some(crashed())));
    assert_eq!(flow.phase(), Phase::Running);
    assert_eq!(
        flow.handle(state(0, LifeCycle::Finished, Some(End::Drained))),
        [FlowCommand::Ended {
            outcome: Outcome::Failed,
            because: Because::AllEnded,
        }]
    );
}

#[test]
fn a_failed_up_stops_the_rest_whatever_on_failure_says() {
    let mut flow = machine(2, &[], OnFailure::Continue);
    flow.handle(FlowEvent::Start);
    let (node, why) = (NodeIndex(1), "exit code 1 before it was ready".to_owned());
    let because = Because::UpFailed {
        node,
        why: why.clone(),
    };
    let commands = flow.handle(FlowEvent::UpFailed { node, why });
    assert_eq!(commands[0], FlowCommand::StopBegun);
    assert_eq!(flow.because(), &because);
    // Nobody crashed: both were told to stop before they were started.
    for node in [0, 1] {
        flow.handle(ended(node, LifeCycle::Draining));
    }
    flow.handle(ended(0, LifeCycle::Finished));
    let commands = flow.handle(ended(1, LifeCycle::Finished));
    let outcome = Outcome::Failed;
    assert_eq!(commands, [FlowCommand::Ended { outcome, because }]);
}

fn ended(node: u32, state: LifeCycle) -> FlowEvent {
    FlowEvent::NodeState {
        node: NodeIndex(node),
        state,
        end: Some(End::Drained),
    }
}

#[test]
fn a_cycle_with_outer_edges_is_stopped_when_they_have_closed() {
    // 0 → 1 ⇄ 2
    let edges = [(0, 1), (1, 2), (2, 1)];
    let mut flow = machine(3, &edges, OnFailure::Stop);
    up(&mut flow, 3);
    let commands = flow.handle(stop(StopMode::Graceful));
    assert_eq!(commands.len(), 2, "only the source: {commands:?}");
    let commands = flow.handle(closed(0));
    let [FlowCommand::StopCycle { members, .. }] = &commands[..] else {
        panic!("{commands:?}");
    };
    assert_eq!(members.len(), 2);
    assert_eq!(members[0].inner, [EdgeId(2)]);
    assert_eq!(members[1].inner, [EdgeId(1)]);
}

#[test]
fn without_a_stop_a_cycle_ends_at_quiescence() {
    let edges = [(0, 1), (1, 1)];
    let mut flow = machine(2, &edges, OnFailure::Stop);
    up(&mut flow, 2);
    let cycle = dataflow_core::flow::CycleIndex(0);
    assert_eq!(
        flow.handle(FlowEvent::Quiescent { cycle }),
        [],
        "its outer edge is open"
    );
    assert_eq!(flow.handle(closed(0)), [FlowCommand::WatchCycle { cycle }]);
    let commands = flow.handle(FlowEvent::Quiescent { cycle });
    assert!(matches!(commands[..], [FlowCommand::StopCycle { .. }]));
    assert_eq!(flow.handle(FlowEvent::Quiescent { cycle }), []);
    assert_eq!(flow.phase(), Phase::Running);
}

#[test]
fn a_cycle_without_outer_edges_is_stopped_like_a_source() {
    let mut flow = machine(2, &[(0, 1), (1, 0)], OnFailure::Stop);
    up(&mut flow, 2);
    let commands = flow.handle(stop(StopMode::Graceful));
    assert!(matches!(
        commands[..],
        [FlowCommand::StopBegun, FlowCommand::StopCycle { .. }]
    ));
}

#[test]
fn a_node_is_finished_only_when_all_of_its_outputs_are_drained() {
    let mut flow = machine(3, &[(0, 1), (0, 2)], OnFailure::Stop);
    up(&mut flow, 3);
    flow.handle(closed(0));
    flow.handle(closed(1));
    let node = NodeIndex(0);
    let draining = state(0, LifeCycle::Draining, Some(End::Drained));
    let mut last = flow.clone();
    assert_eq!(flow.handle(draining.clone()), []);
    assert_eq!(flow.handle(drained(0)), []);
    assert_eq!(flow.handle(drained(0)), []);
    let finish = [FlowCommand::OutputsDrained { node }];
    assert_eq!(flow.handle(drained(1)), finish);

    // The same when the end is heard last.
    assert_eq!(last.handle(drained(0)), []);
    assert_eq!(last.handle(drained(1)), []);
    assert_eq!(last.handle(draining), finish);
}

#[test]
fn inputs_are_closed_when_the_last_sender_has_ended() {
    let mut flow = machine(3, &[(0, 2), (1, 2)], OnFailure::Stop);
    up(&mut flow, 3);
    assert_eq!(flow.handle(closed(0)), []);
    assert_eq!(flow.handle(closed(0)), []);
    let node = NodeIndex(2);
    assert_eq!(flow.handle(closed(1)), [FlowCommand::InputsClosed { node }]);
}

#[test]
fn force_is_passed_on_once() {
    let mut flow = machine(1, &[], OnFailure::Stop);
    up(&mut flow, 1);
    let by = Forcer::SecondInterrupt;
    assert_eq!(
        flow.handle(FlowEvent::Force { by }),
        [FlowCommand::StopBegun, FlowCommand::ForceAll { by }]
    );
    assert_eq!(flow.handle(FlowEvent::Force { by }), []);
    assert_eq!(flow.because(), &Because::Forced { by });
}
