//! A node's life keeps to its table, whatever it is told and in which order.

use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::lifecycle::{
    Exit, NodeCommand, NodeEvent, NodeMachine, NodeSettings, Program, transition_allowed,
};
use dataflow_ids::{
    EdgeId, End, Epoch, Forcer, LifeCycle, RestartOn, RestartPolicy, Sequence, StopMode,
};
use proptest::prelude::*;

/// What is told; `Epoch` stands for how far back from the current one it lies.
fn event() -> impl Strategy<Value = NodeEvent> {
    let epoch = || prop::sample::select(vec![0, 0, 0, 0, 0, 1]).prop_map(Epoch);
    let exit = prop_oneof![
        2 => Just(Exit::Code(0)),
        2 => Just(Exit::Code(3)),
        1 => Just(Exit::Signal(9)),
        1 => Just(Exit::Signal(15)),
    ];
    let mode = prop::sample::select(vec![StopMode::Graceful, StopMode::Now]);
    let upto = prop::collection::vec((0..3_u32, 0..9_u64), 0..2).prop_map(|upto| {
        let pair = |(edge, upto)| (EdgeId(edge), Sequence(upto));
        upto.into_iter().map(pair).collect()
    });
    prop_oneof![
        12 => Just(NodeEvent::Placed),
        12 => Just(NodeEvent::Start),
        12 => epoch().prop_map(|epoch| NodeEvent::Spawned { epoch, pid: 4711 }),
        1 => epoch().prop_map(|epoch| NodeEvent::SpawnFailed { epoch, cause: "no such file".into() }),
        12 => epoch().prop_map(|epoch| NodeEvent::Connected { epoch }),
        12 => epoch().prop_map(|epoch| NodeEvent::Ready { epoch }),
        12 => epoch().prop_map(|epoch| NodeEvent::Running { epoch }),
        6 => (epoch(), exit).prop_map(|(epoch, exit)| NodeEvent::Exited { epoch, exit }),
        1 => Just(NodeEvent::StopBegun),
        1 => (mode, upto).prop_map(|(mode, upto)| NodeEvent::Stop { mode, upto }),
        2 => epoch().prop_map(|epoch| NodeEvent::StopDelivered { epoch }),
        1 => Just(NodeEvent::InputsClosed),
        9 => epoch().prop_map(|epoch| NodeEvent::BackoffElapsed { epoch }),
        3 => Just(NodeEvent::OutputsDrained),
        1 => Just(NodeEvent::Force { by: Forcer::DownForce }),
        2 => Just(NodeEvent::Park),
        3 => Just(NodeEvent::Restart),
    ]
}

fn shift(event: NodeEvent, current: Epoch) -> (NodeEvent, bool) {
    let at = |back: Epoch| Epoch(current.0.saturating_sub(back.0));
    let shifted = match event.clone() {
        NodeEvent::Spawned { epoch, pid } => NodeEvent::Spawned {
            epoch: at(epoch),
            pid,
        },
        NodeEvent::SpawnFailed { epoch, cause } => NodeEvent::SpawnFailed {
            epoch: at(epoch),
            cause,
        },
        NodeEvent::Connected { epoch } => NodeEvent::Connected { epoch: at(epoch) },
        NodeEvent::Ready { epoch } => NodeEvent::Ready { epoch: at(epoch) },
        NodeEvent::Running { epoch } => NodeEvent::Running { epoch: at(epoch) },
        NodeEvent::Exited { epoch, exit } => NodeEvent::Exited {
            epoch: at(epoch),
            exit,
        },
        NodeEvent::StopDelivered { epoch } => NodeEvent::StopDelivered { epoch: at(epoch) },
        NodeEvent::BackoffElapsed { epoch } => NodeEvent::BackoffElapsed { epoch: at(epoch) },
        other => return (other, false),
    };
    let is_stale = current != Epoch::NONE
        && matches!(
            event,
            NodeEvent::Spawned {
                epoch: Epoch(1),
                ..
            } | NodeEvent::SpawnFailed {
                epoch: Epoch(1),
                ..
            } | NodeEvent::Connected { epoch: Epoch(1) }
                | NodeEvent::Ready { epoch: Epoch(1) }
                | NodeEvent::Running { epoch: Epoch(1) }
                | NodeEvent::Exited {
                    epoch: Epoch(1),
                    ..
                }
                | NodeEvent::StopDelivered { epoch: Epoch(1) }
                | NodeEvent::BackoffElapsed { epoch: Epoch(1) }
        );
    (shifted, is_stale)
}

fn settings() -> impl Strategy<Value = NodeSettings> {
    (
        prop::sample::select(vec![Program::UsesLibrary, Program::MayLackLibrary]),
        prop::sample::select(vec![
            RestartOn::Never,
            RestartOn::OnFailure,
            RestartOn::Always,
        ]),
        0..5_u32,
        any::<u64>(),
    )
        .prop_map(|(program, on, restarts_max, seed)| NodeSettings {
            program,
            restart: RestartPolicy {
                on,
                restarts_max,
                ..RestartPolicy::default()
            },
            seed,
        })
}

/// What has been seen of one machine from outside.
struct Observer {
    state: LifeCycle,
    spawned: u32,
    is_stopped: bool,
    is_forced: bool,
    end: Option<End>,
    closed: (u32, u32),
    failed_up: u32,
}

impl Observer {
    fn new() -> Self {
        Observer {
            state: LifeCycle::Declared,
            spawned: 0,
            is_stopped: false,
            is_forced: false,
            end: None,
            closed: (0, 0),
            failed_up: 0,
        }
    }

    fn told(&mut self, event: &NodeEvent) {
        self.is_stopped |= matches!(
            event,
            NodeEvent::StopBegun | NodeEvent::Stop { .. } | NodeEvent::Force { .. }
        );
        self.is_forced |= matches!(event, NodeEvent::Force { .. });
    }

    fn see(&mut self, command: &NodeCommand) {
        assert!(!self.state.is_final(), "{command:?} after the end");
        match command {
            NodeCommand::Spawn { epoch } => {
                assert!(!self.is_stopped, "a stop wins over every start");
                self.spawned += 1;
                assert_eq!(*epoch, Epoch(self.spawned), "epochs grow by one");
            }
            NodeCommand::Kill { .. } => assert!(self.is_forced, "only a person kills"),
            NodeCommand::CloseInputs => self.closed.0 += 1,
            NodeCommand::CloseOutputs => self.closed.1 += 1,
            NodeCommand::FailUp { .. } => {
                self.failed_up += 1;
                assert_eq!(self.spawned, 1, "only a first incarnation fails the up");
                assert!(!self.is_stopped, "a stopped node fails no up");
            }
            NodeCommand::Report { from, to, end, .. } => {
                assert_eq!(*from, self.state);
                assert!(transition_allowed(*from, *to), "{from} → {to}");
                self.state = *to;
                if self.end.is_some() {
                    assert_eq!(*end, self.end, "an end is said once and never changed");
                }
                self.end.clone_from(end);
                let has_ended = *to == LifeCycle::Draining || to.is_final();
                assert_eq!(end.is_some(), has_ended);
                match (to, end) {
                    (LifeCycle::Finished, end) => assert_eq!(*end, Some(End::Drained)),
                    (LifeCycle::Failed, end) => assert_ne!(*end, Some(End::Drained)),
                    _ => {}
                }
                if let Some(End::Forced { .. }) = end {
                    assert!(self.is_forced);
                }
            }
            _ => {}
        }
    }
}

fn tell(machine: &mut NodeMachine, observer: &mut Observer, now: Time, event: NodeEvent) {
    observer.told(&event);
    for command in machine.handle(now, event.clone()) {
        observer.see(&command);
    }
    assert_eq!(machine.state(), observer.state);
    assert_eq!(machine.end(), observer.end.as_ref());
    let once = machine.clone();
    assert_eq!(
        machine.handle(now, event.clone()),
        [],
        "{event:?} told twice"
    );
    assert_eq!(*machine, once, "{event:?} told twice");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_life_keeps_to_its_table_and_has_exactly_one_end(
        settings in settings(),
        events in prop::collection::vec((event(), 0..40_u64), 0..80),
    ) {
        let mut machine = NodeMachine::new(settings);
        let mut observer = Observer::new();
        let mut now = Time::START;
        for (event, seconds) in events {
            now = now.after(Duration::from_secs(seconds));
            let (event, is_stale) = shift(event, machine.epoch());
            if is_stale {
                let before = machine.clone();
                prop_assert_eq!(machine.handle(now, event), []);
                prop_assert_eq!(&machine, &before, "an old epoch changes nothing");
                continue;
            }
            tell(&mut machine, &mut observer, now, event);
        }

        // However far it came, a stop and the end of its process bring it to its end.
        tell(&mut machine, &mut observer, now, NodeEvent::StopBegun);
        let mode = StopMode::Graceful;
        tell(&mut machine, &mut observer, now, NodeEvent::Stop { mode, upto: Vec::new() });
        let epoch = machine.epoch();
        if machine.has_process() {
            let exit = Exit::Code(0);
            tell(&mut machine, &mut observer, now, NodeEvent::Exited { epoch, exit });
        }
        tell(&mut machine, &mut observer, now, NodeEvent::OutputsDrained);
        prop_assert!(machine.state().is_final());
        prop_assert!(observer.end.is_some());
        prop_assert_eq!(observer.closed, (1, 1), "its edges were closed once");
        prop_assert!(observer.failed_up <= 1);
    }
}

fn machine(program: Program, on: RestartOn) -> NodeMachine {
    NodeMachine::new(NodeSettings {
        program,
        restart: RestartPolicy {
            on,
            ..RestartPolicy::default()
        },
        seed: 1,
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

fn exited(epoch: Epoch, exit: Exit) -> NodeEvent {
    NodeEvent::Exited { epoch, exit }
}

fn crashed(how: &str) -> Option<End> {
    Some(End::Crashed { how: how.into() })
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
        tell_all(&mut node, &[NodeEvent::Park, exited(ONE, Exit::Code(0))]),
        [
            NodeCommand::SendStop {
                epoch: ONE,
                mode: StopMode::Now,
                upto: Vec::new()
            },
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
                NodeEvent::Restart,
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
