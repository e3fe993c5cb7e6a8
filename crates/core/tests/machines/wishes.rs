//! What a person wants of one node of a running dataflow: that it is parked, that it is started again.

use dataflow_core::Time;
use dataflow_core::flow::FlowEvent;
use dataflow_core::lifecycle::{
    Exit, Kill, Needs, NodeCommand, NodeEvent, NodeMachine, NodeSettings, Program, Refusal, Wish,
};
use dataflow_core::outcome::Outcome;
use dataflow_ids::{End, Epoch, Forcer, LifeCycle, OnFailure, RestartOn, RestartPolicy, StopMode};
use proptest::prelude::*;

use crate::world::{Cycles, Scenario, World};

const ONE: Epoch = Epoch(1);
const TWO: Epoch = Epoch(2);
const PARK: NodeEvent = NodeEvent::Park { kill: None };
const RESTART: NodeEvent = NodeEvent::Restart { kill: None };
const PAUSE: NodeCommand = NodeCommand::SendPause { epoch: ONE };
const WELL: NodeEvent = NodeEvent::Exited {
    epoch: ONE,
    exit: Exit::Code(0),
};
const KILLED: NodeEvent = NodeEvent::Exited {
    epoch: ONE,
    exit: Exit::Signal(9),
};

fn tell(node: &mut NodeMachine, events: &[NodeEvent]) -> Vec<NodeCommand> {
    let handled = events
        .iter()
        .cloned()
        .map(|event| node.handle(Time::START, event));
    handled
        .flatten()
        .filter(|command| !matches!(command, NodeCommand::Report { .. }))
        .collect()
}

/// A node that is restarted when it crashes, after so many events of its start.
fn node(program: Program, until: usize) -> NodeMachine {
    let mut node = NodeMachine::new(NodeSettings {
        program,
        restart: RestartPolicy {
            on: RestartOn::OnFailure,
            ..RestartPolicy::default()
        },
        seed: 1,
        needs: Needs::Nothing,
    });
    let up = [
        NodeEvent::Placed,
        NodeEvent::Start,
        NodeEvent::Spawned { epoch: ONE, pid: 7 },
        NodeEvent::Connected { epoch: ONE },
        NodeEvent::Ready { epoch: ONE },
    ];
    tell(&mut node, &up[..until]);
    node
}

fn running() -> NodeMachine {
    node(Program::UsesLibrary, 5)
}

#[test]
fn a_running_node_is_paused_reaped_and_started_with_the_next_epoch() {
    let mut node = running();
    assert_eq!(tell(&mut node, &[RESTART]), [PAUSE]);
    assert_eq!(node.state(), LifeCycle::Stopping);
    assert_eq!(
        tell(&mut node, &[WELL]),
        [
            NodeCommand::Repair { epoch: ONE },
            NodeCommand::Spawn { epoch: TWO }
        ],
        "its edges stay open"
    );
    assert_eq!((node.state(), node.restarts()), (LifeCycle::Starting, 1));
}

#[test]
fn a_program_without_the_library_is_restarted_by_sigterm() {
    let mut node = node(Program::MayLackLibrary, 3);
    let exit = Exit::Signal(15);
    assert_eq!(
        tell(
            &mut node,
            &[RESTART, NodeEvent::Exited { epoch: ONE, exit }]
        ),
        [
            NodeCommand::Terminate { epoch: ONE },
            NodeCommand::Repair { epoch: ONE },
            NodeCommand::Spawn { epoch: TWO },
        ]
    );
}

#[test]
fn a_parked_node_and_one_in_backoff_start_at_once() {
    let mut parked = running();
    tell(&mut parked, &[PARK, WELL]);
    assert_eq!(parked.state(), LifeCycle::Parked);
    const SPAWN: NodeCommand = NodeCommand::Spawn { epoch: TWO };
    assert_eq!(tell(&mut parked, &[RESTART]), [SPAWN]);

    let mut waiting = running();
    let exit = Exit::Code(3);
    tell(&mut waiting, &[NodeEvent::Exited { epoch: ONE, exit }]);
    assert_eq!(waiting.state(), LifeCycle::Backoff);
    assert_eq!(tell(&mut waiting, &[RESTART]), [SPAWN]);
    let late = NodeEvent::BackoffElapsed { epoch: ONE };
    assert_eq!(tell(&mut waiting, &[late]), [], "its wait is over");
}

#[test]
fn a_node_in_backoff_can_be_parked_and_stays_so() {
    let mut node = running();
    let exit = Exit::Code(3);
    let elapsed = NodeEvent::BackoffElapsed { epoch: ONE };
    let told = [NodeEvent::Exited { epoch: ONE, exit }, PARK, elapsed];
    tell(&mut node, &told);
    assert_eq!(node.state(), LifeCycle::Parked);
    assert_eq!(node.epoch(), ONE);
}

#[test]
fn the_last_wish_counts() {
    let mut node = running();
    assert_eq!(tell(&mut node, &[RESTART, PARK]), [PAUSE]);
    tell(&mut node, &[WELL]);
    assert_eq!(node.state(), LifeCycle::Parked);

    let mut node = running();
    assert_eq!(tell(&mut node, &[PARK, RESTART]), [PAUSE]);
    tell(&mut node, &[WELL]);
    assert_eq!(node.state(), LifeCycle::Starting);
}

#[test]
fn a_person_may_kill_for_a_restart_and_the_node_lives_on() {
    let by = Forcer::RestartForce;
    let kill = NodeEvent::Restart {
        kill: Some(Kill { epoch: ONE, by }),
    };
    let mut node = running();
    assert_eq!(
        tell(&mut node, &[RESTART, kill.clone(), kill, KILLED]),
        [
            PAUSE,
            NodeCommand::Kill { epoch: ONE },
            NodeCommand::Repair { epoch: ONE },
            NodeCommand::Spawn { epoch: TWO },
        ]
    );
    assert_eq!(node.end(), None);
    let spawned = NodeEvent::Spawned { epoch: TWO, pid: 8 };
    assert_eq!(
        tell(&mut node, &[spawned]),
        [],
        "the next one is not killed"
    );
}

#[test]
fn who_was_killed_for_a_park_and_never_started_again_was_forced() {
    let by = Forcer::StopForce;
    let kill = Some(Kill { epoch: ONE, by });
    let mut node = running();
    let commands = tell(&mut node, &[NodeEvent::Park { kill }, KILLED]);
    assert_eq!(
        commands,
        [
            NodeCommand::Kill { epoch: ONE },
            NodeCommand::Repair { epoch: ONE },
        ]
    );
    assert_eq!(node.state(), LifeCycle::Parked);
    assert_eq!(node.because(), Some("parked; forced by `stop --force`"));
    tell(
        &mut node,
        &[NodeEvent::StopBegun, NodeEvent::OutputsDrained],
    );
    assert_eq!(node.end(), Some(&End::Forced { by }));
    assert_eq!(node.state(), LifeCycle::Failed);
}

#[test]
fn a_kill_spares_an_incarnation_that_the_person_has_not_seen() {
    let by = Forcer::RestartForce;
    let kill = Some(Kill { epoch: ONE, by });
    let mut node = running();
    let restart = NodeEvent::Restart { kill };
    tell(&mut node, &[PARK, WELL, restart.clone()]);
    let spawned = NodeEvent::Spawned { epoch: TWO, pid: 8 };
    assert_eq!(tell(&mut node, &[restart, spawned]), []);
    assert_eq!(node.state(), LifeCycle::Starting);
}

#[test]
fn a_node_that_starts_is_left_alone_unless_a_person_kills() {
    let mut node = node(Program::UsesLibrary, 4);
    assert_eq!(tell(&mut node, &[RESTART]), []);
    assert_eq!(node.state(), LifeCycle::Starting);
    let by = Forcer::RestartForce;
    let kill = Some(Kill { epoch: ONE, by });
    assert_eq!(
        tell(&mut node, &[NodeEvent::Restart { kill }, KILLED]),
        [
            NodeCommand::Kill { epoch: ONE },
            NodeCommand::Repair { epoch: ONE },
            NodeCommand::Spawn { epoch: TWO },
        ],
        "and the up has not failed"
    );
}

#[test]
fn a_stop_of_the_dataflow_wins_over_both() {
    for wish in [PARK, RESTART] {
        let mut node = running();
        let stop = |mode| NodeEvent::Stop {
            mode,
            upto: Vec::new(),
        };
        let told = [
            wish,
            NodeEvent::StopBegun,
            stop(StopMode::Graceful),
            stop(StopMode::Now),
        ];
        let now = NodeCommand::SendStop {
            epoch: ONE,
            mode: StopMode::Now,
            upto: Vec::new(),
        };
        assert_eq!(
            tell(&mut node, &told),
            [PAUSE, now],
            "told once, and then stronger"
        );
        for wish in [Wish::Park, Wish::Restart] {
            assert_eq!(node.refuses(wish), Some(Refusal::Stopping));
        }
        assert_eq!(tell(&mut node, &[PARK, RESTART]), []);
        assert_eq!(
            tell(&mut node, &[WELL]),
            [
                NodeCommand::Repair { epoch: ONE },
                NodeCommand::CloseInputs,
                NodeCommand::CloseOutputs,
            ]
        );
        assert_eq!(node.refuses(Wish::Restart), Some(Refusal::Ended));
    }
}

#[test]
fn a_node_that_was_not_started_yet_cannot_be_parked() {
    let mut node = node(Program::UsesLibrary, 1);
    assert_eq!(node.refuses(Wish::Park), Some(Refusal::NotStarted));
    assert_eq!(
        node.refuses(Wish::Restart),
        None,
        "it will be started anyway"
    );
    assert_eq!(tell(&mut node, &[PARK, RESTART]), []);
    assert_eq!(node.state(), LifeCycle::Placed);
}

#[test]
fn a_node_whose_inputs_have_closed_is_not_restarted_by_hand_either() {
    let mut node = running();
    tell(&mut node, &[RESTART, NodeEvent::InputsClosed, WELL]);
    assert_eq!(node.end(), Some(&End::Drained));
}

/// After how many steps, for which node, what.
type At = (u32, u32, NodeEvent);

fn run(scenario: &Scenario, wishes: &[At]) -> World {
    let mut world = World::new(scenario);
    world.ask(FlowEvent::Start);
    for step in 0..400_000 {
        for (_, wish) in scenario.wishes.iter().filter(|(at, _)| *at == step) {
            world.ask(wish.clone());
        }
        for (_, node, wish) in wishes.iter().filter(|(at, _, _)| *at == step) {
            world.wish(node % scenario.nodes, wish.clone());
        }
        if world.is_over() {
            return world;
        }
        world.step();
    }
    let stuck: Vec<_> = world.machines().collect();
    panic!("it does not end: {:#?}\n{stuck:#?}", world.flow);
}

fn wish(kills: bool) -> impl Strategy<Value = NodeEvent> {
    let by = Forcer::StopForce;
    let kill = (1..4_u32).prop_map(move |epoch| Kill {
        epoch: Epoch(epoch),
        by,
    });
    let kill = prop::option::weighted(0.3, kill).prop_map(move |kill| kill.filter(|_| kills));
    (any::<bool>(), kill).prop_map(|(parks, kill)| match parks {
        true => NodeEvent::Park { kill },
        false => NodeEvent::Restart { kill },
    })
}

/// A chain with a shortcut: two sources, two relays, a sink.
fn scenario(seed: u64, messages: u64, crashes: u32, wishes: Vec<(u32, FlowEvent)>) -> Scenario {
    Scenario {
        nodes: 5,
        edges: vec![(0, 2), (1, 2), (2, 3), (3, 4), (1, 4)],
        seed,
        on_failure: OnFailure::Continue,
        restart: RestartPolicy {
            on: RestartOn::OnFailure,
            ..RestartPolicy::default()
        },
        crashes,
        messages,
        cycles: Cycles::Endless,
        wishes,
    }
}

proptest! {
    #[test]
    fn whoever_is_parked_or_restarted_a_stop_ends_the_dataflow(
        seed: u64,
        messages in 0..40_u64,
        crashes in 0..3_u32,
        wishes in prop::collection::vec((0..1_500_u32, 0..5_u32, wish(true)), 0..12),
    ) {
        let by = "a test".to_owned();
        let mode = StopMode::Graceful;
        let world = run(
            &scenario(seed, messages, crashes, vec![(1_500, FlowEvent::Stop { mode, by })]),
            &wishes,
        );
        for machine in world.machines() {
            prop_assert!(machine.state().is_final());
        }
        for edge in &world.edges {
            prop_assert_eq!(edge.closed_at, Some(edge.sent), "{:?}", edge);
        }
    }

    #[test]
    fn members_of_a_cycle_may_be_parked_and_restarted_and_a_stop_ends_it(
        seed: u64,
        messages in 0..40_u64,
        is_dying: bool,
        wishes in prop::collection::vec((0..1_500_u32, 0..5_u32, wish(true)), 0..12),
    ) {
        let by = "a test".to_owned();
        let mode = StopMode::Graceful;
        let acyclic = scenario(seed, messages, 0, vec![(1_500, FlowEvent::Stop { mode, by })]);
        let world = run(
            &Scenario {
                // A cycle that a source feeds and a sink reads, and a self-edge that nobody feeds.
                edges: vec![(0, 1), (1, 2), (2, 1), (2, 3), (4, 4)],
                cycles: if is_dying { Cycles::Dying } else { Cycles::Endless },
                ..acyclic
            },
            &wishes,
        );
        for edge in &world.edges {
            prop_assert_eq!(edge.closed_at, Some(edge.sent), "{:?}", edge);
        }
    }

    #[test]
    fn restarts_by_hand_and_pauses_lose_nothing(
        seed: u64,
        messages in 1..40_u64,
        wishes in prop::collection::vec((0..1_500_u32, 0..5_u32, wish(false)), 0..12),
    ) {
        // In the end everybody who was parked is started again.
        let unparked = (0..5).map(|node| (1_500, node, RESTART));
        let wishes: Vec<At> = wishes.into_iter().chain(unparked).collect();
        let world = run(&scenario(seed, messages, 0, Vec::new()), &wishes);
        prop_assert_eq!(world.outcome, Some(Outcome::Drained));
        for edge in &world.edges {
            prop_assert_eq!((edge.taken, edge.dropped), (edge.sent, 0), "{:?}", edge);
        }
    }
}
