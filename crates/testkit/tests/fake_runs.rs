//! Runs whose processes are none, on virtual time.

use std::future::pending;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, UNIX_EPOCH};

use dataflow_core::lifecycle::Exit;
use dataflow_core::placement::Capabilities;
use dataflow_descriptor::{Dataflow, Environment, check_text};
use dataflow_ids::{End, Forcer, LifeCycle, NodeId, StopMode};
use dataflow_runtime::embed::{Inspector, Surroundings, embed};
use dataflow_runtime::models::NoModels;
use dataflow_runtime::process::{LaunchError, LaunchOrder};
use dataflow_runtime::{Controls, RunError, RunOptions};
use dataflow_testkit::launcher::{FakeLauncher, FakeProcess, Program, programs};
use dataflow_testkit::process::{Behaviour, Releases};
use dataflow_testkit::virtual_time;
use dataflow_wire::status::{Outcome, Phase, Report};
use rustix::process::Signal;

fn dataflow(yaml: &str) -> Dataflow {
    let checked = check_text(yaml, "flow.yml", "/", &Environment::default());
    checked
        .dataflow
        .unwrap_or_else(|| panic!("{:?}", checked.diagnostics))
}

const ONE: &str =
    "name: one\nnodes:\n  - id: a\n    path: ./a\n    build: make\n    outputs: [out]\n";

struct Stage {
    launcher: FakeLauncher,
    controls: Controls,
    looks: Inspector,
}

impl Stage {
    /// Waits, on virtual time, until something is so.
    async fn until(&self, is_so: impl Fn(&Inspector) -> bool) {
        while !is_so(&self.looks) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn until_state(&self, state: LifeCycle) {
        self.until(|looks| looks.status().nodes[0].state == state)
            .await;
    }
}

/// One run on virtual time, with something that happens beside it. With its events as text.
fn play<F: Future<Output = ()>>(
    yaml: &str,
    choose: impl Fn(&LaunchOrder) -> Result<Program, LaunchError> + 'static,
    beside: impl FnOnce(Rc<Stage>) -> F,
) -> (Result<Report, RunError>, Vec<String>) {
    let dataflow = dataflow(yaml);
    virtual_time::run(async move {
        let launcher = FakeLauncher::new(choose);
        let surroundings = Surroundings {
            launcher: Rc::new(launcher.clone()),
            models: Rc::new(NoModels),
            seed: 7,
            run: "run".to_owned(),
            pid: 1,
            capabilities: Capabilities::default(),
            output_memory_bytes: 1024 * 1024,
            options: RunOptions::default(),
            begins_at: UNIX_EPOCH,
        };
        let (to_test, events) = mpsc::channel();
        let run = embed(dataflow, surroundings, to_test).expect("the memory of its edges");
        let stage = Rc::new(Stage {
            launcher: launcher.clone(),
            controls: run.controls(),
            looks: run.inspector(),
        });
        let (report, ()) = tokio::join!(run.run(), beside(Rc::clone(&stage)));
        assert!(launcher.processes().is_empty(), "all were reaped");
        assert!(launcher.is_closed());
        let mailboxes = stage.looks.mailboxes();
        assert!(
            mailboxes.iter().all(|(_, it)| it.balances()),
            "{mailboxes:?}"
        );
        stage.looks.audit().expect("sums equal members");
        let events = events.try_iter().map(|event| format!("{event:?}"));
        (report, events.collect())
    })
}

async fn nothing(_: Rc<Stage>) {}

#[test]
fn a_process_that_hangs_before_its_hello_is_stopped_by_the_signal() {
    let (report, _) = play(
        ONE,
        |_| Ok(programs::hangs()),
        async |stage: Rc<Stage>| {
            stage.until(|_| stage.launcher.launches() == 1).await;
            let process = stage.launcher.processes().remove(0);
            stage.controls.stop(StopMode::Graceful, None);
            process.ended().await;
            assert_eq!(process.signals()[0], Signal::TERM);
        },
    );
    assert_eq!(report.unwrap().outcome, Outcome::Drained);
}

#[test]
fn a_slow_one_is_waited_for_and_told_to_stop_in_words() {
    let slow = Duration::from_secs(3600);
    let (report, events) = play(
        ONE,
        move |_| Ok(programs::connects_after(slow)),
        async |stage: Rc<Stage>| {
            tokio::time::sleep(slow).await;
            stage.until_state(LifeCycle::Running).await;
            stage.controls.stop(StopMode::Graceful, None);
        },
    );
    let report = report.unwrap();
    assert_eq!(report.outcome, Outcome::Drained);
    assert!(report.up_for >= slow, "{:?}", report.up_for);
    assert!(!events.is_empty());
}

#[test]
fn one_that_ignores_stops_lives_until_a_person_forces_it() {
    let (report, _) = play(
        ONE,
        |_| Ok(programs::ignores_stops()),
        async |stage: Rc<Stage>| {
            stage.until_state(LifeCycle::Running).await;
            stage.controls.stop(StopMode::Graceful, None);
            tokio::time::sleep(Duration::from_secs(3600)).await;
            assert_eq!(stage.looks.status().phase, Phase::Stopping);
            stage.controls.force(Forcer::SecondInterrupt);
        },
    );
    let report = report.unwrap();
    assert_eq!(report.outcome, Outcome::Forced);
    assert!(matches!(report.nodes[0].end, End::Forced { .. }));
}

#[test]
fn one_that_stands_still_is_told_nothing_until_it_goes_on() {
    let (report, _) = play(
        ONE,
        |_| Ok(programs::connects_after(Duration::ZERO)),
        async |stage: Rc<Stage>| {
            stage.until_state(LifeCycle::Running).await;
            let process = stage.launcher.processes().remove(0);
            process.signal(Signal::STOP);
            stage.controls.stop(StopMode::Graceful, None);
            tokio::time::sleep(Duration::from_secs(3600)).await;
            assert!(process.is_stopped());
            assert_eq!(process.exit(), None, "no time makes it dead");
            process.signal(Signal::CONT);
            process.ended().await;
            assert_eq!(process.exit(), Some(Exit::Code(0)));
        },
    );
    assert_eq!(report.unwrap().outcome, Outcome::Drained);
}

#[test]
fn a_refused_start_fails_the_up_and_says_why() {
    let (report, _) = play(ONE, |order| Err(programs::missing(order)), nothing);
    let report = report.unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.because.contains("does not exist"), "{report:?}");
}

#[test]
fn one_that_closes_its_conversation_or_talks_nonsense_is_no_dead_process() {
    let (report, _) = play(
        ONE,
        |_| Ok(programs::hangs_up()),
        async |stage: Rc<Stage>| {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            let process = stage.launcher.processes().remove(0);
            assert_eq!(process.exit(), None);
            process.end(Exit::Code(3));
        },
    );
    assert_eq!(report.unwrap().outcome, Outcome::Failed);

    let (report, events) = play(ONE, |_| Ok(programs::talks_nonsense()), nothing);
    assert_eq!(report.unwrap().outcome, Outcome::Failed, "it got SIGTERM");
    assert!(events.iter().any(|event| event.contains("garbled")));
}

#[test]
fn a_wrapper_that_ends_takes_who_speaks_for_it_with_it() {
    let wrapper = |_: &LaunchOrder| {
        Ok(Program::new(|process| async move {
            process.fork(Program::new(|child| async move {
                child.leave_group();
                child.catch(Signal::TERM);
                programs::greet(&child);
                while child.next().await.is_some() {}
                pending().await
            }));
            tokio::time::sleep(Duration::from_secs(5)).await;
            Exit::Code(7)
        }))
    };
    let (report, _) = play(ONE, wrapper, async |stage: Rc<Stage>| {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let processes = stage.launcher.processes();
        let [wrapper, speaker] = <[FakeProcess; 2]>::try_from(processes).expect("two processes");
        assert_eq!(speaker.exit(), None, "the wrapper lives");
        tokio::join!(wrapper.ended(), speaker.ended());
        assert_eq!(speaker.signals(), [Signal::KILL]);
    });
    let report = report.unwrap();
    assert_eq!(report.outcome, Outcome::Failed, "{report:?}");
    assert!(report.because.contains('7'), "{}", report.because);
}

const PAIR: &str = "name: pair
nodes:
  - id: a
    path: ./a
    build: make
    outputs: [out]
  - id: b
    path: ./b
    build: make
    inputs: { in: { source: a/out, queue_policy: block, queue_size: 4 } }
";

/// Two simulated nodes: the second holds what it gets.
fn pair(held: Behaviour) -> impl Fn(&LaunchOrder) -> Result<Program, LaunchError> {
    move |order| {
        let behaviour = match order.node.as_str() {
            "a" => Behaviour {
                messages: 20,
                ..Behaviour::default()
            },
            _ => held.clone(),
        };
        Ok(programs::simulated(behaviour, 1))
    }
}

#[test]
fn one_that_holds_messages_for_minutes_is_waited_for_by_name_for_minutes() {
    let minutes = Duration::from_secs(600);
    let held = Behaviour {
        holds_one_in: 1,
        chunk_one_in: 1,
        hold_max: minutes,
        ..Behaviour::default()
    };
    let (report, events) = play(PAIR, pair(held), async |stage: Rc<Stage>| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stage.controls.stop(StopMode::Graceful, None);
    });
    let report = report.unwrap();
    assert_eq!(report.outcome, Outcome::Drained, "{report:?}");
    let counts = &report.edges[0].counts;
    assert_eq!(
        (counts.sent, counts.delivered, counts.released),
        (20, 20, 20)
    );
    assert!(report.up_for > minutes / 2, "{:?}", report.up_for);
    let named = events.iter().filter(|event| event.contains("Waiting"));
    assert!(named.count() > 100, "it says for whom it waits");
}

#[test]
fn what_one_holds_that_is_killed_is_lost_by_name() {
    let held = Behaviour {
        holds_one_in: 1,
        releases: Releases::Never,
        ..Behaviour::default()
    };
    let (report, events) = play(PAIR, pair(held), async |stage: Rc<Stage>| {
        stage
            .until(|looks| looks.readings()[0].1.counts.held > 0)
            .await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(stage.looks.status().phase, Phase::Running);
        let receiver = NodeId::new("b").unwrap();
        let process = stage.launcher.process_of(&receiver).unwrap();
        process.signal(Signal::KILL);
        process.ended().await;
    });
    let report = report.unwrap();
    assert_eq!(report.outcome, Outcome::Failed, "{report:?}");
    let counts = &report.edges[0].counts;
    assert!(counts.lost > 0, "{counts:?}");
    assert_eq!(
        counts.sent,
        counts.delivered + counts.dropped_receiver_closed
    );
    assert_eq!(counts.delivered, counts.released + counts.lost);
    let lost = events.iter().find(|event| event.contains("lost with it"));
    assert!(lost.is_some_and(|event| event.contains("a/out")));
}

#[test]
fn the_same_seed_gives_the_same_events_to_the_last_letter() {
    let yaml = "name: two\nnodes:
  - id: a
    path: ./a
    build: make
    restart: { policy: on-failure, max: 3, window: 60s, backoff: 1ms..900ms }
  - id: b
    path: ./b
    build: make
    outputs: [out]
";
    let run = || {
        let choose = |order: &LaunchOrder| {
            Ok(match (order.node.as_str(), order.epoch.0) {
                ("a", 1..=2) => Program::new(|process| async move {
                    process.print_all(&"many words\n".repeat(10_000)).await;
                    Exit::Code(1)
                }),
                ("a", _) => programs::exits_after(Duration::from_secs(5), Exit::Code(0)),
                _ => programs::connects_after(Duration::from_millis(10))
                    .starts_after(Duration::from_millis(10)),
            })
        };
        let (report, events) = play(yaml, choose, async |stage: Rc<Stage>| {
            tokio::time::sleep(Duration::from_secs(10)).await;
            stage.controls.stop(StopMode::Graceful, None);
        });
        (format!("{:?}", report.unwrap()), events)
    };
    let first = run();
    assert!(first.1.len() > 20_000, "{}", first.1.len());
    assert_eq!(first, run());
}
