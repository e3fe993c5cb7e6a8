//! The models of a dataflow: wanted, watched, and given to the nodes that need them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;

use dataflow_descriptor::Model;
use dataflow_ids::stats::{ActorRow, Downloads, PoolRow};
use dataflow_ids::{ModelIndex, NodeIndex};
use dataflow_wire::status::{ModelState, ModelStatus, ModelView};
use dataflow_wire::waits::ModelWait;

use super::Root;
use crate::actors::DataflowMessage;
use crate::env::{Task, TaskName};
use crate::models::{ModelOrder, Models as Source, Wanted, pool_row};
use dataflow_wire::event::RunEvent;

/// What the root holds for the models of the dataflow.
pub(super) struct ModelTable {
    source: Rc<dyn Source>,
    rows: RefCell<BTreeMap<ModelIndex, ModelRow>>,
}

/// What the root holds for one model that was wanted.
struct ModelRow {
    want: Want,
    /// Whether the task that watches it has panicked.
    has_panicked: bool,
}

enum Want {
    /// It is wanted, and the task watches it.
    Held { wanted: Wanted, _watches: Task },
    /// It is wanted no more. How it stood last.
    LetGo(Box<ModelView>),
}

impl ModelRow {
    fn view(&self) -> ModelView {
        match &self.want {
            Want::Held { wanted, .. } => wanted.view(),
            Want::LetGo(view) => (**view).clone(),
        }
    }
}

impl ModelTable {
    pub(super) fn new(source: Rc<dyn Source>) -> ModelTable {
        ModelTable {
            source,
            rows: RefCell::default(),
        }
    }

    /// How each model stands that was wanted.
    pub(super) fn views(&self) -> Vec<(ModelIndex, ModelView)> {
        let rows = self.rows.borrow();
        rows.iter()
            .map(|(model, row)| (*model, row.view()))
            .collect()
    }

    /// How the pool stands on which files are hashed and written, if there is one.
    pub(super) fn pool(&self) -> Option<PoolRow> {
        self.source.pool().as_ref().map(pool_row)
    }

    /// What was counted of the downloads of everybody whom the same serves.
    pub(super) fn downloads(&self) -> Downloads {
        self.source.downloads()
    }

    /// How the actor stands that leads them, if there is one.
    pub(super) fn actor_row(&self) -> Option<ActorRow> {
        self.source.actor_row()
    }

    /// How a model stands.
    fn view(&self, model: ModelIndex) -> ModelView {
        let rows = self.rows.borrow();
        rows.get(&model).map(ModelRow::view).unwrap_or_default()
    }
}

impl Root {
    /// From now on these models are wanted. What is wanted already, or was, is not wanted again.
    pub(crate) fn want_models(self: &Rc<Self>, models: &BTreeSet<ModelIndex>) {
        for model in models {
            if self.models.rows.borrow().contains_key(model) {
                continue;
            }
            let Some(described) = self.dataflow.models.get(model.0 as usize) else {
                continue;
            };
            let wanted =
                (self.models.source).want(ModelOrder::of(described, &self.dataflow.folder, false));
            let watches = self.watch_model(*model, &wanted);
            let want = Want::Held {
                wanted,
                _watches: watches,
            };
            let row = ModelRow {
                want,
                has_panicked: false,
            };
            self.models.rows.borrow_mut().insert(*model, row);
        }
    }

    /// Tells everybody how a model stands whenever that changes, until it has come to its end.
    fn watch_model(self: &Rc<Self>, model: ModelIndex, wanted: &Wanted) -> Task {
        let mut watch = wanted.watch();
        let root = Rc::downgrade(self);
        self.env.spawn(TaskName::Model(model), async move {
            loop {
                let goes_on = watch.changed().await;
                #[cfg(test)]
                crate::supervision::faults::task_step("model");
                let Some(root) = root.upgrade() else {
                    return;
                };
                let view = watch.view();
                let is_over = !goes_on || view.state.is_final();
                root.model_changed(model, view);
                if is_over {
                    return;
                }
            }
        })
    }

    /// A model stands otherwise. Its end is a fact, which the leader hears; everything else is for people.
    fn model_changed(self: &Rc<Self>, model: ModelIndex, view: ModelView) {
        let Some(described) = self.dataflow.models.get(model.0 as usize) else {
            return;
        };
        let name = &described.name;
        let result = match (view.state, &view.failure) {
            (ModelState::Ready, _) => Some(Ok(())),
            (ModelState::Failed | ModelState::Cancelled, failure) => {
                let why = failure.as_ref().map_or_else(
                    || "it was cancelled".to_owned(),
                    |failure| format!("{}; {}", failure.what, failure.remedy),
                );
                Some(Err(format!("model `{name}` cannot be had: {why}")))
            }
            _ => None,
        };
        if let Some(result) = result {
            tracing::info!(model = %name, ?result, "model has come to its end");
            if let Err(why) = &result {
                let nodes = self.dataflow.nodes.iter();
                for node in nodes.filter(|node| node.models.contains(&model)) {
                    self.say(node.index, why.clone());
                }
            }
            let changed = DataflowMessage::ModelChanged { model, result };
            self.handles.dataflow.fact(changed);
        }
        // Who follows a node sees how its models come.
        self.node_changes.send_modify(|count| *count += 1);
        let status = Box::new(status_of(described, view));
        // A caller that listens no more is no reason to stop.
        let _ = self.events.send(RunEvent::Model(status));
    }

    /// The task that watches a model has panicked: another one goes on, once. Gives whether it does.
    pub(super) fn model_task_panicked(self: &Rc<Self>, model: ModelIndex) -> bool {
        let mut rows = self.models.rows.borrow_mut();
        let Some(row) = rows.get_mut(&model) else {
            return true;
        };
        let is_first = !std::mem::replace(&mut row.has_panicked, true);
        if let Want::Held { wanted, _watches } = &mut row.want
            && is_first
        {
            *_watches = self.watch_model(model, wanted);
        }
        is_first
    }

    /// Nobody who has not started yet will start any more: what is not there is wanted no more.
    pub(crate) fn let_go_of_models(&self) {
        let mut let_go = Vec::new();
        for row in self.models.rows.borrow_mut().values_mut() {
            let mut view = row.view();
            if !view.state.is_final() {
                view.state = ModelState::Cancelled;
            }
            let want = Want::LetGo(Box::new(view));
            let_go.push(std::mem::replace(&mut row.want, want));
        }
        // Whatever their drops do finds nothing borrowed.
        drop(let_go);
    }

    /// How all models stand, in the order of the description.
    pub(super) fn model_statuses(&self) -> Vec<ModelStatus> {
        let models = self.dataflow.models.iter();
        models
            .map(|model| status_of(model, self.models.view(model.index)))
            .collect()
    }

    /// What a node finds in its environment about its models.
    pub(super) fn model_variables(&self, node: NodeIndex) -> Vec<(String, OsString)> {
        let models = self.spec(node).models.iter();
        let described = models.filter_map(|model| self.dataflow.models.get(model.0 as usize));
        described
            .filter_map(|model| {
                let path: PathBuf = self.models.view(model.index).path?;
                Some((model.environment_variable(), path.into_os_string()))
            })
            .collect()
    }

    /// Which models a node waits for, and how far they are, in the order of its description.
    pub(super) fn models_awaited(&self, node: NodeIndex) -> Vec<ModelWait> {
        let models = self.spec(node).models.iter();
        models
            .filter_map(|model| {
                let described = self.dataflow.models.get(model.0 as usize)?;
                let view = self.models.view(*model);
                (view.state != ModelState::Ready).then(|| ModelWait {
                    model: described.name.clone(),
                    state: view.state,
                    bytes_done: view.bytes_done,
                    bytes_total: view.bytes_total,
                    because: view.because,
                })
            })
            .collect()
    }
}

fn status_of(model: &Model, view: ModelView) -> ModelStatus {
    ModelStatus {
        model: model.name.clone(),
        repo: model.repo.clone(),
        kind: model.kind,
        revision: model.revision.clone(),
        view,
    }
}
