//! The scenarios: together they let every message of every actor come.

use std::time::Duration;

use dataflow_core::lifecycle::Exit;
use dataflow_ids::{Forcer, NodeId, StopMode};
use dataflow_runtime::models::ModelError;
use dataflow_runtime::process::{LaunchError, LaunchOrder};
use dataflow_testkit::launcher::{Program, programs};
use dataflow_testkit::models::{Ending, Script};
use dataflow_testkit::process::{Afterwards, Behaviour, CrashPoint, Lingers};

use super::play::{Person, Scenario};
use super::simulated::simulated;

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "by-itself",
        nodes: LINE,
        models: &[],
        launch: line,
        drive: |_| Box::pin(async {}),
        fault: None,
    },
    Scenario {
        name: "stopped",
        nodes: LINE,
        models: &[],
        launch: line_that_waits,
        drive: |person| Box::pin(stop(person, StopMode::Graceful)),
        fault: None,
    },
    Scenario {
        name: "stopped-now",
        nodes: LINE,
        models: &[],
        launch: |order| {
            play_line(order, |behaviour| {
                behaviour.messages = u64::MAX;
                behaviour.think_max = Duration::from_millis(40);
            })
        },
        drive: |person| Box::pin(stop(person, StopMode::Now)),
        fault: None,
    },
    Scenario {
        name: "slow-to-release",
        nodes: LINE,
        models: &[],
        launch: |order| {
            play_line(order, |behaviour| {
                behaviour.chunk_one_in = 1;
                behaviour.holds_one_in = 1;
                behaviour.hold_max = Duration::from_secs(9);
                behaviour.lingers = Lingers::For(Duration::from_secs(6));
            })
        },
        drive: |person| Box::pin(stop(person, StopMode::Graceful)),
        fault: None,
    },
    Scenario {
        name: "restarted",
        nodes: LINE,
        models: &[],
        launch: |order| {
            let epoch = order.epoch.0;
            play_line(order, |behaviour| {
                behaviour.messages = 40;
                if epoch == 1 {
                    behaviour.crash = CrashPoint::AtStep(20);
                }
            })
        },
        drive: |_| Box::pin(async {}),
        fault: None,
    },
    Scenario {
        name: "exhausted",
        nodes: LINE,
        models: &[],
        launch: |order| {
            let is_filter = order.node.as_str() == "filter";
            play_line(order, |behaviour| {
                if is_filter {
                    behaviour.crash = CrashPoint::AtStep(9);
                }
            })
        },
        drive: |_| Box::pin(async {}),
        fault: None,
    },
    Scenario {
        name: "not-there",
        nodes: LINE,
        models: &[],
        launch: |order| match order.node.as_str() {
            "sink" => Err(programs::missing(order)),
            _ => line(order),
        },
        drive: |_| Box::pin(async {}),
        fault: None,
    },
    Scenario {
        name: "no-place",
        nodes: "  - { id: small, path: /bin/true }
  - { id: large, path: /bin/true, requires: { memory_gb: 64 } }
",
        models: &[],
        launch: |_| Ok(programs::exits(Exit::Code(0))),
        drive: |_| Box::pin(async {}),
        fault: None,
    },
    Scenario {
        name: "forced",
        nodes: LINE,
        models: &[],
        launch: line_for_ever,
        drive: |person| {
            Box::pin(async move {
                sleep(2).await;
                person.controls.stop(StopMode::Graceful, None);
                sleep(2).await;
                let by = Forcer::DownForce;
                person.controls.force(by);
            })
        },
        fault: None,
    },
    Scenario {
        name: "forced-after",
        nodes: LINE,
        models: &[],
        launch: line_for_ever,
        drive: |person| {
            Box::pin(async move {
                sleep(2).await;
                let wait = Duration::from_secs(3);
                person.controls.stop(StopMode::Graceful, Some(wait));
            })
        },
        fault: None,
    },
    Scenario {
        name: "cycle-at-rest",
        nodes: "  - { id: source, path: /bin/true, outputs: [out] }
  - { id: there, path: /bin/true, inputs: { in: source/out, back: back/out }, outputs: [out] }
  - { id: back, path: /bin/true, inputs: { in: there/out }, outputs: [out] }
",
        models: &[],
        launch: line,
        drive: |_| Box::pin(async {}),
        fault: None,
    },
    Scenario {
        name: "cycle-stopped",
        nodes: "  - { id: there, path: /bin/true, inputs: { in: back/out }, outputs: [out] }
  - { id: back, path: /bin/true, inputs: { in: there/out }, outputs: [out] }
",
        models: &[],
        launch: line,
        drive: |person| Box::pin(stop(person, StopMode::Graceful)),
        fault: None,
    },
    Scenario {
        name: "parked",
        nodes: LINE,
        models: &[],
        launch: line_that_waits,
        drive: |person| {
            Box::pin(async move {
                let node: NodeId = "filter".parse().expect("a name");
                sleep(2).await;
                person.controls.stop_node(node.clone(), None);
                sleep(2).await;
                person.controls.restart(node.clone(), None);
                sleep(2).await;
                person.controls.restart(node, Some(Forcer::DownForce));
                sleep(2).await;
                person.controls.stop(StopMode::Graceful, None);
            })
        },
        fault: None,
    },
    // Its source waits for its restart, or is just being started again, when the stop comes.
    Scenario {
        name: "stopped-in-between",
        nodes: "  - id: source
    path: /bin/true
    outputs: [out]
    restart: { policy: on-failure, max: 2, window: 60s, backoff: 100ms..200ms }
  - { id: sink, path: /bin/true, inputs: { in: source/out } }
",
        models: &[],
        launch: |order| {
            let is_first = order.epoch.0 == 1;
            let is_source = order.node.as_str() == "source";
            let behaviour = Behaviour {
                afterwards: Afterwards::Waits,
                crash: match is_first && is_source {
                    true => CrashPoint::AtStep(15),
                    false => CrashPoint::Never,
                },
                ..Behaviour::default()
            };
            let starts_after = Duration::from_secs(if is_first { 0 } else { 4 });
            Ok(simulated(0, behaviour).starts_after(starts_after))
        },
        drive: |person| Box::pin(stop(person, StopMode::Graceful)),
        fault: None,
    },
    Scenario {
        name: "given-up",
        nodes: LINE,
        models: &[],
        launch: line_that_waits,
        drive: |person| Box::pin(stop(person, StopMode::Graceful)),
        // Twice over one message: it is dead-lettered, and its actor is told to look for itself.
        fault: Some(("node 1", "Running", 2)),
    },
    Scenario {
        name: "with-models",
        nodes: LINE_WITH_MODELS,
        models: &[("small", one_second), ("large", one_minute)],
        launch: line,
        drive: |_| Box::pin(async {}),
        fault: None,
    },
    Scenario {
        name: "without-its-model",
        nodes: LINE_WITH_MODELS,
        models: &[("small", one_second), ("large", gone)],
        launch: line_that_waits,
        drive: |_| Box::pin(async {}),
        fault: None,
    },
    Scenario {
        name: "stopped-before-its-model-came",
        nodes: LINE_WITH_MODELS,
        models: &[("small", one_second), ("large", never)],
        launch: line_that_waits,
        drive: |person| Box::pin(stop(person, StopMode::Graceful)),
        fault: None,
    },
    Scenario {
        name: "a-word-of-a-fetch-lost",
        nodes: LINE_WITH_MODELS,
        models: &[("small", one_second), ("large", one_minute)],
        launch: line,
        drive: |_| Box::pin(async {}),
        // Twice over one message: it is dead-lettered, and the actor looks at what stands.
        fault: Some(("models", "Fetched", 2)),
    },
];

fn one_second() -> Script {
    Script::finishes_after(Duration::from_secs(1))
}

fn one_minute() -> Script {
    Script::finishes_after(Duration::from_secs(60))
}

fn never() -> Script {
    Script::ends_after(Duration::ZERO, Ending::Hangs)
}

fn gone() -> Script {
    let error = ModelError::RevisionNotFound {
        repo: "large".to_owned(),
        revision: "main".to_owned(),
    };
    Script::ends_after(Duration::from_secs(3), Ending::Fails(error))
}

/// As [`LINE`]; the last two wait for models.
const LINE_WITH_MODELS: &str = "  - { id: source, path: /bin/true, outputs: [out] }
  - id: filter
    path: /bin/true
    models: [small]
    inputs: { in: { source: source/out, queue_policy: block } }
    outputs: [out]
    restart: { policy: on-failure, max: 2, window: 60s, backoff: 100ms..200ms }
  - { id: sink, path: /bin/true, models: [large, small], inputs: { in: filter/out } }
";

/// Three nodes in a row; the second may be restarted.
const LINE: &str = "  - { id: source, path: /bin/true, outputs: [out] }
  - id: filter
    path: /bin/true
    inputs: { in: { source: source/out, queue_policy: block } }
    outputs: [out]
    restart: { policy: on-failure, max: 2, window: 60s, backoff: 100ms..200ms }
  - { id: sink, path: /bin/true, inputs: { in: filter/out } }
";

fn play_line(
    order: &LaunchOrder,
    change: impl FnOnce(&mut Behaviour),
) -> Result<Program, LaunchError> {
    let mut behaviour = Behaviour {
        connects_after: Duration::from_millis(10),
        ready_after: Duration::from_millis(10),
        ..Behaviour::default()
    };
    change(&mut behaviour);
    if order.node.as_str() != "filter" {
        behaviour.crash = CrashPoint::Never;
    }
    Ok(simulated(0, behaviour))
}

fn line(order: &LaunchOrder) -> Result<Program, LaunchError> {
    play_line(order, |_| {})
}

fn line_that_waits(order: &LaunchOrder) -> Result<Program, LaunchError> {
    play_line(order, |behaviour| {
        behaviour.afterwards = Afterwards::Waits;
    })
}

fn line_for_ever(order: &LaunchOrder) -> Result<Program, LaunchError> {
    play_line(order, |behaviour| {
        behaviour.afterwards = Afterwards::Waits;
        behaviour.lingers = Lingers::ForEver;
    })
}

async fn sleep(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

async fn stop(person: Person, mode: StopMode) {
    sleep(2).await;
    person.controls.stop(mode, None);
}

/// The other dataflow.
pub(crate) mod bystander {
    use super::{
        Behaviour, Duration, Exit, LaunchError, LaunchOrder, Program, programs, simulated,
    };

    pub(crate) const NODES: &str = "  - { id: source, path: /bin/true, outputs: [out] }
  - { id: sink, path: /bin/true, inputs: { in: { source: source/out, queue_policy: block } } }
  - id: restless
    path: /bin/true
    restart: { policy: on-failure, max: 2, window: 60s, backoff: 100ms..200ms }
";

    /// It sends, crashes, is restarted and ends while the other one is struck.
    pub(crate) fn launch(order: &LaunchOrder) -> Result<Program, LaunchError> {
        let after = Duration::from_millis(700);
        Ok(match (order.node.as_str(), order.epoch.0) {
            ("restless", 1) => programs::exits_after(after, Exit::Code(1)),
            ("restless", _) => programs::exits_after(after, Exit::Code(0)),
            _ => simulated(
                1,
                Behaviour {
                    messages: 12,
                    think_max: Duration::from_millis(500),
                    ..Behaviour::default()
                },
            ),
        })
    }
}
