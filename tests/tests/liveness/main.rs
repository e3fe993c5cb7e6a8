//! Nothing that models do delays anybody's heartbeat: four downloads flat out, gigabytes that are hashed, and a
//! `DownloadActor` that blocks its thread.
//!
//! In a binary of its own, so that no other test runs beside it: what is measured here is who has the processor.

mod beats;
mod load;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

use dataflow_core::placement::Capabilities;
use dataflow_descriptor::{Dataflow, Environment, check_text};
use dataflow_ids::{LifeCycle, StopMode};
use dataflow_runtime::embed::{Inspector, Surroundings, embed};
use dataflow_runtime::models::{
    ActorFault, FetchLimits, HubFetcher, LocalModels, ModelService, Models,
};
use dataflow_runtime::process::ProcessLauncher;
use dataflow_runtime::{RunEvent, RunOptions};
use dataflow_tests::{Lateness, pulse_node};
use dataflow_wire::status::ModelState;

use load::Load;

/// What 99 of 100 heartbeats should keep to.
const GOAL: Duration = Duration::from_secs(1);
/// What is asserted: other people's machines are busy.
const LIMIT: Duration = Duration::from_secs(10);

/// Where the `DownloadActor` lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrangement {
    /// As in a real run: on a thread of its own.
    Apart,
    /// With everybody else.
    Shared,
}

/// What was felt while the `DownloadActor` was blocked.
struct Felt {
    /// From actor to actor, in the thread that leads the nodes.
    heartbeats: Lateness,
    /// From node to node, over an edge.
    messages: Lateness,
    /// Of nodes and of the dataflow.
    changes: Vec<String>,
}

impl Felt {
    fn is_alive(&self) -> bool {
        [&self.heartbeats, &self.messages]
            .iter()
            .all(|lateness| lateness.count() > 100 && lateness.percentile(99.0) < LIMIT)
            && self.changes.is_empty()
    }
}

impl std::fmt::Display for Felt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "goal: p99 under {GOAL:?}")?;
        writeln!(f, "  heartbeats: {}", self.heartbeats)?;
        writeln!(f, "  messages:   {}", self.messages)?;
        write!(f, "  changes of state: {:?}", self.changes)
    }
}

/// A node that sends at a beat to another one, and one that waits for its model.
fn dataflow(folder: &Path) -> Dataflow {
    let node = pulse_node();
    let yaml = format!(
        "name: liveness
models:
  slow: {{ repo: acme/slow }}
env: {{ DATAFLOW_TEST_RECORDS: '{folder}' }}
nodes:
  - id: pulse
    path: {node}
    args: [send, every_ms=10]
    outputs: [out]
  - id: feel
    path: {node}
    args: [feel]
    inputs: {{ in: {{ source: pulse/out, queue_size: 16384 }} }}
  - id: wants
    path: {node}
    models: [slow]
    outputs: [out]
",
        folder = folder.display(),
        node = node.display()
    );
    let checked = check_text(&yaml, "flow.yml", folder, &Environment::default());
    let diagnostics = checked.diagnostics;
    checked
        .dataflow
        .unwrap_or_else(|| panic!("{diagnostics:?}"))
}

/// Blocks the `DownloadActor` for `block` while a dataflow runs, under a load if there is to be one.
fn block(arrangement: Arrangement, block: Duration, with_load: bool) -> Felt {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = place.path();
    let slow = load::slow_hub();
    let fast = with_load.then(load::hub);
    let settings = load::settings(&slow, &folder.join("cache"));
    actix_rt::System::new().block_on(async {
        let limits = FetchLimits::default();
        let models: Rc<dyn Models>;
        let strike: Box<dyn Fn(ActorFault)>;
        match arrangement {
            Arrangement::Apart => {
                let service = ModelService::for_hub(settings, limits).expect("its threads start");
                let service = Rc::new(service);
                models = Rc::clone(&service) as _;
                strike = Box::new(move |fault| service.strike(fault));
            }
            Arrangement::Shared => {
                let fetcher = HubFetcher::new(settings, limits, load::pool());
                let fetcher = fetcher.expect("its threads start");
                let local = Rc::new(LocalModels::new(Rc::new(fetcher)));
                models = Rc::clone(&local) as _;
                strike = Box::new(move |fault| local.strike(fault));
            }
        }
        let launcher = ProcessLauncher::new(None).expect("its thread starts");
        let surroundings = Surroundings {
            launcher: Rc::new(launcher),
            models: Rc::clone(&models),
            seed: 7,
            run: format!("liveness-{}-{arrangement:?}", std::process::id()),
            pid: std::process::id(),
            capabilities: Capabilities::default(),
            output_memory_bytes: 1 << 24,
            options: RunOptions::default(),
            begins_at: SystemTime::now(),
        };
        let (to_test, events) = channel();
        let run = embed(dataflow(folder), surroundings, to_test).expect("the memory of its edges");
        let (controls, looks) = (run.controls(), run.inspector());
        let ends = actix_rt::spawn(run.run());
        until_steady(&looks).await;
        changes(&events);

        let load = fast.map(|hub| Load::begin(hub, &folder.join("caches")));
        let heartbeats = Rc::new(RefCell::new(Lateness::default()));
        let beats = actix_rt::spawn(beats::beat(Rc::clone(&heartbeats)));
        let began = Instant::now();
        strike(ActorFault::Block(block));
        // Who wants something now is heard when the actor is free again.
        let mut wanted = models.want(load::order("acme/slow"));
        while wanted.view().state == ModelState::Waiting {
            assert!(wanted.changed().await, "the service has gone");
        }
        assert!(began.elapsed() >= block, "it was not blocked");
        // Whoever was held up catches up, and has counted every beat.
        let due = || (began.elapsed().as_nanos() / beats::BEAT.as_nanos()) as usize;
        while heartbeats.borrow().count() + 10 < due() {
            tokio::time::sleep(beats::BEAT).await;
        }
        beats.abort();
        let changes = changes(&events);
        if let Some(load) = load {
            println!("{}", load.end());
        }

        controls.stop(StopMode::Graceful, None);
        let report = ends
            .await
            .expect("it does not panic")
            .expect("it goes on to its end");
        assert!(
            report.nodes.iter().all(|node| node.restarts == 0),
            "{report:?}"
        );
        let heartbeats = heartbeats.borrow().clone();
        let messages = Lateness::read(folder, "feel").expect("it has written it at its end");
        Felt {
            heartbeats,
            messages,
            changes,
        }
    })
}

/// Waits until messages flow, and one node waits for its model.
async fn until_steady(looks: &Inspector) {
    let expected = [
        LifeCycle::Running,
        LifeCycle::Running,
        LifeCycle::Downloading,
    ];
    let is_steady = || {
        let nodes = looks.status().nodes;
        nodes.iter().map(|node| node.state).eq(expected)
    };
    while !is_steady() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Which states have changed since this was asked last.
fn changes(events: &Receiver<RunEvent>) -> Vec<String> {
    let change = |event| match event {
        RunEvent::State { node, from, to, .. } => Some(format!("{node}: {from:?} → {to:?}")),
        RunEvent::Phase(phase) => Some(format!("{phase:?}")),
        _ => None,
    };
    events.try_iter().filter_map(change).collect()
}

#[test]
fn downloads_hashing_and_a_blocked_download_actor_delay_no_heartbeat_and_no_message() {
    let felt = block(Arrangement::Apart, Duration::from_secs(40), true);
    println!("{felt}");
    assert!(felt.is_alive(), "{felt}");
}

/// So the test above can fail. The block alone is enough for that.
#[test]
fn with_the_download_actor_on_the_thread_of_all_actors_that_test_fails() {
    let felt = block(Arrangement::Shared, LIMIT + Duration::from_secs(2), false);
    println!("on one thread: {felt}");
    assert!(!felt.is_alive(), "{felt}");
}
