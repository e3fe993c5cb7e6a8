//! What others on the control thread hold of the peers.

use std::fmt;
use std::rc::Rc;

use dataflow_descriptor::Peers;
use dataflow_ids::stats::ActorRow;
use dataflow_wire::peers::PeersStatus;
use tokio::sync::mpsc::UnboundedSender;

use super::keeper::Keeper;
use super::view;

/// What the service is asked.
#[derive(Debug)]
pub(super) enum Request {
    /// The file says this now.
    Apply(Box<Peers>),
    /// Nothing follows.
    End,
}

/// The way to the peers of an agent, on its control thread. Cheap to clone; nothing in it waits.
#[derive(Clone)]
pub struct PeersHandle {
    keeper: Rc<Keeper>,
    /// Unbounded: a file changes a few times in a life, and reloads are thinned out before.
    requests: UnboundedSender<Request>,
}

impl fmt::Debug for PeersHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeersHandle({})", self.keeper.about().this)
    }
}

impl PeersHandle {
    pub(super) fn new(keeper: Rc<Keeper>, requests: UnboundedSender<Request>) -> PeersHandle {
        PeersHandle { keeper, requests }
    }

    /// How all peers stand at this moment. It enters no actor.
    #[must_use]
    pub fn status(&self) -> PeersStatus {
        view::status(&self.keeper)
    }

    /// How the actors of all peers stand, with what those have counted that are no more.
    #[must_use]
    pub fn actor_row(&self) -> ActorRow {
        self.keeper.actor_row()
    }

    /// The file of peers says this now, and this machine is in it. Only those peers are touched whose entry is another
    /// one.
    pub fn apply(&self, peers: Peers) {
        // With a service that has ended, there is nobody to watch.
        let _ = self.requests.send(Request::Apply(Box::new(peers)));
    }

    /// What is wrong with the file as it stands, as `peers check` says it; what was read before still counts.
    pub fn file_problem(&self, problem: Option<String>) {
        (self.keeper).change_settings(|settings| settings.file_problem = problem);
    }

    /// What is doubtful about the file beside what the machine has, a line each.
    pub fn warn(&self, warnings: Vec<String>) {
        (self.keeper).change_settings(|settings| settings.warnings = warnings);
    }

    /// Ends it: every peer is told goodbye, and [`PeerService::run`](super::PeerService::run) returns.
    pub fn end(&self) {
        let _ = self.requests.send(Request::End);
    }

    /// Every `PeerActor`, to strike at it.
    #[cfg(any(test, feature = "faults"))]
    #[must_use]
    pub fn actors(&self) -> Vec<Box<dyn crate::actor::AnyActor>> {
        let entries = self.keeper.entries();
        let actors = entries.iter().map(|entry| {
            let actor: Box<dyn crate::actor::AnyActor> = Box::new(entry.handle().clone());
            actor
        });
        actors.collect()
    }
}
