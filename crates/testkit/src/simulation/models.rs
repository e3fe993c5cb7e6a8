//! The models of a seed: what its nodes wait for, what comes of that, strangers who want the same, and what must be
//! true of all of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::{Rc, Weak};
use std::time::Duration;

use dataflow_descriptor::{Dataflow, Model};
use dataflow_ids::{End, ModelIndex, ModelName, NodeIndex, RepoKind};
use dataflow_runtime::actor::{Injected, When};
use dataflow_runtime::models::{LocalModels, ModelError, ModelOrder, Models, Wanted};
use dataflow_runtime::process::LaunchOrder;
use dataflow_wire::waits::NodeWait;

use super::draw::Draw;
use super::notes::Notes;
use super::plan::{FaultKind, PlannedFault, RunPlan, fault_kind};
use super::world::World;
use crate::models::{Ending, FakeFetcher, FetchEnd, Script};

/// How many repositories there are. Runs and strangers want the same ones.
const REPOS: u64 = 3;
/// The rule that everything here is about.
const RULE: &str = "models";

/// Gives some of the runs' nodes models. Its choices are its own, so that nothing else of a seed depends on them.
pub(super) fn plan(seed: u64, plans: &mut [RunPlan]) {
    let mut draw = Draw::new(seed, 6);
    for plan in plans {
        if draw.percent(35) {
            give_models(&mut plan.dataflow, &mut draw);
        }
    }
}

fn give_models(dataflow: &mut Dataflow, draw: &mut Draw) {
    for place in 0..draw.between(1, REPOS) as u32 {
        dataflow.models.push(Model {
            name: ModelName::new(format!("model{place}")).expect("letters and digits make a name"),
            index: ModelIndex(place),
            repo: format!("acme/m{}", draw.below(REPOS)),
            kind: RepoKind::Model,
            revision: "main".to_owned(),
            files: Vec::new(),
        });
    }
    let count = dataflow.models.len() as u64;
    for node in &mut dataflow.nodes {
        if draw.percent(60) {
            let wanted: BTreeSet<u64> = (0..draw.between(1, count))
                .map(|_| draw.below(count))
                .collect();
            node.models = wanted
                .into_iter()
                .map(|model| ModelIndex(model as u32))
                .collect();
        }
    }
}

/// What comes of a fetch.
fn script(draw: &mut Draw) -> Script {
    let error = ModelError::RevisionNotFound {
        repo: "acme/m".to_owned(),
        revision: "main".to_owned(),
    };
    let ending = match draw.below(40) {
        0..=1 => Ending::Fails(error),
        2..=4 => Ending::Hangs,
        5 => Ending::Stalls,
        6 => Ending::Vanishes,
        7 => Ending::Panics,
        _ => Ending::Finishes,
    };
    Script {
        resolves_after: draw.millis(0, 30),
        takes: Duration::from_millis(draw.one_of(&[0, 1, 20, 100, 500, 3_000, 20_000])),
        says_late: draw.percent(60).then(|| draw.millis(0, 60)),
        ..Script::ends_after(Duration::ZERO, ending)
    }
}

/// What a stranger does.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Wants { repo: u64 },
    LetsGo { repo: u64 },
}

/// The one service of a seed, and the strangers that use it beside the runs.
pub(super) struct Service {
    pub(super) models: Rc<LocalModels>,
    world: Rc<World>,
    script: VecDeque<(Duration, Deed)>,
    wants: BTreeMap<u64, Wanted>,
    fault: Option<Injected>,
}

impl Service {
    pub(super) fn new(world: &Rc<World>) -> Service {
        let mut draw = Draw::new(world.seed, 7);
        let held = Rc::downgrade(world);
        let fetcher = FakeFetcher::new(move |order| begins(&held, order));
        *world.fetcher.borrow_mut() = Some(fetcher.clone());
        let models = Rc::new(LocalModels::new(Rc::new(fetcher)));
        let fault = draw.percent(30).then(|| PlannedFault {
            actor: 0,
            nth: draw.between(1, 12),
            kind: fault_kind(&mut draw),
        });
        let fault = fault.map(|fault| {
            let when = When::any().nth(fault.nth);
            match fault.kind {
                FaultKind::Of(kind) => models.actor().inject(when, kind),
                FaultKind::Duplicate => models.actor().duplicate(when),
            }
        });
        let mut script = Vec::new();
        let has_models = |it: &super::world::RunRecord| !it.plan.dataflow.models.is_empty();
        if world.runs.iter().any(has_models) && draw.percent(60) {
            for _ in 0..draw.between(1, 6) {
                let (repo, at) = (draw.below(REPOS), draw.one_of(&[0, 0, 0, 5, 500]));
                let at = Duration::from_millis(at);
                script.push((at, Deed::Wants { repo }));
                let until = at + Duration::from_millis(draw.one_of(&[0, 0, 1, 30, 2_000]));
                script.push((until, Deed::LetsGo { repo }));
            }
        }
        script.sort_by_key(|(at, _)| *at);
        Service {
            models,
            world: Rc::clone(world),
            script: script.into(),
            wants: BTreeMap::new(),
            fault,
        }
    }

    /// What the runs are given.
    pub(super) fn source(&self) -> Rc<dyn Models> {
        Rc::<LocalModels>::clone(&self.models)
    }

    /// Strangers do what is due.
    pub(super) fn do_deeds(&mut self) {
        let now = self.world.notes.now();
        while self.script.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, deed)) = self.script.pop_front()
        {
            self.world.notes.trace(|| format!("STRANGER {deed:?}"));
            match deed {
                Deed::Wants { repo } => {
                    let wanted = self.models.want(order_of(&format!("acme/m{repo}")));
                    self.wants.insert(repo, wanted);
                }
                Deed::LetsGo { repo } => drop(self.wants.remove(&repo)),
            }
        }
    }

    /// The runs are over.
    pub(super) async fn end(mut self) {
        self.wants.clear();
        // Longer than it takes to build an actor again.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let notes = &self.world.notes;
        let counts = self.models.actor().counts();
        let is_well = counts.balances() && counts.dead_lettered == 0 && counts.waiting == 0;
        notes.check(is_well, "I-10", || format!("models: {counts:?}"));
        let struck = self.fault.as_ref().map_or(0, Injected::struck);
        notes.count_many("faults of the actor of models that struck", struck);
        let fetcher = self.world.fetcher.borrow_mut().take();
        for fetch in fetcher.iter().flat_map(FakeFetcher::fetches) {
            notes.trace(|| format!("fetch {fetch:?}"));
            notes.count(match fetch.end {
                Some(FetchEnd::Said) => "fetches that came to their end",
                Some(FetchEnd::Cancelled) => "fetches that were cancelled",
                Some(FetchEnd::SaidLate) => "fetches that spoke after they were cancelled",
                None => "fetches that panicked or are left",
            });
        }
    }
}

/// As the runs' orders are, so that one fetch serves both.
fn order_of(repo: &str) -> ModelOrder {
    ModelOrder {
        spec: dataflow_core::models::ModelSpec {
            kind: RepoKind::Model,
            repo: repo.to_owned(),
            revision: "main".to_owned(),
            files: Vec::new(),
        },
        pins: Some("/simulated/dataflow.lock".into()),
        is_update: false,
    }
}

/// A fetch begins: it is the only one for its order.
fn begins(world: &Weak<World>, order: &ModelOrder) -> Script {
    let Some(world) = world.upgrade() else {
        return Script::finishes_after(Duration::ZERO);
    };
    let fetches = world.fetches();
    let goes_on = |it: &&crate::models::FakeFetch| it.order == *order && it.end.is_none();
    // One that has panicked is over, and says so to nobody but the service.
    let others = fetches.iter().filter(goes_on).filter(|it| !it.has_panicked);
    let others: Vec<_> = others.map(|it| it.epoch).collect();
    world.notes.check(others.is_empty(), RULE, || {
        format!("{} is fetched while it is, as {others:?}", order.spec)
    });
    let script = script(&mut Draw::new(world.seed, 8 + fetches.len() as u64));
    world
        .notes
        .trace(|| format!("fetch of {}: {script:?}", order.spec));
    if matches!(
        script.ending,
        Ending::Fails(_) | Ending::Vanishes | Ending::Panics
    ) {
        for record in &world.runs {
            let mut models = record.plan.dataflow.models.iter();
            if models.any(|model| model.repo == order.spec.repo) {
                record.has_failed_up.set(true);
            }
        }
    }
    script
}

/// A process is about to be started: all of its models are there, and it finds them.
pub(super) fn at_launch(world: &World, run: usize, order: &LaunchOrder) {
    let dataflow = &world.runs[run].plan.dataflow;
    let fetches = world.fetches();
    for model in &dataflow.nodes[order.index.0 as usize].models {
        let model = &dataflow.models[model.0 as usize];
        let variable = model.environment_variable();
        let path = order.program.env.get(std::ffi::OsStr::new(&variable));
        let path = path.and_then(Option::as_ref);
        let found = fetches.iter().find(|fetch| {
            path.is_some_and(|path| *path == *FakeFetcher::snapshot(fetch.epoch).as_os_str())
        });
        let is_right = found.is_some_and(|fetch| {
            fetch.order.spec.repo == model.repo && fetch.end == Some(FetchEnd::Said)
        });
        world.notes.check(is_right, RULE, || {
            format!(
                "run {run}, {:?} is started as {} with {variable}={path:?}, which is of {found:?}",
                order.index, order.epoch
            )
        });
        world.notes.count("models given to processes");
    }
}

/// Whether a node that never had a process may have failed: a model that it needs could not be had.
pub(super) fn may_lack_one(world: &World, run: usize, node: NodeIndex, end: &End) -> bool {
    let needs_any = !world.runs[run].plan.dataflow.nodes[node.0 as usize]
        .models
        .is_empty();
    needs_any && matches!(end, End::Crashed { how } if how.starts_with("model `"))
}

/// What a node that waits says of itself: what it waits for.
pub(super) fn look_at_waiting(notes: &Notes, node: &dataflow_wire::status::NodeStatus) {
    let names_it = (node.waits.iter()).all(|wait| matches!(wait, NodeWait::Models { .. }));
    notes.check(names_it, RULE, || format!("{node:?}"));
}
