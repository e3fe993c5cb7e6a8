//! What there is to look at: the statistics of a run, or of an agent.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dataflow_core::stats::Snapshot;
use tokio::sync::watch;
use tokio::time::Instant;

use super::beat::Beat;
use super::encoded::EncodedOnce;
use super::places::Places;
use super::readers::Readers;

/// How often everything is folded in while somebody reads.
pub(crate) const EVERY_WHILE_READ: Duration = Duration::from_millis(100);
/// How often everything is folded in while nobody does.
pub(crate) const EVERY_WHILE_UNREAD: Duration = Duration::from_secs(1);

/// What a reader of statistics needs, on any thread. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The last snapshot. Its sender goes with the run, or the agent; the last one is still there then.
    pub(crate) snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Who reads continuously says so here: then snapshots come ten times a second, and once a second otherwise.
    pub(crate) readers: Arc<Readers>,
    /// When the control loop last said that it lives.
    pub(crate) beat: Beat,
    /// When a snapshot was published last, whether or not something had changed.
    pub(super) published: Beat,
    /// When it came to be.
    pub(super) began: Instant,
    /// What was encoded last, for several who are told the same.
    pub(super) encoded: Arc<Mutex<EncodedOnce>>,
    /// Places for subscribers.
    pub(super) places: Arc<Places>,
}

/// Where snapshots are published, on the control thread.
#[derive(Debug)]
pub(crate) struct Publisher {
    /// `None` after the last one.
    snapshots: RefCell<Option<watch::Sender<Arc<Snapshot>>>>,
    source: Source,
}

impl Publisher {
    /// Everybody reads this one first.
    pub(crate) fn new(first: Arc<Snapshot>) -> Publisher {
        let (sender, snapshots) = watch::channel(first);
        Publisher {
            snapshots: RefCell::new(Some(sender)),
            source: Source {
                snapshots,
                readers: Arc::default(),
                beat: Beat::new(),
                published: Beat::new(),
                began: Instant::now(),
                encoded: Arc::default(),
                places: Arc::default(),
            },
        }
    }

    /// What readers need.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Everybody reads this one now.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>) {
        if let Some(snapshots) = &*self.snapshots.borrow() {
            snapshots.send_replace(snapshot);
            self.source.published.lives();
        }
    }

    /// No other one follows.
    pub(crate) fn end(&self) {
        self.snapshots.borrow_mut().take();
    }
}
