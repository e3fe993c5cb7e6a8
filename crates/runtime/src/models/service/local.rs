//! Models on the thread of whoever wants them: for virtual time, where everything happens on one thread.

use std::rc::Rc;

use dataflow_ids::stats::{ActorRow, Downloads};

use super::door::Door;
#[cfg(any(test, feature = "faults"))]
use super::door::{ActorFault, Request};
use super::serve::Service;
use crate::env::{Task, spawn_guarded};
use crate::models::{Fetcher, ModelOrder, Models, Wanted};

/// A service of models on the current thread, which must be one of an actix system. Dropping it cancels every fetch.
///
/// What its fetcher does on this thread delays everything else on it; the one of a real run is
/// [`ModelService`](super::ModelService).
#[derive(Debug)]
pub struct LocalModels {
    door: Door,
    #[cfg(any(test, feature = "faults"))]
    handle: crate::supervision::Handle<super::actor::DownloadMessage>,
    _serves: Task,
}

impl LocalModels {
    /// Models that this fetches.
    ///
    /// # Panics
    ///
    /// On a thread without an actix system.
    #[must_use]
    pub fn new(fetcher: Rc<dyn Fetcher>) -> LocalModels {
        let (door, requests) = Door::new();
        let service = Service::new(fetcher, requests, door.ledger().clone());
        #[cfg(any(test, feature = "faults"))]
        let handle = service.handle().clone();
        let serves = spawn_guarded(service.run(), |what| {
            tracing::error!(%what, "service of models panicked");
        });
        LocalModels {
            door,
            #[cfg(any(test, feature = "faults"))]
            handle,
            _serves: serves,
        }
    }

    /// The `DownloadActor`, to strike at it.
    #[cfg(any(test, feature = "faults"))]
    #[must_use]
    pub fn actor(&self) -> Box<dyn crate::actor::AnyActor> {
        Box::new(self.handle.clone())
    }

    /// Lets something go wrong in the actor's next handler, which comes at once.
    #[cfg(any(test, feature = "faults"))]
    pub fn strike(&self, fault: ActorFault) {
        self.door.send(Request::Strike(fault));
    }
}

impl Models for LocalModels {
    fn want(&self, order: ModelOrder) -> Wanted {
        self.door.want(order)
    }

    fn downloads(&self) -> Downloads {
        self.door.ledger().downloads()
    }

    fn actor_row(&self) -> Option<ActorRow> {
        Some(self.door.ledger().actor())
    }
}
