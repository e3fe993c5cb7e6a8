//! The rules of section 7 of the design, one by one.

use dataflow_core::Time;
use dataflow_core::lifecycle::{
    Exit, Needs, NodeCommand, NodeEvent, NodeMachine, NodeSettings, Program, Refusal, Wish,
};
use dataflow_ids::{
    EdgeId, End, Epoch, Forcer, LifeCycle, RestartOn, RestartPolicy, Sequence, StopMode,
};

fn machine(program: Program, on: RestartOn) -> NodeMachine {
    machine_with(program, on, Needs::Nothing)
}

fn machine_with(program: Program, on: RestartOn, needs: Needs) -> NodeMachine {
    NodeMachine::new(NodeSettings {
        program,
        restart: RestartPolicy {
            on,
            ..RestartPolicy::default()
        },
        seed: 1,
        needs,
    })
}

fn tell_all(machine: &mut NodeMachine, events: &[NodeEvent]) -> Vec<NodeCommand> {
    let handled = events
        .iter()
        .cloned()
        .map(|event| machine.handle(Time::START, event));
    // The reports are looked at through the machine's accessors.
    handled
        .flatten()
        .filter(|command| !matches!(command, NodeCommand::Report { .. }))
        .collect()
}

const ONE: Epoch = Epoch(1);
const TWO: Epoch = Epoch(2);
const UP: [NodeEvent; 5] = [
    NodeEvent::Placed,
    NodeEvent::Start,
    NodeEvent::Spawned { epoch: ONE, pid: 7 },
    NodeEvent::Connected { epoch: ONE },
    NodeEvent::Ready { epoch: ONE },
];
const GRACEFUL: NodeEvent = NodeEvent::Stop {
    mode: StopMode::Graceful,
    upto: Vec::new(),
};

const PARK: NodeEvent = NodeEvent::Park { kill: None };
const RESTART: NodeEvent = NodeEvent::Restart { kill: None };

fn exited(epoch: Epoch, exit: Exit) -> NodeEvent {
    NodeEvent::Exited { epoch, exit }
}

fn crashed(how: &str) -> Option<End> {
    Some(End::Crashed { how: how.into() })
}

fn downloading() -> NodeMachine {
    let mut node = machine_with(Program::UsesLibrary, RestartOn::Always, Needs::Models);
    let commands = tell_all(&mut node, &[NodeEvent::Placed, NodeEvent::Start]);
    assert_eq!((commands, node.state()), (vec![], LifeCycle::Downloading));
    node
}

#[test]
fn a_node_starts_when_its_models_are_there_and_no_restart_waits_for_them_again() {
    let mut node = downloading();
    let spawn = |epoch| vec![NodeCommand::Spawn { epoch }];
    let told = tell_all(&mut node, &[NodeEvent::ModelsReady]);
    assert_eq!((told, node.state()), (spawn(ONE), LifeCycle::Starting));
    let crash = [
        NodeEvent::Spawned { epoch: ONE, pid: 7 },
        NodeEvent::Ready { epoch: ONE },
        exited(ONE, Exit::Code(1)),
    ];
    tell_all(&mut node, &crash);
    let told = tell_all(&mut node, &[NodeEvent::BackoffElapsed { epoch: ONE }]);
    assert_eq!((told, node.state()), (spawn(TWO), LifeCycle::Starting));
}

#[test]
fn models_that_are_there_early_are_not_waited_for() {
    let mut node = machine_with(Program::UsesLibrary, RestartOn::Always, Needs::Models);
    let early = [NodeEvent::Placed, NodeEvent::ModelsReady, NodeEvent::Start];
    let told = tell_all(&mut node, &early);
    assert_eq!(told, [NodeCommand::Spawn { epoch: ONE }]);
}

#[test]
fn a_model_that_cannot_be_had_fails_the_up_unless_the_node_has_its_models() {
    let why = "model detector is gated".to_owned();
    let failed = NodeEvent::ModelsFailed { why: why.clone() };
    let mut node = downloading();
    let told = tell_all(&mut node, std::slice::from_ref(&failed));
    let close = [NodeCommand::CloseInputs, NodeCommand::CloseOutputs];
    assert_eq!(told[0], NodeCommand::FailUp { why: why.clone() });
    assert_eq!(told[1..], close);
    assert_eq!(node.end(), crashed(&why).as_ref());

    let mut has_them = downloading();
    tell_all(&mut has_them, &[NodeEvent::ModelsReady]);
    let told = tell_all(&mut has_them, &[failed]);
    assert_eq!((told, has_them.end()), (vec![], None));
}

#[test]
fn a_node_that_waits_for_its_models_ends_with_the_stop_at_once() {
    let force = NodeEvent::Force {
        by: Forcer::DownForce,
    };
    for stop in [NodeEvent::StopBegun, GRACEFUL, force] {
        let mut node = downloading();
        let told = tell_all(&mut node, &[stop, NodeEvent::ModelsReady]);
        let close = [NodeCommand::CloseInputs, NodeCommand::CloseOutputs];
        assert_eq!(told, close, "and it is not started after that");
        assert_eq!(node.end(), Some(&End::Drained));
    }
}

#[test]
fn a_node_that_waits_for_its_models_cannot_be_parked_and_is_started_anyway() {
    let mut node = downloading();
    assert_eq!(node.refuses(Wish::Park), Some(Refusal::NotStarted));
    assert_eq!(tell_all(&mut node, &[PARK, RESTART]), []);
    assert_eq!(node.state(), LifeCycle::Downloading);
    let told = tell_all(&mut node, &[NodeEvent::ModelsReady]);
    assert_eq!(told, [NodeCommand::Spawn { epoch: ONE }]);
}

#[test]
fn a_node_without_a_place_fails_the_up() {
    let mut node = machine(Program::UsesLibrary, RestartOn::Always);
    let why = "no peer has a gpu".to_owned();
    let how = "no place for it: no peer has a gpu";
    assert_eq!(
        tell_all(
            &mut node,
            &[NodeEvent::NoPlace { why }, NodeEvent::StopBegun]
        ),
        [
            NodeCommand::FailUp { why: how.into() },
            NodeCommand::CloseInputs,
            NodeCommand::CloseOutputs,
        ]
    );
    assert_eq!(node.end().cloned(), crashed(how));
}

#[test]
fn an_exit_before_ready_fails_the_up_whatever_the_policy_says() {
    for exit in [Exit::Code(0), Exit::Code(1)] {
        let mut node = machine(Program::UsesLibrary, RestartOn::Always);
        tell_all(&mut node, &UP[..4]);
        let why = format!("{exit} before it was ready");
        assert_eq!(
            tell_all(&mut node, &[exited(ONE, exit)]),
            [
                NodeCommand::Repair { epoch: ONE },
                NodeCommand::FailUp { why: why.clone() },
                NodeCommand::CloseInputs,
                NodeCommand::CloseOutputs,
            ]
        );
        assert_eq!(node.end().cloned(), crashed(&why));
    }
}

#[test]
fn a_node_that_a_person_parks_before_it_is_ready_does_not_fail_the_up() {
    let mut node = machine(Program::UsesLibrary, RestartOn::Never);
    tell_all(&mut node, &UP[..4]);
    assert_eq!(
        tell_all(&mut node, &[PARK, exited(ONE, Exit::Signal(15))]),
        [
            NodeCommand::Terminate { epoch: ONE },
            NodeCommand::Repair { epoch: ONE },
        ]
    );
    assert_eq!(node.state(), LifeCycle::Parked);
}

#[test]
fn the_sequences_of_the_first_stop_count() {
    let mut node = machine(Program::UsesLibrary, RestartOn::OnFailure);
    tell_all(&mut node, &UP);
    let elapsed = NodeEvent::BackoffElapsed { epoch: ONE };
    tell_all(&mut node, &[exited(ONE, Exit::Code(1)), elapsed]);
    let mode = StopMode::Graceful;
    let upto = |sequence| vec![(EdgeId(0), Sequence(sequence))];
    let stop = |sequence| NodeEvent::Stop {
        mode,
        upto: upto(sequence),
    };
    let connected = NodeEvent::Connected { epoch: TWO };
    assert_eq!(
        tell_all(&mut node, &[stop(5), stop(9), connected]),
        [NodeCommand::SendStop {
            epoch: TWO,
            mode,
            upto: upto(5)
        }]
    );
}

#[test]
fn a_program_that_cannot_be_started_fails_the_up() {
    let mut node = machine(Program::UsesLibrary, RestartOn::Always);
    let failed = NodeEvent::SpawnFailed {
        epoch: ONE,
        cause: "permission denied".into(),
    };
    let commands = tell_all(&mut node, &[NodeEvent::Placed, NodeEvent::Start, failed]);
    let why = "could not be started: permission denied";
    assert!(commands.contains(&NodeCommand::FailUp { why: why.into() }));
    assert_eq!(node.end().cloned(), crashed(why));
}

#[test]
fn a_later_incarnation_that_exits_before_ready_has_crashed_and_is_restarted() {
    let mut node = machine(Program::UsesLibrary, RestartOn::OnFailure);
    tell_all(&mut node, &UP);
    tell_all(
        &mut node,
        &[
            exited(ONE, Exit::Code(1)),
            NodeEvent::BackoffElapsed { epoch: ONE },
        ],
    );
    assert_eq!((node.state(), node.epoch()), (LifeCycle::Starting, TWO));
    tell_all(&mut node, &[exited(TWO, Exit::Code(1))]);
    assert_eq!(node.state(), LifeCycle::Backoff);
}

#[test]
fn a_first_incarnation_that_is_not_ready_gets_sigterm_at_a_stop_and_ends_well() {
    let mut node = machine(Program::UsesLibrary, RestartOn::Always);
    tell_all(&mut node, &UP[..4]);
    assert_eq!(
        tell_all(&mut node, &[NodeEvent::StopBegun]),
        [NodeCommand::Terminate { epoch: ONE }]
    );
    tell_all(&mut node, &[exited(ONE, Exit::Signal(15))]);
    assert_eq!(node.end(), Some(&End::Drained));
}

#[test]
fn a_member_of_a_cycle_that_becomes_ready_during_the_stop_is_told_how_far_it_receives() {
    let mut node = machine(Program::UsesLibrary, RestartOn::Always);
    tell_all(&mut node, &UP[..4]);
    tell_all(&mut node, &[NodeEvent::StopBegun]);
    // It has ignored the SIGTERM, and its cycle is stopped later, when nothing comes into that any more.
    assert_eq!(
        tell_all(&mut node, &UP[4..]),
        [NodeCommand::MarkReady],
        "a stop without limits would make it wait for inputs that cannot close before it ends"
    );
    let (mode, upto) = (StopMode::Graceful, vec![(EdgeId(0), Sequence(3))]);
    let stop = NodeEvent::Stop {
        mode,
        upto: upto.clone(),
    };
    let epoch = ONE;
    assert_eq!(
        tell_all(&mut node, &[stop]),
        [NodeCommand::SendStop { epoch, mode, upto }]
    );
}

#[test]
fn a_first_incarnation_that_is_being_spawned_gets_sigterm_as_soon_as_it_runs() {
    let mut node = machine(Program::UsesLibrary, RestartOn::Always);
    tell_all(&mut node, &UP[..2]);
    assert_eq!(tell_all(&mut node, &[NodeEvent::StopBegun, GRACEFUL]), []);
    assert_eq!(
        tell_all(&mut node, &UP[2..3]),
        [NodeCommand::Terminate { epoch: ONE }]
    );
}

#[test]
fn a_later_incarnation_that_is_not_connected_gets_the_stop_once_it_is() {
    let mut node = machine(Program::UsesLibrary, RestartOn::OnFailure);
    tell_all(&mut node, &UP);
    tell_all(
        &mut node,
        &[
            exited(ONE, Exit::Code(1)),
            NodeEvent::BackoffElapsed { epoch: ONE },
        ],
    );
    let spawned = NodeEvent::Spawned { epoch: TWO, pid: 8 };
    assert_eq!(
        tell_all(&mut node, &[spawned, NodeEvent::StopBegun, GRACEFUL]),
        []
    );
    assert_eq!(
        tell_all(&mut node, &[NodeEvent::Connected { epoch: TWO }]),
        [NodeCommand::SendStop {
            epoch: TWO,
            mode: StopMode::Graceful,
            upto: Vec::new()
        }]
    );
}

#[test]
fn a_stop_lets_a_node_with_inputs_go_on_until_they_close() {
    let mut node = machine(Program::UsesLibrary, RestartOn::Always);
    tell_all(&mut node, &UP);
    assert_eq!(
        tell_all(&mut node, &[NodeEvent::StopBegun, NodeEvent::InputsClosed]),
        []
    );
    assert_eq!(node.state(), LifeCycle::Ready);
    tell_all(&mut node, &[exited(ONE, Exit::Code(0))]);
    assert_eq!(node.end(), Some(&End::Drained));
}

#[test]
fn now_after_graceful_is_passed_on_and_graceful_after_now_is_not() {
    let mut node = machine(Program::UsesLibrary, RestartOn::Never);
    tell_all(&mut node, &UP);
    let now = NodeEvent::Stop {
        mode: StopMode::Now,
        upto: Vec::new(),
    };
    let modes: Vec<StopMode> =
        tell_all(&mut node, &[GRACEFUL, GRACEFUL, now.clone(), GRACEFUL, now])
            .into_iter()
            .filter_map(|command| match command {
                NodeCommand::SendStop { mode, .. } => Some(mode),
                _ => None,
            })
            .collect();
    assert_eq!(modes, [StopMode::Graceful, StopMode::Now]);
}

#[test]
fn a_program_without_the_library_is_ready_when_started_and_stopped_by_sigterm() {
    let mut node = machine(Program::MayLackLibrary, RestartOn::Never);
    tell_all(&mut node, &UP[..3]);
    assert_eq!(node.state(), LifeCycle::Ready);
    assert_eq!(
        tell_all(&mut node, &[NodeEvent::StopBegun, GRACEFUL]),
        [NodeCommand::Terminate { epoch: ONE }]
    );
    // A shell says it in its own way.
    tell_all(
        &mut node,
        &[exited(ONE, Exit::Code(143)), NodeEvent::OutputsDrained],
    );
    assert_eq!(node.state(), LifeCycle::Finished);
}

#[test]
fn an_exit_by_sigterm_that_we_did_not_send_is_a_crash() {
    let mut node = machine(Program::UsesLibrary, RestartOn::Never);
    tell_all(&mut node, &UP);
    tell_all(
        &mut node,
        &[
            GRACEFUL,
            exited(ONE, Exit::Signal(15)),
            NodeEvent::OutputsDrained,
        ],
    );
    assert_eq!(node.end().cloned(), crashed("killed by SIGTERM"));
    assert_eq!(node.state(), LifeCycle::Failed);
}

#[test]
fn an_exit_code_after_a_stop_is_a_crash_that_is_not_restarted() {
    let mut node = machine(Program::UsesLibrary, RestartOn::Always);
    tell_all(&mut node, &UP);
    tell_all(
        &mut node,
        &[NodeEvent::StopBegun, GRACEFUL, exited(ONE, Exit::Code(3))],
    );
    assert_eq!(node.end().cloned(), crashed("exit code 3"));
    assert_eq!(node.state(), LifeCycle::Draining);
}

#[test]
fn backoff_and_parking_end_for_good_at_a_stop() {
    let mut node = machine(Program::UsesLibrary, RestartOn::OnFailure);
    tell_all(&mut node, &UP);
    tell_all(&mut node, &[exited(ONE, Exit::Code(3))]);
    assert_eq!(node.state(), LifeCycle::Backoff);
    assert_eq!(
        tell_all(
            &mut node,
            &[
                NodeEvent::StopBegun,
                NodeEvent::BackoffElapsed { epoch: ONE }
            ]
        ),
        [NodeCommand::CloseInputs, NodeCommand::CloseOutputs]
    );
    assert_eq!(node.end().cloned(), crashed("exit code 3"));

    let mut node = machine(Program::UsesLibrary, RestartOn::OnFailure);
    tell_all(&mut node, &UP);
    assert_eq!(
        tell_all(&mut node, &[PARK, exited(ONE, Exit::Code(0))]),
        [
            NodeCommand::SendPause { epoch: ONE },
            NodeCommand::Repair { epoch: ONE },
        ],
        "its edges stay open"
    );
    assert_eq!(node.state(), LifeCycle::Parked);
    tell_all(&mut node, &[NodeEvent::StopBegun]);
    assert_eq!(node.end(), Some(&End::Drained));
}

#[test]
fn a_node_whose_inputs_have_closed_is_not_restarted() {
    for order in [true, false] {
        let mut node = machine(Program::UsesLibrary, RestartOn::Always);
        tell_all(&mut node, &UP);
        let mut events = vec![NodeEvent::InputsClosed, exited(ONE, Exit::Code(3))];
        if order {
            events.reverse();
        }
        tell_all(&mut node, &events);
        assert_eq!(node.end().cloned(), crashed("exit code 3"));
    }
}

#[test]
fn restarts_by_hand_do_not_count() {
    let mut node = machine(Program::UsesLibrary, RestartOn::OnFailure);
    tell_all(&mut node, &UP);
    for epoch in (1..30).map(Epoch) {
        tell_all(
            &mut node,
            &[
                NodeEvent::Ready { epoch },
                RESTART,
                exited(epoch, Exit::Code(1)),
            ],
        );
        assert_eq!(
            (node.state(), node.epoch()),
            (LifeCycle::Starting, epoch.next())
        );
    }
}

#[test]
fn an_exhausted_policy_ends_the_node_as_crashed() {
    let mut node = machine(Program::UsesLibrary, RestartOn::OnFailure);
    tell_all(&mut node, &UP);
    for epoch in (1..=6).map(Epoch) {
        let ready = NodeEvent::Ready { epoch };
        let elapsed = NodeEvent::BackoffElapsed { epoch };
        tell_all(
            &mut node,
            &[ready, exited(epoch, Exit::Signal(11)), elapsed],
        );
    }
    assert_eq!(
        node.end().cloned(),
        crashed("killed by SIGSEGV; not restarted: 5 restarts within 60 s")
    );
}

#[test]
fn force_kills_and_says_so_unless_the_process_was_faster() {
    let by = Forcer::SecondInterrupt;
    for (exit, end) in [
        (Exit::Signal(9), End::Forced { by }),
        (Exit::Code(0), End::Drained),
    ] {
        let mut node = machine(Program::UsesLibrary, RestartOn::Always);
        tell_all(&mut node, &UP);
        assert_eq!(
            tell_all(&mut node, &[NodeEvent::Force { by }]),
            [NodeCommand::Kill { epoch: ONE }]
        );
        tell_all(&mut node, &[exited(ONE, exit)]);
        assert_eq!(node.end(), Some(&end));
    }
}

#[test]
fn a_kill_that_nobody_here_ordered_is_a_crash() {
    let mut node = machine(Program::UsesLibrary, RestartOn::Never);
    tell_all(&mut node, &UP);
    tell_all(&mut node, &[exited(ONE, Exit::Signal(9))]);
    assert_eq!(node.end().cloned(), crashed("killed by SIGKILL"));
}

#[test]
fn an_exit_that_is_heard_before_the_start_is_not_lost() {
    let mut node = machine(Program::UsesLibrary, RestartOn::Never);
    tell_all(&mut node, &UP[..2]);
    tell_all(&mut node, &[exited(ONE, Exit::Code(1)), UP[2].clone()]);
    assert_eq!(node.state(), LifeCycle::Draining);
    assert!(!node.has_process());
}
