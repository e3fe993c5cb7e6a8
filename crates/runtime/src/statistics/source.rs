//! What there is to look at: the statistics of a run, or of an agent.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dataflow_core::stats::Snapshot;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::beat::Beat;
use super::encoded::EncodedOnce;
use super::lookers::Lookers;

/// How often everything is read while somebody looks.
pub(crate) const LOOKED_AT_EVERY: Duration = Duration::from_millis(100);
/// How often everything is read while nobody does.
pub(crate) const UNSEEN_EVERY: Duration = Duration::from_secs(1);
/// How many may watch one source through sockets.
pub(super) const WATCHING_MAX: usize = 64;

/// What somebody needs who looks at statistics, on any thread. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The last snapshot. Its sender goes with the run, or the agent; the last one is still there then.
    pub(crate) snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Who looks continuously says so here: then snapshots come ten times a second, and once a second otherwise.
    pub(crate) lookers: Arc<Lookers>,
    /// When the control loop last said that it lives.
    pub(crate) beat: Beat,
    /// When it came to be.
    pub(super) began: Instant,
    /// What was encoded last, for several who are told the same.
    pub(super) encoded: Arc<Mutex<EncodedOnce>>,
    /// Places for those who watch through a socket.
    pub(super) places: Arc<Semaphore>,
}

/// Where snapshots are published, on the control thread.
#[derive(Debug)]
pub(crate) struct Publisher {
    /// `None` after the last one.
    snapshots: RefCell<Option<watch::Sender<Arc<Snapshot>>>>,
    source: Source,
}

impl Publisher {
    /// Everybody looks at this one first.
    pub(crate) fn new(first: Arc<Snapshot>) -> Publisher {
        let (sender, snapshots) = watch::channel(first);
        Publisher {
            snapshots: RefCell::new(Some(sender)),
            source: Source {
                snapshots,
                lookers: Arc::default(),
                beat: Beat::new(),
                began: Instant::now(),
                encoded: Arc::default(),
                places: Arc::new(Semaphore::new(WATCHING_MAX)),
            },
        }
    }

    /// What those need who look.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Everybody looks at this one now.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>) {
        if let Some(snapshots) = &*self.snapshots.borrow() {
            snapshots.send_replace(snapshot);
        }
    }

    /// No other one follows.
    pub(crate) fn end(&self) {
        self.snapshots.borrow_mut().take();
    }
}
