//! Hears from the kernel when something is saved on the way to a file, on the thread of `notify`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::folders::Step;

/// Watches folders; what happens to the names that matter touches whoever waits.
pub(super) struct FolderWatch {
    /// `None` when the system gives none.
    watcher: Option<RecommendedWatcher>,
    /// The paths that matter.
    names: Arc<Mutex<BTreeSet<PathBuf>>>,
    folders: BTreeSet<PathBuf>,
    /// Why a folder is not watched, when one is not.
    failure: Option<String>,
}

/// Whether something may be another one now. Reading is no change: we read ourselves.
fn is_change(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// Whether an event touches one of these names. One that names nothing may mean any.
fn matters(event: &Event, names: &BTreeSet<PathBuf>) -> bool {
    let is_named = |path: &PathBuf| {
        // The folder itself, when it goes.
        names.contains(path) || names.iter().any(|name| name.parent() == Some(path))
    };
    event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(is_named)
}

impl FolderWatch {
    /// Watches nothing yet.
    pub(super) fn new(touched: Arc<Notify>) -> FolderWatch {
        let names: Arc<Mutex<BTreeSet<PathBuf>>> = Arc::default();
        let watched = Arc::clone(&names);
        let heard = move |event: notify::Result<Event>| {
            let names = watched.lock().unwrap_or_else(PoisonError::into_inner);
            // After an error nobody knows what was missed.
            let is_touched = match &event {
                Ok(event) => is_change(&event.kind) && matters(event, &names),
                Err(_) => true,
            };
            if is_touched {
                touched.notify_one();
            }
        };
        let (watcher, failure) = match notify::recommended_watcher(heard) {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(error.to_string())),
        };
        FolderWatch {
            watcher,
            names,
            folders: BTreeSet::new(),
            failure,
        }
    }

    /// From now on these steps are watched, and no others. One that is watched already goes on; `anew` begins every
    /// watch again, since a folder may be another one of the same name.
    pub(super) fn set(&mut self, steps: &BTreeSet<Step>, anew: bool) {
        let names = steps.iter().map(|step| step.folder.join(&step.name));
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names.collect();
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let folders: BTreeSet<PathBuf> = steps.iter().map(|it| it.folder.clone()).collect();
        for gone in self
            .folders
            .iter()
            .filter(|it| anew || !folders.contains(*it))
        {
            // It may have gone by itself.
            let _ = watcher.unwatch(gone);
        }
        if anew {
            self.folders.clear();
        }
        self.failure = None;
        for folder in folders.difference(&self.folders) {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                self.failure = Some(format!("{}: {error}", folder.display()));
            }
        }
        self.folders = folders;
    }

    /// Why something is not watched, when something is not: then one has to look.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}
