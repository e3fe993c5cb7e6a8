//! One dataflow on virtual time, with a fault in it, beside another one that must not notice.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, UNIX_EPOCH};

use dataflow_core::placement::Capabilities;
use dataflow_descriptor::{Dataflow, Environment, check_text};
use dataflow_ids::End;
use dataflow_runtime::actor::{AnyActor, Counts, Fault, Injected, What, When};
use dataflow_runtime::embed::{Embedded, Inspector, Surroundings, embed};
use dataflow_runtime::models::{LocalModels, Models, NoModels};
use dataflow_runtime::process::{LaunchError, LaunchOrder};
use dataflow_runtime::{Controls, RunError, RunOptions};
use dataflow_shm::edge::EdgeReading;
use dataflow_testkit::launcher::{FakeLauncher, Program};
use dataflow_testkit::models::{FakeFetcher, Script};
use dataflow_testkit::virtual_time;
use dataflow_wire::status::{Outcome, Report};

use super::scenarios::bystander;

/// Longer than any scenario takes, on the virtual clock. Who takes that long hangs.
const HANGS_AFTER: Duration = Duration::from_secs(3600);

/// Longer than it takes to build an actor again that has panicked twice.
const REBUILT_AFTER: Duration = Duration::from_secs(5);

/// Who a person is, in a scenario.
pub(crate) struct Person {
    pub(crate) controls: Controls,
}

pub(crate) type Drive = fn(Person) -> Pin<Box<dyn Future<Output = ()>>>;

/// A model by its name, and what comes of it.
pub(crate) type Model = (&'static str, fn() -> Script);

/// A dataflow, what its processes do, and what a person does to it.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) nodes: &'static str,
    /// What comes of its models, each by its name.
    pub(crate) models: &'static [Model],
    pub(crate) launch: fn(&LaunchOrder) -> Result<Program, LaunchError>,
    pub(crate) drive: Drive,
    /// A fault that belongs to the scenario: an actor, a kind, and how often it panics there.
    pub(crate) fault: Option<(&'static str, &'static str, u64)>,
}

/// What strikes an actor, and when.
#[derive(Debug, Clone)]
pub(crate) struct Strike {
    pub(crate) actor: String,
    pub(crate) when: When,
    pub(crate) fault: Fault,
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}, {:?}", self.fault, self.actor, self.when)
    }
}

/// How a dataflow ended, as far as it must be the same with a fault as without.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    /// Each node, its end, and how often it was restarted.
    pub(crate) nodes: Vec<(String, End, u32)>,
}

/// What came of a scenario.
pub(crate) struct Played {
    pub(crate) result: Result<Report, RunError>,
    pub(crate) mailboxes: Vec<(String, Counts)>,
    pub(crate) audit: Result<(), String>,
    /// Processes that were not reaped.
    pub(crate) left: usize,
    pub(crate) struck: u64,
    /// Which messages have made their actor panic, or were handled.
    pub(crate) met: BTreeSet<(String, &'static str)>,
    /// The kinds of messages of each actor.
    pub(crate) kinds: BTreeMap<String, &'static [&'static str]>,
    /// All that is known of the other dataflow at its end.
    pub(crate) bystander: String,
}

impl Played {
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.result.as_ref().ok().map(ending)
    }
}

pub(crate) fn ending(report: &Report) -> Ending {
    let nodes = report.nodes.iter();
    Ending {
        outcome: report.outcome,
        nodes: nodes
            .map(|node| (node.node.to_string(), node.end.clone(), node.restarts))
            .collect(),
    }
}

fn dataflow(name: &str, models: &[Model], nodes: &str) -> Dataflow {
    let described = models
        .iter()
        .map(|(model, _)| format!("  {model}: {{ repo: {model} }}\n"));
    let mut models: String = described.collect();
    if !models.is_empty() {
        models.insert_str(0, "models:\n");
    }
    let text = format!("name: {name}\n{models}nodes:\n{nodes}");
    let checked = check_text(&text, "flow.yml", "/", &Environment::of_this_process());
    let diagnostics = checked.diagnostics;
    (checked.dataflow).unwrap_or_else(|| panic!("{name}: {diagnostics:?}"))
}

/// A service of these models.
fn service(models: &'static [Model]) -> Rc<LocalModels> {
    let fetcher = FakeFetcher::new(|order| {
        let mut scripts = models.iter();
        let found = scripts.find(|(model, _)| *model == order.spec.repo);
        found.expect("the model is one of the scenario's").1()
    });
    Rc::new(LocalModels::new(Rc::new(fetcher)))
}

fn begin(
    name: &str,
    dataflow: Dataflow,
    launcher: &FakeLauncher,
    models: Rc<dyn Models>,
) -> (Embedded, mpsc::Receiver<dataflow_runtime::RunEvent>) {
    let surroundings = Surroundings {
        launcher: Rc::new(launcher.clone()),
        models,
        seed: 7,
        run: name.to_owned(),
        pid: 4711,
        capabilities: Capabilities {
            memory_bytes: 1 << 30,
            cpus: 2,
            ..Capabilities::default()
        },
        output_memory_bytes: 1 << 20,
        options: RunOptions::default(),
        begins_at: UNIX_EPOCH,
    };
    let (to_test, events) = mpsc::channel();
    let run = embed(dataflow, surroundings, to_test).expect("there is memory for it");
    (run, events)
}

/// Every actor of a dataflow and of its models.
fn actors(inspector: &Inspector, models: &LocalModels) -> Vec<Box<dyn AnyActor>> {
    let mut actors = inspector.actors();
    actors.push(models.actor());
    actors
}

fn inject(actors: &[Box<dyn AnyActor>], actor: &str, when: When, fault: Fault) -> Injected {
    let actor = actors.iter().find(|found| found.name() == actor);
    actor.expect("there is such an actor").inject(when, fault)
}

/// Plays a scenario from its beginning to its end.
pub(crate) fn play(scenario: &Scenario, strikes: &[Strike]) -> Played {
    virtual_time::run(async {
        let launcher = FakeLauncher::new(scenario.launch);
        let models = service(scenario.models);
        let described = dataflow(scenario.name, scenario.models, scenario.nodes);
        let held: Rc<dyn Models> = Rc::<LocalModels>::clone(&models);
        let (run, _events) = begin(scenario.name, described, &launcher, held);
        run.fold_statistics();
        let inspector = run.inspector();
        let actors = actors(&inspector, &models);
        if let Some((actor, kind, times)) = scenario.fault {
            let when = When::kind(kind).times(times);
            inject(&actors, actor, when, Fault::PanicBefore);
        }
        let injected: Vec<Injected> = (strikes.iter())
            .map(|strike| inject(&actors, &strike.actor, strike.when, strike.fault))
            .collect();
        let met = Rc::new(RefCell::new(BTreeSet::new()));
        let mut kinds = BTreeMap::new();
        for actor in &actors {
            kinds.insert(actor.name().to_owned(), actor.kinds());
            let met = Rc::clone(&met);
            actor.watch(Box::new(move |seen| {
                if matches!(seen.what, What::Handled | What::Panicked) {
                    let key = (seen.actor.to_owned(), seen.kind);
                    met.borrow_mut().insert(key);
                }
            }));
        }
        let controls = run.controls();
        let person = actix_rt::spawn((scenario.drive)(Person { controls }));
        let hangs = || panic!("{}: {strikes:?}: it hangs", scenario.name);
        let (result, bystander) = tokio::join!(
            async {
                let result = tokio::time::timeout(HANGS_AFTER, run.run()).await;
                result.unwrap_or_else(|_| hangs())
            },
            watch_bystander(),
        );
        person.abort();
        // The models hear that nobody wants them any more.
        virtual_time::advance(REBUILT_AFTER).await;
        let met = met.borrow().clone();
        let mut mailboxes = inspector.mailboxes();
        let actor = models.actor();
        mailboxes.push((actor.name().to_owned(), actor.counts()));
        Played {
            result,
            mailboxes,
            audit: inspector.audit().map_err(|mismatch| mismatch.to_string()),
            left: launcher.processes().len(),
            struck: injected.iter().map(Injected::struck).sum(),
            met,
            kinds,
            bystander,
        }
    })
}

/// The other dataflow, and all that is known of it at its end.
async fn watch_bystander() -> String {
    let launcher = FakeLauncher::new(bystander::launch);
    let described = dataflow("bystander", &[], bystander::NODES);
    let (run, _events) = begin("bystander", described, &launcher, Rc::new(NoModels));
    let inspector = run.inspector();
    let report = tokio::time::timeout(HANGS_AFTER, run.run()).await;
    let report = report
        .expect("the bystander does not hang")
        .expect("it ends well");
    assert_eq!(report.outcome, Outcome::Drained);
    inspector.audit().expect("its statistics add up");
    for (actor, counts) in inspector.mailboxes() {
        let is_well = counts.balances() && counts.dead_lettered == 0 && counts.waiting == 0;
        assert!(is_well, "bystander: {actor} {counts:?}");
    }
    let edges = inspector.readings().into_iter();
    let counts: Vec<_> = edges
        .map(|(_, EdgeReading { counts, .. })| {
            (counts.sent, counts.delivered, counts.released, counts.lost)
        })
        .collect();
    format!("{:?} {counts:?}", ending(&report).nodes)
}
