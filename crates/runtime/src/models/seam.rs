//! The two seams of models: between whoever wants one and the service, and between the service and what transfers.
//!
//! Whoever wants a model holds a [`Wanted`], which tells how it stands without asking anybody, and lets go of it by
//! dropping it. The service decides; a [`Fetcher`] does, on threads of its own, and says what happens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use dataflow_core::models::FetchEpoch;
use dataflow_core::models::{Listing, ModelSpec};
use dataflow_core::pool::PoolStatistics;
use dataflow_descriptor::Model;
use dataflow_ids::stats::{ActorRow, Downloads};
use dataflow_wire::status::{ModelState, ModelView};
use tokio::sync::{mpsc, watch};

use super::error::ModelError;
use super::pins;

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModelOrder {
    /// Which files of which repository.
    pub spec: ModelSpec,
    /// The file that pins revisions to commits: `dataflow.lock`. `None`: nothing is pinned.
    pub pins: Option<PathBuf>,
    /// Ask the Hub for the commit even if one is pinned, and pin that.
    pub is_update: bool,
}

impl ModelOrder {
    /// What a dataflow in `folder` wants when it names this model.
    #[must_use]
    pub fn of(model: &Model, folder: &Path, is_update: bool) -> ModelOrder {
        let (repo, revision) = (model.repo.clone(), model.revision.clone());
        ModelOrder {
            spec: ModelSpec::new(model.kind, repo, revision, model.files.clone()),
            pins: Some(folder.join(pins::FILE_NAME)),
            is_update,
        }
    }
}

/// Where models come from, for a run and for a command. Nothing in it blocks or waits.
pub trait Models {
    /// From now on somebody wants this. Equal orders are served by one download.
    fn want(&self, order: ModelOrder) -> Wanted;

    /// How the pool stands on which files are hashed and written, if there is one.
    fn pool(&self) -> Option<PoolStatistics> {
        None
    }

    /// How all downloads stand, and what was counted of them: of everybody whom this serves.
    fn downloads(&self) -> Downloads {
        Downloads::default()
    }

    /// How the actor stands that leads all downloads, if there is one.
    fn actor_row(&self) -> Option<ActorRow> {
        None
    }
}

impl<M: Models + ?Sized> Models for Arc<M> {
    fn want(&self, order: ModelOrder) -> Wanted {
        (**self).want(order)
    }

    fn pool(&self) -> Option<PoolStatistics> {
        (**self).pool()
    }

    fn downloads(&self) -> Downloads {
        (**self).downloads()
    }

    fn actor_row(&self) -> Option<ActorRow> {
        (**self).actor_row()
    }
}

/// Somebody's want. Dropping it says that it is wanted no more; the download ends when nobody wants it.
#[derive(Debug)]
pub struct Wanted {
    view: watch::Receiver<ModelView>,
    /// Said when this is dropped.
    _let_go: Box<dyn LetGo>,
}

/// Told by its drop that somebody wants something no more.
pub trait LetGo: std::fmt::Debug + Send {}

impl Wanted {
    /// A want whose model stands as `view` says. `let_go` is dropped with it.
    #[must_use]
    pub fn new(view: watch::Receiver<ModelView>, let_go: Box<dyn LetGo>) -> Wanted {
        Wanted {
            view,
            _let_go: let_go,
        }
    }

    /// How it stands: the last value, at once. What nobody can finish any more has failed.
    #[must_use]
    pub fn view(&self) -> ModelView {
        view_of(&self.view)
    }

    /// Waits until it stands otherwise than when this was called last. `false` when nothing will change any more.
    pub async fn changed(&mut self) -> bool {
        self.view.changed().await.is_ok()
    }

    /// To look and to wait without holding the want.
    #[must_use]
    pub fn watch(&self) -> ModelWatch {
        ModelWatch(self.view.clone())
    }
}

/// Looks at somebody's want. Holding it wants nothing.
#[derive(Debug, Clone)]
pub struct ModelWatch(watch::Receiver<ModelView>);

impl ModelWatch {
    /// As [`Wanted::view`].
    #[must_use]
    pub fn view(&self) -> ModelView {
        view_of(&self.0)
    }

    /// As [`Wanted::changed`].
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

fn view_of(receiver: &watch::Receiver<ModelView>) -> ModelView {
    // In this order: what was said last is looked at after it is known that nothing follows.
    let is_over = receiver.has_changed().is_err();
    let view = receiver.borrow().clone();
    if !is_over || view.state.is_final() {
        return view;
    }
    let why = "what fetches models has ended".to_owned();
    let failure = Some(ModelError::Internal { why }.failure());
    ModelView {
        state: ModelState::Failed,
        failure,
        ..view
    }
}

/// What fetches.
pub trait Fetcher {
    /// Begins to fetch, and returns at once. Everything that happens is said to `sink`, and nothing after
    /// [`FetchEvent::Finished`] or [`FetchEvent::Failed`]. Dropping what is returned cancels it: at once for whoever
    /// drops, soon for the network and the disk. What was fetched is kept for the next attempt.
    fn fetch(&self, order: ModelOrder, sink: FetchSink) -> Box<dyn Fetching>;
}

/// A fetch that goes on until it is dropped.
pub trait Fetching: std::fmt::Debug + Send {}

/// Where a fetcher says what happens.
#[derive(Debug, Clone)]
pub struct FetchSink {
    /// Of which fetch.
    pub epoch: FetchEpoch,
    /// State changes: each is heard.
    pub events: mpsc::UnboundedSender<(FetchEpoch, FetchEvent)>,
    /// Progress: only the last value counts; at most 5 a second.
    pub progress: watch::Sender<FetchProgress>,
}

/// A fetch has come to another state.
#[derive(Debug, Clone, PartialEq)]
pub enum FetchEvent {
    /// The revision is resolved and pinned, and the files that are wanted are known.
    Resolved(Listing),
    /// All files are there, their hashes are right, and they are linked in this folder.
    Finished {
        /// `…/snapshots/COMMIT`.
        snapshot: PathBuf,
    },
    /// It has failed for good.
    Failed(ModelError),
}

/// How far a fetch is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FetchProgress {
    /// For each file of the listing, in its order.
    pub files: Vec<FileProgress>,
    /// Bytes that have come in from the network since the fetch began.
    pub received_bytes: u64,
    /// What it waits for, in one line.
    pub because: Option<String>,
}

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileProgress {
    /// Bytes that are in the partial file, or there.
    pub done_bytes: u64,
    /// Whether it is there and its hash is right.
    pub is_verified: bool,
}
