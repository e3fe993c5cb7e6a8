//! A node's life keeps to its table, whatever it is told and in which order.

use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::lifecycle::{
    Exit, Kill, Needs, NodeCommand, NodeEvent, NodeMachine, NodeSettings, Program,
    transition_allowed,
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
    let by = Forcer::StopForce;
    let kill =
        move || prop::option::weighted(0.3, epoch().prop_map(move |epoch| Kill { epoch, by }));
    let mode = prop::sample::select(vec![StopMode::Graceful, StopMode::Now]);
    let upto = prop::collection::vec((0..3_u32, 0..9_u64), 0..2).prop_map(|upto| {
        let pair = |(edge, upto)| (EdgeId(edge), Sequence(upto));
        upto.into_iter().map(pair).collect()
    });
    prop_oneof![
        12 => Just(NodeEvent::Placed),
        12 => Just(NodeEvent::Start),
        12 => Just(NodeEvent::ModelsReady),
        1 => Just(NodeEvent::ModelsFailed { why: "gated".into() }),
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
        2 => kill().prop_map(|kill| NodeEvent::Park { kill }),
        3 => kill().prop_map(|kill| NodeEvent::Restart { kill }),
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
        // What a person wants is heard, whatever was seen before; only its kill may be stale.
        NodeEvent::Park { kill } => {
            let kill = kill.map(|kill| Kill {
                epoch: at(kill.epoch),
                ..kill
            });
            return (NodeEvent::Park { kill }, false);
        }
        NodeEvent::Restart { kill } => {
            let kill = kill.map(|kill| Kill {
                epoch: at(kill.epoch),
                ..kill
            });
            return (NodeEvent::Restart { kill }, false);
        }
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
        prop::sample::select(vec![Needs::Nothing, Needs::Models]),
    )
        .prop_map(|(program, on, restarts_max, seed, needs)| NodeSettings {
            program,
            restart: RestartPolicy {
                on,
                restarts_max,
                ..RestartPolicy::default()
            },
            seed,
            needs,
        })
}

/// What has been seen of one machine from outside.
struct Observer {
    state: LifeCycle,
    spawned: u32,
    is_stopped: bool,
    is_forced: bool,
    has_models: bool,
    end: Option<End>,
    closed: (u32, u32),
    failed_up: u32,
}

impl Observer {
    fn new(needs: Needs) -> Self {
        Observer {
            has_models: needs == Needs::Nothing,
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
        self.is_forced |= matches!(
            event,
            NodeEvent::Force { .. }
                | NodeEvent::Park { kill: Some(_) }
                | NodeEvent::Restart { kill: Some(_) }
        );
        self.has_models |= *event == NodeEvent::ModelsReady;
    }

    fn see(&mut self, command: &NodeCommand) {
        assert!(!self.state.is_final(), "{command:?} after the end");
        match command {
            NodeCommand::Spawn { epoch } => {
                assert!(!self.is_stopped, "a stop wins over every start");
                assert!(self.has_models, "nobody starts without his models");
                self.spawned += 1;
                assert_eq!(*epoch, Epoch(self.spawned), "epochs grow by one");
            }
            NodeCommand::Kill { .. } => assert!(self.is_forced, "only a person kills"),
            NodeCommand::CloseInputs => self.closed.0 += 1,
            NodeCommand::CloseOutputs => self.closed.1 += 1,
            NodeCommand::FailUp { .. } => {
                self.failed_up += 1;
                assert!(self.spawned <= 1, "only a first incarnation fails the up");
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
        let mut observer = Observer::new(settings.needs);
        let mut machine = NodeMachine::new(settings);
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
